"""What this service refuses, and why. Each reason stands in error_reason.proto."""

from service_kit.errors import Kind, ServiceError


class RegistryNotFound(ServiceError):
    """No registry has the name {registry}."""

    kind = Kind.NOT_FOUND
    reason = "REGISTRY_NOT_FOUND"


class RegistryAlreadyExists(ServiceError):
    """Another registry has the name {registry}. Choose another id."""

    kind = Kind.ALREADY_EXISTS
    reason = "REGISTRY_ALREADY_EXISTS"


class RegistryInUse(ServiceError):
    """Policies use {registry}: {policies}. Delete them first, or change them."""

    kind = Kind.FAILED_PRECONDITION
    reason = "REGISTRY_IN_USE"


class RegistryUnreachable(ServiceError):
    """The registry at {url} does not answer: {cause}."""

    kind = Kind.FAILED_PRECONDITION
    reason = "REGISTRY_UNREACHABLE"


class RegistryCredentialRejected(ServiceError):
    """The registry at {url} refuses the credential. Correct the user name or the password."""

    kind = Kind.FAILED_PRECONDITION
    reason = "REGISTRY_CREDENTIAL_REJECTED"


class RegistryMisbehaved(ServiceError):
    """What answers at {url} is no registry of the type that was given: {cause}."""

    kind = Kind.FAILED_PRECONDITION
    reason = "REGISTRY_MISBEHAVED"


class RegistryPasswordNeeded(ServiceError):
    """{registry} gets a new URL, where the stored password was not meant to go. Give the password again."""

    kind = Kind.FAILED_PRECONDITION
    reason = "REGISTRY_PASSWORD_NEEDED"


class AdapterUnknown(ServiceError):
    """No adapter is of the type {type}. Known are: {known}."""

    kind = Kind.INVALID_ARGUMENT
    reason = "ADAPTER_UNKNOWN"


class CatalogUnsupported(ServiceError):
    """{registry} cannot list its repositories. Name them without wildcards."""

    kind = Kind.FAILED_PRECONDITION
    reason = "CATALOG_UNSUPPORTED"


class CredentialUnreadable(ServiceError):
    """The credential of {registry} cannot be decrypted. Bring the key {key_id} back, or give the credential again."""

    kind = Kind.FAILED_PRECONDITION
    reason = "CREDENTIAL_UNREADABLE"


class TagNotFound(ServiceError):
    """{repository} has no tag {tag}."""

    kind = Kind.NOT_FOUND
    reason = "TAG_NOT_FOUND"


class TagDeletionUnsupported(ServiceError):
    """The registry cannot delete {repository}:{tag} alone: it deletes digests, and others need this one, or nothing."""

    kind = Kind.FAILED_PRECONDITION
    reason = "TAG_DELETION_UNSUPPORTED"
