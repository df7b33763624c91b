"""What can be wrong with a stack on this machine, and what to do about it."""

from service_kit.errors import Kind, ServiceError


class StackNotRunning(ServiceError):
    """No stack is running in {state_dir}. Start one with `transship up`."""

    kind = Kind.FAILED_PRECONDITION
    reason = "STACK_NOT_RUNNING"


class StackAlreadyRunning(ServiceError):
    """A stack is already running in {state_dir}. Stop it with `transship down`, or choose another state directory."""

    kind = Kind.ALREADY_EXISTS
    reason = "STACK_ALREADY_RUNNING"


class StackStartFailed(ServiceError):
    """The stack in {state_dir} did not start; the folder logs there has more: {cause}"""

    kind = Kind.UNAVAILABLE
    reason = "STACK_START_FAILED"


class StackStopFailed(ServiceError):
    """The stack in {state_dir} (process {pid}) still runs {waited_s} s after it was asked to stop."""

    kind = Kind.DEADLINE_EXCEEDED
    reason = "STACK_STOP_FAILED"


class StateDirNotPrivate(ServiceError):
    """The directory {path} is to hold secrets, but belongs to another user or is open to others.

    Choose a directory of your own, or close this one with chmod 700.
    """

    kind = Kind.PERMISSION_DENIED
    reason = "STATE_DIR_NOT_PRIVATE"


class PostgresInUse(ServiceError):
    """Another process runs the PostgreSQL in {data_dir}. One data directory serves one stack."""

    kind = Kind.ALREADY_EXISTS
    reason = "POSTGRES_IN_USE"


class PostgresVersionMismatch(ServiceError):
    """The data in {data_dir} is of PostgreSQL {found}, this release brings PostgreSQL {expected}.

    Dump it with pg_dump of the old release, start with an empty state directory, and restore the dump.
    """

    kind = Kind.FAILED_PRECONDITION
    reason = "POSTGRES_VERSION_MISMATCH"


class PostgresFailed(ServiceError):
    """PostgreSQL in {data_dir} failed: {cause}"""

    kind = Kind.UNAVAILABLE
    reason = "POSTGRES_FAILED"
