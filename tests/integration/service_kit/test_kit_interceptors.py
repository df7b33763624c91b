"""What the interceptors do around methods of each kind, over a loopback socket."""

import asyncio
from typing import Any

import grpc
import pytest
from structlog.testing import capture_logs

from service_kit.channel import open_call, open_channel
from service_kit.context import current_request_id, remaining_s
from service_kit.errors import DeadlineExceeded, InternalError, InvalidRequest, ServiceError, ServiceUnavailable
from service_kit.interceptors import DEFAULT_DEADLINE_S, Deadlines, Errors, RequestContext
from service_kit.status import remote_errors
from service_kit.testing import served
from tests.integration.service_kit.kettle import (
    INVALID,
    KINDS,
    NAME,
    VALID,
    Kettle,
    KettleEmpty,
    add_kettle,
    answers,
    call,
)

EXPECTED = {
    "unary_unary": ["jobs/tea"],
    "unary_stream": ["first", "jobs/tea"],
    "stream_unary": ["jobs/tea jobs/tea"],
    "stream_stream": ["jobs/tea", "jobs/tea"],
}
FIRST_BYTE = {"unary_stream": ["first"], "stream_stream": ["jobs/tea"]}


class Stuck:
    """Work that never ends by itself, and knows whether it was cancelled."""

    def __init__(self) -> None:
        self.started = asyncio.Event()
        self.cancelled = asyncio.Event()

    async def __call__(self) -> None:
        self.started.set()
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            self.cancelled.set()
            raise


async def fail_empty() -> None:
    raise KettleEmpty(kettle="blue")


async def fail_in_a_group() -> None:
    async with asyncio.TaskGroup() as group:
        group.create_task(fail_empty())


async def fail_unforeseen() -> None:
    raise ValueError("hunter2")


@pytest.mark.parametrize("kind", KINDS)
async def test_a_method_of_each_kind_answers(kind: str) -> None:
    async with served(add_kettle, Kettle()) as channel:
        assert await answers(channel, kind, VALID, VALID) == EXPECTED[kind]


@pytest.mark.parametrize("work", [fail_empty, fail_in_a_group])
@pytest.mark.parametrize("kind", KINDS)
async def test_an_error_arrives_as_its_class_after_what_was_answered_before(kind: str, work: Any) -> None:
    received: list[str] = []
    async with served(add_kettle, Kettle(work)) as channel:
        with pytest.raises(KettleEmpty) as caught:
            await _consumed(call(channel, kind, VALID, VALID), kind, received)
    assert caught.value.metadata == {"kettle": "blue"}
    assert received == FIRST_BYTE.get(kind, [])


@pytest.mark.parametrize("kind", KINDS)
async def test_an_unforeseen_error_is_logged_and_not_told(kind: str) -> None:
    async with served(add_kettle, Kettle(fail_unforeseen)) as channel:
        with capture_logs() as logs, pytest.raises(InternalError) as caught:
            async with remote_errors():
                await answers(channel, kind, VALID, VALID)
    assert "hunter2" not in caught.value.message
    assert [type(line["exc_info"]) for line in logs if line["event"] == "rpc failed"] == [ValueError]


@pytest.mark.parametrize("kind", KINDS)
async def test_an_invalid_message_is_refused_before_the_handler_sees_it(kind: str) -> None:
    kettle = Kettle()
    requests = (VALID, INVALID) if kind.startswith("stream") else (INVALID,)
    async with served(add_kettle, kettle) as channel:
        with pytest.raises(InvalidRequest) as caught:
            async with remote_errors():
                await answers(channel, kind, *requests)
    assert [violation.field for violation in caught.value.violations] == ["name"]
    assert INVALID.name not in kettle.names


@pytest.mark.parametrize("kind", KINDS)
async def test_a_cancelled_call_cancels_its_handler(kind: str) -> None:
    stuck = Stuck()
    async with served(add_kettle, Kettle(stuck)) as channel:
        started = call(channel, kind, VALID, VALID)
        consumer = asyncio.create_task(_consumed(started, kind, []))
        await stuck.started.wait()
        consumer.cancel()
        await asyncio.wait([consumer])
        assert consumer.cancelled()
        await asyncio.wait_for(stuck.cancelled.wait(), timeout=10)


async def _consumed(started: Any, kind: str, received: list[str]) -> None:
    async with remote_errors():
        if kind.endswith("unary"):
            received.append((await started).value)
            return
        with open_call(started):
            async for answer in started:
                received.append(answer.value)  # noqa: PERF401  (keeps what came before an error)


