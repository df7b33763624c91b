"""Lies, refusals and accidents: what is told, and that nothing wrong is left behind."""

import asyncio
from datetime import UTC, datetime, timedelta

import pytest

from jobservice.engine.window import FIRST_REQUESTS
from jobservice.transfer import Outcome, Side
from oci_client.auth import Credential
from oci_client.gate import Action as Kind
from oci_client.testing import Action, BearerAuth, FakeRegistry, Match, an_image, effects
from oci_client.testing.faults import Effect
from tests.engine_kit import MIB, Worker, content, failure, until

STOP_TIMEOUT_S = 1.0  # what is promised of a stop, whatever a transfer is waiting for

LAYER = an_image([300_000]).layers[0]
BLOB = Match(action=Action.BLOB, path=LAYER)


@pytest.mark.parametrize(
    ("effect", "reason"),
    [
        (effects.flip_byte(7), "DIGEST_MISMATCH"),
        (effects.flip_byte(299_999), "DIGEST_MISMATCH"),
        (effects.truncate(1000), "SIZE_MISMATCH"),
        (effects.answer_with(200, body=b"x" * 400_000), "SIZE_MISMATCH"),
        (effects.answer_with(404, code="BLOB_UNKNOWN"), "BLOB_UNKNOWN"),
        (effects.answer_with(403), "ACCESS_DENIED"),
        (effects.answer_with(401), "REGISTRY_CREDENTIAL_REJECTED"),
    ],
)
async def test_a_source_that_lies_or_refuses_leaves_nothing(
    worker: Worker, source: FakeRegistry, destination: FakeRegistry, effect: Effect, reason: str
) -> None:
    source.push_image("library/app", "1", [300_000])
    source.misbehave(effect, match=BLOB)

    found = failure(await worker.copy("1"))

    assert (found.reason, found.side) == (reason, Side.SOURCE)
    assert found.metadata["digest"] == LAYER
    blobs, manifests, tags = content(destination, "library/app")
    assert LAYER not in blobs
    assert (manifests, tags) == (set(), {})
    assert destination.store.open_uploads == []


async def test_a_manifest_that_was_garbled_on_the_way_is_asked_for_again(worker: Worker, source: FakeRegistry) -> None:
    source.push_image("library/app", "1")
    source.misbehave(effects.flip_byte(), match=Match(method="GET", action=Action.MANIFEST), times=1)

    [result] = await worker.copy("1")

    assert result.outcome is Outcome.COPIED


async def test_a_refusal_of_the_destination_is_told_with_code_and_status(
    worker: Worker, source: FakeRegistry, destination: FakeRegistry
) -> None:
    source.push_image("library/app", "1")
    destination.misbehave(effects.answer_with(403, code="DENIED"), match=Match(method="PUT", action=Action.MANIFEST))

    found = failure(await worker.copy("1"))

    assert (found.reason, found.side) == ("ACCESS_DENIED", Side.DESTINATION)
    assert (found.registry_code, found.http_status, found.retryable) == ("DENIED", 403, False)


async def test_a_source_without_a_blob_is_not_asked_again(worker: Worker, source: FakeRegistry) -> None:
    source.push_image("library/app", "1", [300_000])
    rule = source.fail_next(404, match=BLOB, count=9)

    await worker.copy("1")

    assert rule.hits == 1


async def test_tokens_that_are_revoked_are_replaced() -> None:
    auth = [BearerAuth(username="u", password="p", uses_per_token=3) for _ in range(2)]
    async with (
        FakeRegistry(auth=auth[0]) as source,
        FakeRegistry(auth=auth[1]) as destination,
        Worker(source, destination, credential=Credential(username="u", password="p")) as worker,
    ):
        for seed in range(4):
            source.push_image("library/app", str(seed), [2 * MIB + seed], seed=seed)
        results = [await worker.copy(str(seed)) for seed in range(4)]

        assert [one.outcome for [one] in results] == [Outcome.COPIED] * 4
        assert content(destination, "library/app") == content(source, "library/app")


async def test_a_token_that_is_revoked_in_mid_upload_is_replaced() -> None:
    auth = BearerAuth(username="u", password="p")
    async with (
        FakeRegistry() as source,
        FakeRegistry(auth=auth) as destination,
        Worker(source, destination, credential=Credential(username="u", password="p")) as worker,
    ):
        source.push_image("library/app", "1", [3 * MIB])

        async def revoke(request, handler):  # type: ignore[no-untyped-def]
            reply = await handler(request)
            auth.revoke_tokens()
            return reply

        destination.misbehave(revoke, match=Match(method="PATCH"), times=1)
        [result] = await worker.copy("1")

        assert result.outcome is Outcome.COPIED
        assert destination.log.count(method="PATCH", status=401) == 1


