"""What can be wrong with a request to the execution service, and with an item of an execution."""

from service_kit.errors import Kind, ServiceError


class PolicyDisabled(ServiceError):
    """The policy {policy} is disabled. Enable it, then start it again."""

    kind = Kind.FAILED_PRECONDITION
    reason = "POLICY_DISABLED"


class RequestIdReused(ServiceError):
    """The request id {request_id} has started another policy. Give each start a request id of its own."""

    kind = Kind.ALREADY_EXISTS
    reason = "REQUEST_ID_REUSED"


class ExecutionNotFound(ServiceError):
    """There is no execution {execution}."""

    kind = Kind.NOT_FOUND
    reason = "EXECUTION_NOT_FOUND"


class ExecutionFinished(ServiceError):
    """The execution {execution} has ended: {state}."""

    kind = Kind.FAILED_PRECONDITION
    reason = "EXECUTION_FINISHED"


class ExecutionRunning(ServiceError):
    """The execution {execution} has not ended yet: {state}. Stop it, or wait for its end."""

    kind = Kind.FAILED_PRECONDITION
    reason = "EXECUTION_RUNNING"


class NothingToRetry(ServiceError):
    """No task of the execution {execution} failed or was stopped. Start a new execution."""

    kind = Kind.FAILED_PRECONDITION
    reason = "NOTHING_TO_RETRY"


class TaskNotFound(ServiceError):
    """There is no task {task}."""

    kind = Kind.NOT_FOUND
    reason = "TASK_NOT_FOUND"


class DestinationCollision(ServiceError):
    """Several sources are mapped to {repository}: {sources}. Map them to different names."""

    kind = Kind.FAILED_PRECONDITION
    reason = "DESTINATION_COLLISION"


class MappingImpossible(ServiceError):
    """The policy's mapping has no place for {repository} there: {why}. Change the mapping, or filter this out."""

    kind = Kind.FAILED_PRECONDITION
    reason = "MAPPING_INVALID"


class PathRuleBroken(ServiceError):
    """The destination takes repositories with {rule}, and {repository} is not one."""

    kind = Kind.FAILED_PRECONDITION
    reason = "PATH_RULE_VIOLATED"


class PruneGuarded(ServiceError):
    """Of {repository}, {missing} tags are missing at the source, and at most {allowed} may be deleted, so none is."""

    kind = Kind.FAILED_PRECONDITION
    reason = "PRUNE_GUARDED"


class EventReturns(ServiceError):
    """The event about {tag} of {repository} was caused by a copy that came from {registry}, so it does not go back."""

    kind = Kind.FAILED_PRECONDITION
    reason = "EVENT_RETURNS"


class TagOfAnotherPolicy(ServiceError):
    """These tags of {repository} stay: {policy} has brought them there too, and its source still has them."""

    kind = Kind.FAILED_PRECONDITION
    reason = "TAG_OF_ANOTHER_POLICY"


class LeaseLost(Exception):
    """The flow was taken away from this worker: the execution was stopped, or the lease ran out.

    Nothing was written.
    """
