"""What registries say of their limits is heard on the way of blobs as on any other."""

import time

import pytest

from jobservice.engine.limits import TransferLimits
from jobservice.engine.window import FIRST_REQUESTS
from jobservice.transfer import Outcome
from oci_client.gate import Action as Kind
from oci_client.gate import Outcome as Told
from oci_client.testing import Action, FakeRegistry, Match, an_image, effects
from oci_client.testing.faults import Effect
from oci_client.testing.messages import Handler, Reply, Request
from tests.engine_kit import MIB, Worker

LAYER = an_image([300_000]).layers[0]
READ = Match(method="GET", action=Action.BLOB, path=LAYER)
WRITE = Match(method="PUT", action=Action.UPLOAD)
CHUNK = Match(method="PATCH", action=Action.UPLOAD)

QUOTA_USED_UP = {"RateLimit-Limit": "100;w=20", "RateLimit-Remaining": "0;w=20"}
UNTIL_REFILL_S = 20 / 100


def telling(**headers: str) -> Effect:
    """Carries the request out, and tells more."""

    async def effect(request: Request, handler: Handler) -> Reply:
        reply = await handler(request)
        for name, value in headers.items():
            reply = reply.with_header(name, value)
        return reply

    return effect


@pytest.fixture
def image(source: FakeRegistry) -> None:
    source.push_image("library/app", "1", [300_000])


@pytest.mark.usefixtures("image")
@pytest.mark.parametrize(("side", "match"), [("source", READ), ("destination", WRITE)], ids=["read", "write"])
async def test_a_used_up_quota_holds_the_registry(
    worker: Worker, source: FakeRegistry, destination: FakeRegistry, side: str, match: Match
) -> None:
    {"source": source, "destination": destination}[side].misbehave(telling(**QUOTA_USED_UP), match=match, times=1)

    [result] = await worker.copy("1")

    assert result.outcome is Outcome.COPIED
    assert worker.holds == [pytest.approx(UNTIL_REFILL_S)]


@pytest.mark.usefixtures("image")
async def test_a_redirect_may_tell_of_the_quota(worker: Worker, source: FakeRegistry) -> None:
    source.misbehave(telling(**QUOTA_USED_UP), match=READ, times=1)
    source.misbehave(effects.redirect(), match=READ)

    await worker.copy("1")

    assert worker.holds == [pytest.approx(UNTIL_REFILL_S)]


@pytest.mark.usefixtures("image")
@pytest.mark.parametrize("status", [429, 503])
@pytest.mark.parametrize(
    ("side", "match", "kind"),
    [("source", READ, Kind.GET_BLOB), ("destination", WRITE, Kind.PUT_BLOB)],
    ids=["read", "write"],
)
async def test_a_refusal_holds_the_registry_and_narrows_its_window(
    worker: Worker, source: FakeRegistry, destination: FakeRegistry, side: str, match: Match, kind: Kind, status: int
) -> None:
    """Although the transfer itself gets over it."""
    registry = {"source": source, "destination": destination}[side]
    registry.fail_next(status, match=match, retry_after=1)

    [result] = await worker.copy("1")

    assert result.outcome is Outcome.COPIED
    assert worker.holds == [pytest.approx(1.0)]
    gate = worker.source.gate if side == "source" else worker.destination.gate
    assert gate.window_size(kind) < FIRST_REQUESTS


async def test_the_next_chunk_waits_while_the_registry_is_held(
    worker: Worker, source: FakeRegistry, destination: FakeRegistry
) -> None:
    arrivals: list[float] = []

    async def note(request: Request, handler: Handler) -> Reply:
        arrivals.append(time.monotonic())
        return await handler(request)

    source.push_image("library/app", "1", [2 * MIB])
    destination.misbehave(telling(**QUOTA_USED_UP), match=CHUNK, times=1)
    destination.misbehave(note, match=CHUNK)

    await worker.copy("1")

    first, second = arrivals
    assert second - first > UNTIL_REFILL_S * 0.9


RANGES = TransferLimits(chunked_above=1 << 40, parallel_above=1, probe=MIB, part=MIB // 4)


@pytest.mark.parametrize("refusals", [1, 9], ids=["half a window", "a window of one"])
async def test_ranges_of_slow_sources_stay_within_the_window(
    source: FakeRegistry, destination: FakeRegistry, refusals: int
) -> None:
    tags = [str(number) for number in range(4)]
    for seed, tag in enumerate(tags):
        source.push_image("library/app", tag, [3 * MIB], seed=seed)
    seen: list[tuple[int, float]] = []
    async with Worker(source, destination, limits=RANGES) as worker:
        gate = worker.source.gate

        async def watch(request: Request, handler: Handler) -> Reply:
            seen.append((source.log.in_flight(Action.BLOB), gate.window_size(Kind.GET_BLOB)))
            return await handler(request)

        source.misbehave(watch, match=Match(action=Action.BLOB))
        source.misbehave(effects.drip(8_000_000), match=Match(action=Action.BLOB))
        for _ in range(refusals):
            gate.observe(Kind.GET_BLOB, Told(status=429, elapsed_s=0.0))
        results = await worker.copy(*tags)

    assert {result.outcome for result in results} == {Outcome.COPIED}
    assert len(seen) > 5 * len(tags), "no blob was read by ranges"
    assert [each for each in seen if each[0] > each[1]] == []
    assert max(at_once for at_once, _ in seen) > 1