@pytest.mark.parametrize("how", ["seconds", "date"])
async def test_retry_after_holds_the_whole_registry(
    worker: Worker, source: FakeRegistry, destination: FakeRegistry, how: str
) -> None:
    source.push_image("library/app", "1")
    # A date is cut to whole seconds.
    pause = 1 if how == "seconds" else datetime.now(UTC) + timedelta(seconds=2)
    destination.fail_next(429, match=Match(method="HEAD"), retry_after=pause)

    [result] = await worker.copy("1")

    assert result.outcome is Outcome.COPIED
    assert len(worker.holds) == 1
    assert 0 < worker.holds[0] <= 2


async def test_a_pause_that_is_too_long_is_for_the_next_attempt_of_the_job(
    worker: Worker, source: FakeRegistry, destination: FakeRegistry
) -> None:
    source.push_image("library/app", "1")
    rule = destination.fail_next(429, match=Match(method="HEAD"), retry_after=3000, count=9)

    found = failure(await worker.copy("1"))

    assert (found.reason, found.retryable, found.metadata["retry_after_s"]) == ("RATE_LIMITED", True, "3000")
    assert rule.hits == 1


async def test_a_storm_of_429_narrows_the_window(
    worker: Worker, source: FakeRegistry, destination: FakeRegistry
) -> None:
    tags = [str(number) for number in range(20)]
    for number, tag in enumerate(tags):
        source.push_image("library/app", tag, [100], seed=number)
    destination.fail_next(429, match=Match(method="HEAD"), count=12)

    results = await worker.copy(*tags)

    assert {result.outcome for result in results} == {Outcome.COPIED}
    assert worker.destination.gate.window_size(Kind.HEAD_MANIFEST) < FIRST_REQUESTS + 20 - 12


@pytest.mark.parametrize(
    ("registry", "match"),
    [
        ("source", Match(action=Action.BLOB)),
        ("source", Match(method="GET", action=Action.MANIFEST)),
        ("destination", Match(method="PUT", action=Action.UPLOAD)),
        ("destination", Match(action=Action.UPLOAD_START)),
    ],
    ids=["read", "manifest", "write", "start"],
)
async def test_a_stop_reaches_whatever_is_waited_for(
    worker: Worker, source: FakeRegistry, destination: FakeRegistry, registry: str, match: Match
) -> None:
    source.push_image("library/app", "1", [900_000])
    stall = effects.Stall()
    {"source": source, "destination": destination}[registry].misbehave(stall, match=match)
    task = asyncio.create_task(worker.copy("1"))
    await stall.reached()

    task.cancel()
    async with asyncio.timeout(STOP_TIMEOUT_S):
        with pytest.raises(asyncio.CancelledError):
            await task
    await until(lambda: not (source.log.in_flight() or destination.log.in_flight()))


async def test_a_stop_reaches_a_slow_body(worker: Worker, source: FakeRegistry, destination: FakeRegistry) -> None:
    source.push_image("library/app", "1", [900_000])
    source.misbehave(effects.drip(10_000), match=Match(action=Action.BLOB))
    task = asyncio.create_task(worker.copy("1"))
    await until(lambda: source.log.count(action=Action.BLOB))
    await asyncio.sleep(0.1)

    task.cancel()
    async with asyncio.timeout(STOP_TIMEOUT_S):
        with pytest.raises(asyncio.CancelledError):
            await task
    await until(lambda: not (source.log.in_flight() or destination.store.open_uploads))


async def test_a_stop_reaches_a_back_off(worker: Worker, source: FakeRegistry, destination: FakeRegistry) -> None:
    source.push_image("library/app", "1", [900_000])
    rule = source.fail_next(503, match=Match(action=Action.BLOB), count=99, retry_after=60)
    task = asyncio.create_task(worker.copy("1"))
    await until(lambda: rule.hits)

    task.cancel()
    async with asyncio.timeout(STOP_TIMEOUT_S):
        with pytest.raises(asyncio.CancelledError):
            await task


async def test_a_source_that_says_nothing_is_given_up(source: FakeRegistry, destination: FakeRegistry) -> None:
    source.push_image("library/app", "1", [900_000])
    stall = effects.Stall()
    source.misbehave(stall, match=Match(action=Action.BLOB), times=1)
    async with Worker(source, destination, stall_timeout_s=0.2) as worker:
        [result] = await worker.copy("1")

    assert result.outcome is Outcome.COPIED


async def test_the_answer_to_a_stored_blob_may_get_lost(
    worker: Worker, source: FakeRegistry, destination: FakeRegistry
) -> None:
    source.push_image("library/app", "1", [900_000])
    destination.misbehave(effects.lose_answer(), match=Match(method="PUT", action=Action.UPLOAD), times=1)

    [result] = await worker.copy("1")

    assert result.outcome is Outcome.COPIED
    assert destination.log.count(method="PUT", action=Action.UPLOAD) == 2
