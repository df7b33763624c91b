"""Errors as classes and as google.rpc.Status."""

from typing import Any

import grpc
import psycopg
import pytest
from google.rpc import error_details_pb2, status_pb2  # type: ignore[import-untyped]

from service_kit.errors import (
    FieldViolation,
    InvalidRequest,
    Kind,
    RemoteError,
    ServiceError,
    ServiceUnavailable,
    error_classes,
)
from service_kit.secret import Secret
from service_kit.status import STATUS_METADATA_KEY, from_rpc_error, to_status


class KettleCold(ServiceError):
    """The kettle {kettle} is
    cold. Heat it first."""

    kind = Kind.FAILED_PRECONDITION
    reason = "TEST_KETTLE_COLD"


def over_the_wire(status: status_pb2.Status) -> ServiceError:
    """What a caller gets to see of the status."""
    code = next(code for code in grpc.StatusCode if code.value[0] == status.code)
    trailing = grpc.aio.Metadata((STATUS_METADATA_KEY, status.SerializeToString()))
    return from_rpc_error(grpc.aio.AioRpcError(code, grpc.aio.Metadata(), trailing, status.message))


def test_the_docstring_is_the_message_and_metadata_fills_it() -> None:
    error = KettleCold(kettle="blue {x}")
    assert str(error) == "The kettle blue {x} is cold. Heat it first."
    assert error.metadata == {"kettle": "blue {x}"}


def test_a_missing_value_does_not_hide_the_error() -> None:
    assert KettleCold().message == "The kettle {kettle} is cold. Heat it first."


def test_a_secret_in_metadata_stays_one() -> None:
    assert KettleCold(kettle=Secret("tea")).metadata == {"kettle": "***"}


def test_classes_are_known_by_reason_and_a_reason_belongs_to_one() -> None:
    assert error_classes()["TEST_KETTLE_COLD"] is KettleCold
    with pytest.raises(TypeError, match="TEST_KETTLE_COLD"):
        type("Other", (ServiceError,), {"reason": "TEST_KETTLE_COLD"})


def test_a_subclass_without_a_reason_only_groups() -> None:
    before = len(error_classes())
    type("Group", (ServiceError,), {})
    assert len(error_classes()) == before


def test_every_kind_is_a_grpc_code_and_the_other_way_round() -> None:
    assert {kind.value for kind in Kind} == {code.name for code in grpc.StatusCode} - {"OK", "UNKNOWN"}


def test_an_error_comes_back_as_its_class() -> None:
    error = over_the_wire(to_status(KettleCold(kettle="blue", retry_after_s=1.5)))
    assert isinstance(error, KettleCold)
    assert error.message == "The kettle blue is cold. Heat it first."
    assert error.metadata == {"kettle": "blue"}
    assert error.retry_after_s == 1.5


def test_violations_come_back() -> None:
    sent = FieldViolation("page_size", "too large", "RANGE")
    error = over_the_wire(to_status(InvalidRequest(violations=[sent])))
    assert isinstance(error, InvalidRequest)
    assert error.violations == (sent,)


@pytest.mark.parametrize(("reason", "domain"), [("NEVER_HEARD_OF", "transship"), ("TEST_KETTLE_COLD", "elsewhere")])
def test_an_unknown_error_keeps_what_the_peer_said(reason: str, domain: str) -> None:
    status = status_pb2.Status(code=grpc.StatusCode.NOT_FOUND.value[0], message="gone")
    status.details.add().Pack(error_details_pb2.ErrorInfo(reason=reason, domain=domain, metadata={"a": "b"}))
    error = over_the_wire(status)
    assert type(error) is RemoteError
    assert (error.kind, error.reason, error.domain) == (Kind.NOT_FOUND, reason, domain)
    assert (error.message, error.metadata) == ("gone", {"a": "b"})


def test_an_unknown_error_is_passed_on_as_it_came() -> None:
    remote = RemoteError.of(Kind.NOT_FOUND, message="gone", reason="NEVER_HEARD_OF", domain="elsewhere")
    passed_on = over_the_wire(to_status(remote))
    assert (passed_on.kind, passed_on.reason, passed_on.domain) == (Kind.NOT_FOUND, "NEVER_HEARD_OF", "elsewhere")


def test_a_failed_connection_names_the_service() -> None:
    broken = grpc.aio.AioRpcError(grpc.StatusCode.UNAVAILABLE, grpc.aio.Metadata(), grpc.aio.Metadata(), "refused")
    error = from_rpc_error(broken, service="registry_svc")
    assert isinstance(error, ServiceUnavailable)
    assert error.metadata == {"service": "registry_svc"}


def test_a_code_without_details_and_without_a_kind_of_its_own_is_internal() -> None:
    broken = grpc.aio.AioRpcError(grpc.StatusCode.UNKNOWN, grpc.aio.Metadata(), grpc.aio.Metadata(), "what")
    assert from_rpc_error(broken).kind is Kind.INTERNAL


def test_damaged_details_are_ignored() -> None:
    trailing = grpc.aio.Metadata((STATUS_METADATA_KEY, b"\xff\xff\xff"))
    error = from_rpc_error(grpc.aio.AioRpcError(grpc.StatusCode.ABORTED, grpc.aio.Metadata(), trailing, "again"))
    assert (error.kind, error.message) == (Kind.ABORTED, "again")


def test_a_group_of_one_kind_of_error_is_opened() -> None:
    group = ExceptionGroup("tasks", [ExceptionGroup("inner", [KettleCold(kettle="blue")]), KettleCold(kettle="red")])
    error = over_the_wire(to_status(group))
    assert isinstance(error, KettleCold)
    assert error.metadata == {"kettle": "blue"}


@pytest.mark.parametrize("error", [ValueError("password=hunter2"), ExceptionGroup("x", [KettleCold(), ValueError()])])
def test_other_errors_tell_nothing(error: Exception) -> None:
    status = to_status(error)
    assert status.code == grpc.StatusCode.INTERNAL.value[0]
    assert b"hunter2" not in status.SerializeToString()


def test_a_lost_database_is_unavailable() -> None:
    assert to_status(psycopg.OperationalError("gone")).code == grpc.StatusCode.UNAVAILABLE.value[0]


def test_a_status_fits_into_the_metadata_of_grpc() -> None:
    violations = [FieldViolation(f"filters[{n}].pattern", "ü" * 900) for n in range(500)]
    metadata: dict[str, Any] = {f"key{n}": "é" * 9000 for n in range(50)}
    status = to_status(InvalidRequest(violations=violations, **metadata))
    assert status.ByteSize() * 4 / 3 + len(status.message.encode()) * 3 < 8192
    error = over_the_wire(status)
    assert error.violations
    assert error.violations[0].field == "filters[0].pattern"
