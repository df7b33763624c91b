"""The border to oci_client: its errors become ours here and nowhere else."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from oci_client import errors as oci
from registry_svc.adapters.base import Failure, RepositoryFailure
from registry_svc.domain.errors import RegistryCredentialRejected, RegistryMisbehaved, RegistryUnreachable
from registry_svc.domain.registry import Endpoint
from service_kit.errors import ServiceError

# The first that fits decides: subclasses stand before their bases.
_REASONS: Final[tuple[tuple[type[oci.OciError], str], ...]] = (
    (oci.EndlessPaging, "ENDLESS_PAGING"),
    (oci.BodyTooLarge, "BODY_TOO_LARGE"),
    (oci.TruncatedBody, "BODY_TRUNCATED"),
    (oci.MisbehavingRegistry, "UNEXPECTED_ANSWER"),
    (oci.Unreachable, "REGISTRY_UNREACHABLE"),
    (oci.Unauthorized, "ACCESS_DENIED"),
    (oci.Denied, "ACCESS_DENIED"),
    (oci.NotFound, "REPOSITORY_UNKNOWN"),
    (oci.TooManyRequests, "RATE_LIMITED"),
    (oci.ServerFault, "REGISTRY_FAULT"),
    (oci.RegistryError, "REQUEST_REFUSED"),
    (oci.OciError, "UNEXPECTED_ANSWER"),
)


def repository_failure(repository: str, error: oci.OciError) -> RepositoryFailure:
    """What is told of a repository that failed."""
    reason = next(reason for kind, reason in _REASONS if isinstance(error, kind))
    code, status = "", 0
    if isinstance(error, oci.RegistryError):
        code, status = next((each.code for each in error.errors), ""), error.status
    metadata = {"repository": repository}
    failure = Failure(reason=reason, message=str(error), registry_code=code, http_status=status, metadata=metadata)
    return RepositoryFailure(repository=repository, failure=failure)


@contextmanager
def registry_errors(endpoint: Endpoint) -> Iterator[None]:
    """Turns what oci_client raises inside of the block into errors of the registry as a whole."""
    try:
        yield
    except oci.OciError as error:
        raise _service_error(endpoint.url, error) from error
    except ExceptionGroup as group:
        # Of several requests at once; the first to fail has ended the others.
        if isinstance(first := group.exceptions[0], oci.OciError):
            raise _service_error(endpoint.url, first) from group
        raise


def _service_error(url: str, error: oci.OciError) -> ServiceError:
    match error:
        case oci.Unauthorized() | oci.Denied():
            return RegistryCredentialRejected(url=url)
        case oci.TooManyRequests() | oci.ServerFault():
            return RegistryUnreachable(url=url, cause=error, retry_after_s=error.retry_after)
        case oci.Unreachable() | oci.TruncatedBody():
            return RegistryUnreachable(url=url, cause=error)
        case _:
            return RegistryMisbehaved(url=url, cause=error)
