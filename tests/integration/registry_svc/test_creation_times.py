"""When images were created, as the native adapter learns it from their configurations."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any

import pytest

from oci_client.testing import FakeRegistry, an_artifact, an_image, index_of
from oci_client.testing.effects import answer_with
from oci_client.testing.faults import Match
from oci_client.testing.messages import Action
from registry_svc.adapters import creation
from registry_svc.adapters.base import Listing, Query
from registry_svc.adapters.listing import CONCURRENCY
from registry_svc.adapters.native import NativeAdapter
from registry_svc.domain.registry import Endpoint
from replication.filters import Selection
from replication.newest import Newest, Order
from tests.contract.adapter_stages import Sleeps

NEWEST_TWO = Newest(order=Order.CREATE_TIME, count=2)


@pytest.fixture
async def hub() -> AsyncIterator[FakeRegistry]:
    async with FakeRegistry() as registry:
        yield registry


@pytest.fixture
async def adapter(hub: FakeRegistry) -> AsyncIterator[NativeAdapter]:
    adapter = NativeAdapter(Endpoint(registry="registries/hub", url=hub.url), sleep=Sleeps())
    yield adapter
    await adapter.aclose()


def created(day: int, *, seed: int, **more: Any) -> Any:
    return an_image((16,), seed=seed, created=datetime(2026, 1, day, tzinfo=UTC).isoformat(), **more)


async def newest(adapter: NativeAdapter, rule: Newest = NEWEST_TWO) -> Listing:
    found = Listing()
    async for batch in adapter.list_artifacts(Query(selection=Selection.compile([]), newest=rule)):
        found = Listing(resources=found.resources + batch.resources, failures=found.failures + batch.failures)
    return found


def tags(listing: Listing) -> list[str]:
    return [one.tag for each in listing.resources for one in each.references]


async def test_an_index_is_as_old_as_its_first_image(hub: FakeRegistry, adapter: NativeAdapter) -> None:
    """BuildKit's attestations are no images, wherever they stand."""
    proof, image = an_image((16,), seed=1, architecture="unknown"), created(3, seed=2)
    entries = [
        proof.descriptor | {"platform": {"os": "unknown", "architecture": "unknown"}},
        image.descriptor | {"platform": {"os": "linux", "architecture": "amd64"}},
    ]
    hub.push("app", index_of([proof, image], entries), "multi")
    hub.push("app", created(2, seed=4), "second")
    hub.push("app", created(1, seed=5), "first")

    found = await newest(adapter)

    assert (tags(found), found.failures) == (["multi", "second"], ())


async def test_the_digest_that_was_learned_is_handed_on(hub: FakeRegistry, adapter: NativeAdapter) -> None:
    digest = hub.push("app", created(1, seed=1), "1")

    assert (await newest(adapter)).resources[0].references[0].digest == digest


async def test_what_is_known_is_not_asked_for_again(hub: FakeRegistry, adapter: NativeAdapter) -> None:
    for day in range(1, 6):
        hub.push("app", created(day, seed=day), f"t{day}", f"same{day}")
    await newest(adapter)
    first = hub.log.count(method="GET", action=Action.MANIFEST), hub.log.count(method="GET", action=Action.BLOB)
    hub.log.reset()

    hub.push("app", created(9, seed=9), "t9")
    await newest(adapter)

    assert first == (5, 5)
    assert hub.log.count(method="HEAD", action=Action.MANIFEST) == 11
    assert (hub.log.count(method="GET", action=Action.MANIFEST), hub.log.count(action=Action.BLOB)) == (1, 1)


async def test_what_is_remembered_is_bounded(
    hub: FakeRegistry, adapter: NativeAdapter, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(creation, "MAX_TIMES", 3)
    for day in range(1, 9):
        hub.push("app", created(day, seed=day), f"t{day}")

    for _ in range(2):
        assert sorted(tags(await newest(adapter))) == ["t7", "t8"]
    assert hub.log.count(action=Action.BLOB) > 8


async def test_the_time_of_an_artifact_may_be_an_annotation(hub: FakeRegistry, adapter: NativeAdapter) -> None:
    """Helm writes it there; its configurations have none."""
    annotated = an_artifact(annotations={"org.opencontainers.image.created": "2026-01-05T00:00:00Z"})
    hub.push("app", annotated, "chart")
    hub.push("app", created(1, seed=1), "image")

    assert tags(await newest(adapter, Newest(order=Order.CREATE_TIME, count=1))) == ["chart"]


async def test_a_tag_whose_time_cannot_be_learned_is_told_and_the_others_are_ranked(
    hub: FakeRegistry, adapter: NativeAdapter
) -> None:
    for day in (1, 2, 3):
        hub.push("app", created(day, seed=day), f"t{day}")
    broken = hub.push("app", created(4, seed=4), "broken")
    hub.misbehave(answer_with(500), match=Match(method="GET", path=f"/manifests/{broken}"))
    hub.push("other", created(1, seed=5), "fine")

    found = await newest(adapter)

    assert sorted(tags(found)) == ["fine", "t2", "t3"]
    [failed] = found.failures
    assert (failed.repository, failed.failure.reason) == ("app", "REGISTRY_FAULT")
    assert "of 1 of its tags" in failed.failure.message
    assert "broken" in failed.failure.message


async def test_what_tells_no_time_is_the_oldest(hub: FakeRegistry, adapter: NativeAdapter) -> None:
    """A signature among the tags does not make every run fail."""
    signature = an_artifact(subject=an_image())
    hub.push("app", signature, "sha256-1.sig")
    hub.push("app", index_of([signature]), "sha256-1")
    hub.push("app", index_of([]), "empty")
    for day in (1, 2):
        hub.push("app", created(day, seed=day), f"t{day}")

    found = await newest(adapter)
    assert (sorted(tags(found)), found.failures) == (["t1", "t2"], ())
    found = await newest(adapter, Newest(order=Order.CREATE_TIME, count=3))
    assert (sorted(tags(found)), found.failures) == (["sha256-1.sig", "t1", "t2"], ())


async def test_not_too_many_are_asked_for_at_once(hub: FakeRegistry, adapter: NativeAdapter) -> None:
    for repository in range(4):
        for day in range(1, 13):
            hub.push(f"app{repository}", created(day, seed=day), f"t{day}")
    hub.latency_s = 0.005

    await newest(adapter)

    assert 1 < hub.log.peak(Action.MANIFEST) <= CONCURRENCY


async def test_a_configuration_without_end_is_not_read(hub: FakeRegistry, adapter: NativeAdapter) -> None:
    chart = an_image((16,))
    body = chart.manifest.replace(b'"size":', b'"size":9999', 1)
    hub.push("app", type(chart)(media_type=chart.media_type, manifest=body, blobs=chart.blobs), "huge")

    [failed] = (await newest(adapter)).failures

    assert failed.failure.reason == "BODY_TOO_LARGE"
    assert hub.log.count(action=Action.BLOB) == 0
