"""Between our errors and google.rpc.Status, both ways."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Final, TypeVar

import grpc
import psycopg
from google.protobuf.any_pb2 import Any as AnyProto
from google.protobuf.message import DecodeError, Message
from google.rpc import code_pb2, error_details_pb2, status_pb2  # type: ignore[import-untyped]

from service_kit.errors import (
    DeadlineExceeded,
    FieldViolation,
    InternalError,
    Kind,
    RemoteError,
    ServiceError,
    ServiceUnavailable,
    error_classes,
)

_M = TypeVar("_M", bound=Message)

STATUS_METADATA_KEY: Final = "grpc-status-details-bin"

# gRPC peers refuse metadata over 8 KiB. The details travel in base64 (a third more) and the message travels twice,
# percent-encoded the second time (up to three bytes for one).
_MAX_DETAILS_BYTES: Final = 4096
_MAX_MESSAGE_BYTES: Final = 512
_MAX_METADATA_VALUE_BYTES: Final = 256
_MAX_METADATA_ENTRIES: Final = 8
_ENVELOPE_BYTES: Final = 64  # the type URL around a detail


def as_service_error(error: BaseException) -> ServiceError:
    """The error that the caller is told: itself, the one inside of a group, or an internal error that tells nothing."""
    match error:
        case ServiceError():
            return error
        case psycopg.OperationalError():
            return ServiceUnavailable(service="database")
        case BaseExceptionGroup():
            known = [as_service_error(each) for each in error.exceptions]
            return known[0] if len({type(each) for each in known}) == 1 else InternalError()
        case _:
            return InternalError()


def to_status(error: BaseException) -> status_pb2.Status:
    """The status that carries the error over the wire, cut to what fits into gRPC's metadata."""
    known = as_service_error(error)
    status = status_pb2.Status(
        code=code_pb2.Code.Value(known.kind.value), message=_cut(known.message, _MAX_MESSAGE_BYTES)
    )
    _add(status, _error_info(known))
    if known.retry_after_s is not None:
        retry = error_details_pb2.RetryInfo()
        retry.retry_delay.FromTimedelta(timedelta(seconds=known.retry_after_s))
        _add(status, retry)
    if known.violations:
        _add(status, _bad_request(known, room=_MAX_DETAILS_BYTES - status.ByteSize() - _ENVELOPE_BYTES))
    return status


def from_rpc_error(error: grpc.aio.AioRpcError, *, service: str = "peer") -> ServiceError:
    """The error that the peer raised, in its class where this process knows the class.

    A failure of the connection itself, which has no details, becomes ServiceUnavailable or DeadlineExceeded.
    """
    details = _details(error)
    if (info := details.error_info) is not None:
        return _restored(info, details, _kind(error.code()), error.details() or "")
    match error.code():
        case grpc.StatusCode.UNAVAILABLE:
            return ServiceUnavailable(service=service)
        case grpc.StatusCode.DEADLINE_EXCEEDED:
            return DeadlineExceeded()
        case code:
            return RemoteError.of(_kind(code), message=error.details() or code.name)


@asynccontextmanager
async def remote_errors(service: str = "peer") -> AsyncIterator[None]:
    """Turns what a gRPC call raises inside of the block into a ServiceError; `service` names the peer in it."""
    try:
        yield
    except grpc.aio.AioRpcError as error:
        raise from_rpc_error(error, service=service) from error


def _kind(code: grpc.StatusCode) -> Kind:
    """INTERNAL for UNKNOWN, which is what a server says that failed without an answer."""
    return Kind.INTERNAL if code is grpc.StatusCode.UNKNOWN else Kind(code.name)


class _Details:
    """The standard details of a status that we read."""

    def __init__(self) -> None:
        self.error_info: error_details_pb2.ErrorInfo | None = None
        self.violations: list[FieldViolation] = []
        self.retry_after_s: float | None = None

    def read(self, detail: AnyProto) -> None:
        if (info := _unpacked(detail, error_details_pb2.ErrorInfo)) is not None:
            self.error_info = info
        elif (bad := _unpacked(detail, error_details_pb2.BadRequest)) is not None:
            self.violations += [FieldViolation(v.field, v.description, v.reason) for v in bad.field_violations]
        elif (retry := _unpacked(detail, error_details_pb2.RetryInfo)) is not None:
            self.retry_after_s = retry.retry_delay.ToTimedelta().total_seconds()


def _details(error: grpc.aio.AioRpcError) -> _Details:
    """What the peer attached; nothing if it is damaged, because the code alone is still an answer."""
    details = _Details()
    raw = dict(error.trailing_metadata() or ()).get(STATUS_METADATA_KEY)
    if isinstance(raw, bytes):
        try:
            for detail in status_pb2.Status.FromString(raw).details:
                details.read(detail)
        except DecodeError:
            return _Details()
    return details


def _unpacked(detail: AnyProto, message_type: type[_M]) -> _M | None:
    message = message_type()
    return message if detail.Unpack(message) else None


def _restored(info: error_details_pb2.ErrorInfo, details: _Details, kind: Kind, message: str) -> ServiceError:
    known = error_classes().get(info.reason)
    if known is not None and info.domain == known.domain:
        return known.restored(
            message=message,
            metadata=info.metadata,
            violations=details.violations,
            retry_after_s=details.retry_after_s,
        )
    return RemoteError.of(
        kind,
        reason=info.reason,
        domain=info.domain,
        message=message,
        metadata=info.metadata,
        violations=details.violations,
        retry_after_s=details.retry_after_s,
    )


def _error_info(error: ServiceError) -> error_details_pb2.ErrorInfo:
    metadata = list(error.metadata.items())[:_MAX_METADATA_ENTRIES]
    return error_details_pb2.ErrorInfo(
        reason=error.reason,
        domain=error.domain,
        metadata={key: _cut(value, _MAX_METADATA_VALUE_BYTES) for key, value in metadata},
    )


def _bad_request(error: ServiceError, *, room: int) -> error_details_pb2.BadRequest:
    """As many violations as fit into the room."""
    bad = error_details_pb2.BadRequest()
    for violation in error.violations:
        bad.field_violations.add(
            field=violation.field, description=_cut(violation.description, _MAX_MESSAGE_BYTES), reason=violation.reason
        )
        if bad.ByteSize() > room:
            del bad.field_violations[-1]
            break
    return bad


def _add(status: status_pb2.Status, detail: Message) -> None:
    status.details.add().Pack(detail)


def _cut(text: str, limit: int) -> str:
    return text.encode()[:limit].decode(errors="ignore")