@pytest.mark.parametrize("kind", KINDS)
async def test_the_deadline_of_the_caller_ends_the_handler(kind: str) -> None:
    stuck = Stuck()
    async with served(add_kettle, Kettle(stuck)) as channel:
        with pytest.raises(DeadlineExceeded):
            async with remote_errors():
                await answers(channel, kind, VALID, VALID, timeout=0.3)
        await asyncio.wait_for(stuck.cancelled.wait(), timeout=10)


async def test_a_call_without_a_deadline_gets_ours() -> None:
    stuck = Stuck()
    server = grpc.aio.server(interceptors=[RequestContext(), Errors(), Deadlines(default_s=0.05)])
    add_kettle(Kettle(stuck), server)
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    try:
        async with open_channel(f"127.0.0.1:{port}") as channel:
            with pytest.raises(DeadlineExceeded):
                async with remote_errors():
                    await answers(channel, "unary_unary", VALID)
        assert stuck.cancelled.is_set()
    finally:
        await server.stop(None)


@pytest.mark.parametrize(
    ("kind", "bounded"), [("unary_unary", True), ("unary_stream", False), ("stream_stream", False)]
)
async def test_only_a_unary_call_is_bounded_by_default(kind: str, *, bounded: bool) -> None:
    seen: list[float | None] = []

    async def look() -> None:
        seen.append(remaining_s())

    async with served(add_kettle, Kettle(look)) as channel:
        await answers(channel, kind, VALID, VALID)
    if bounded:
        assert seen[0] is not None
        assert DEFAULT_DEADLINE_S - 10 < seen[0] <= DEFAULT_DEADLINE_S
    else:
        assert seen == [None]


async def test_a_timeout_of_the_handler_itself_is_not_the_deadline() -> None:
    async def give_up() -> None:
        raise TimeoutError

    async with served(add_kettle, Kettle(give_up)) as channel:
        with pytest.raises(InternalError):
            async with remote_errors():
                await answers(channel, "unary_unary", VALID)


@pytest.mark.parametrize("kind", KINDS)
async def test_request_id_and_deadline_reach_the_service_behind(kind: str) -> None:
    seen: list[tuple[str | None, float | None]] = []

    async def look() -> None:
        seen.append((current_request_id(), remaining_s()))

    async with served(add_kettle, Kettle(look)) as behind:

        async def forward() -> None:
            await answers(behind, kind, VALID, VALID)

        async with served(add_kettle, Kettle(forward)) as channel:
            metadata = (("x-request-id", "tea-1"),)
            await answers(channel, "unary_unary", VALID, metadata=metadata, timeout=20)
    ((request_id, remaining),) = seen
    assert request_id == "tea-1"
    assert remaining is not None
    assert 0 < remaining < 20


@pytest.mark.parametrize("work", [fail_empty, None])
async def test_the_request_id_is_answered_and_made_up_when_it_is_not_usable(work: Any) -> None:
    async with served(add_kettle, Kettle(work) if work else Kettle()) as channel:
        answered = []
        for given in ("tea-1", "two words"):
            started = call(channel, "unary_unary", VALID, metadata=(("x-request-id", given),))
            await started.code()
            answered.append(dict(await started.trailing_metadata())["x-request-id"])
    assert answered[0] == "tea-1"
    assert len(answered[1]) == 32


async def test_a_line_for_each_rpc_says_how_it_ended() -> None:
    kettle = Kettle()
    async with served(add_kettle, kettle) as channel:
        with capture_logs() as logs:
            await answers(channel, "unary_unary", VALID)
            for kettle.work in (fail_empty, fail_unforeseen):
                with pytest.raises(grpc.aio.AioRpcError):
                    await answers(channel, "unary_unary", VALID)
    lines = [(line["log_level"], line["code"], line.get("reason")) for line in logs if line["event"] == "rpc finished"]
    assert lines == [
        ("info", "OK", None),
        ("info", "NOT_FOUND", "TEST_KETTLE_EMPTY"),
        ("error", "INTERNAL", "INTERNAL"),
    ]


async def test_an_unknown_method_is_unimplemented() -> None:
    async with served(add_kettle, Kettle()) as channel:
        with pytest.raises(ServiceError) as caught:
            async with remote_errors():
                await channel.unary_unary(f"/{NAME}/Nonsense", request_serializer=bytes)(b"")
    assert caught.value.kind == "UNIMPLEMENTED"


async def test_a_service_that_is_not_there_is_unavailable_by_name() -> None:
    async with open_channel("127.0.0.1:1") as channel:
        with pytest.raises(ServiceUnavailable, match="registry_svc"):
            async with remote_errors("registry_svc"):
                await answers(channel, "unary_unary", VALID)
