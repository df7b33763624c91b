"""What the job service answers when it cannot do as asked."""

from service_kit.errors import Kind, ServiceError


class JobNotFound(ServiceError):
    """There is no job {job}."""

    kind = Kind.NOT_FOUND
    reason = "JOB_NOT_FOUND"


class JobKeyReused(ServiceError):
    """The key of {job} belongs to a job with other work. Choose another key."""

    kind = Kind.ALREADY_EXISTS
    reason = "JOB_KEY_REUSED"


class DestinationTagReused(ServiceError):
    """{sources} would all become {tag} at the destination. Give each of them another tag, or a job of its own."""

    kind = Kind.INVALID_ARGUMENT
    reason = "DESTINATION_TAG_REUSED"
