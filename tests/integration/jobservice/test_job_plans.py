"""Plans and looks at tags by way of the registries that a process works with."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import aclosing

import pytest

from jobservice.engine.errors import CopyError
from jobservice.errors import DestinationTagReused
from jobservice.gateways import Access, AccessKind, RepositoryScope
from jobservice.plans import Planner
from jobservice.registries import Registries
from jobservice.tag_digests import TagDigests
from jobservice.transfer import Action, ArtifactReference, PlannedReference, ReplicateWork, Side
from oci_client.testing import FakeRegistry, Match
from service_kit.errors import Kind, RemoteError
from service_kit.secret import Secret
from tests.engine_kit import MemoryLocations

REPOSITORY = "library/app"


class Issuer:
    """Gives access to registries by name, and writes down what for."""

    def __init__(self, **urls: str) -> None:
        self.urls = urls
        self.asked: set[str] = set()

    async def issue_access(self, registry: str, scopes: Sequence[RepositoryScope], rejected: str = "") -> Access:
        name = registry.removeprefix("registries/")
        if name not in self.urls:
            raise RemoteError.of(Kind.NOT_FOUND, reason="REGISTRY_NOT_FOUND", message="There is no such registry.")
        self.asked.update(f"{name} {action}" for scope in scopes for action in scope.actions)
        return Access(
            url=self.urls[name],
            insecure=True,
            ca_certificate="",
            kind=AccessKind.NONE,
            authorization=Secret(""),
            expires_at=None,
            registry_uid=name,
            type="docker-registry",
            max_bytes_per_second=0,
        )


@pytest.fixture
async def registry() -> AsyncIterator[FakeRegistry]:
    async with FakeRegistry() as registry:
        yield registry


@pytest.fixture
async def issuer(registry: FakeRegistry) -> Issuer:
    return Issuer(a=registry.url, b=registry.url)


@pytest.fixture
async def registries(issuer: Issuer) -> AsyncIterator[Registries]:
    registries = Registries(issuer)
    yield registries
    await registries.close()


async def planned(
    registries: Registries,
    destination: str,
    references: tuple[ArtifactReference, ...] = (ArtifactReference(tag="1"), ArtifactReference(tag="2")),
) -> list[PlannedReference]:
    work = ReplicateWork(
        source_registry="registries/a",
        source_repository=REPOSITORY,
        destination_registry=f"registries/{destination}",
        destination_repository="mirror/app",
        references=references,
    )
    async with aclosing(Planner(registries, locations=MemoryLocations()).plan(work)) as batches:
        return [each async for batch in batches for each in batch]


async def test_a_plan_asks_for_no_right_to_push(registries: Registries, issuer: Issuer, registry: FakeRegistry) -> None:
    for tag in ("1", "2"):
        registry.push_image(REPOSITORY, tag, [1000])

    first, second = await planned(registries, "b")

    assert (first.action, first.blobs_to_move) == (Action.COPY, 2)
    assert (second.action, second.blobs_to_move) == (Action.COPY, 0)
    assert issuer.asked == {"a pull", "b pull"}


async def test_without_access_every_reference_would_fail(registries: Registries) -> None:
    told = await planned(registries, "unknown")

    assert [each.reference.tag for each in told] == ["1", "2"]
    for each in told:
        assert each.failure is not None
        assert (each.action, each.failure.reason) == (Action.FAIL, "REGISTRY_NOT_FOUND")
        assert each.failure.side is Side.DESTINATION


async def test_two_references_to_one_tag_are_refused(registries: Registries, registry: FakeRegistry) -> None:
    twice = (ArtifactReference(tag="1"), ArtifactReference(tag="2", destination_tag="1"))
    with pytest.raises(DestinationTagReused) as caught:
        await planned(registries, "b", twice)

    [violation] = caught.value.violations
    assert violation.field == "replicate.references[1].destination_tag"
    assert registry.requests == []


async def test_what_a_tag_stands_for(registries: Registries, registry: FakeRegistry) -> None:
    digest = registry.push_image(REPOSITORY, "1")
    tags = TagDigests(registries)

    assert await tags.digest_of("registries/a", REPOSITORY, "1") == digest
    assert await tags.digest_of("registries/a", REPOSITORY, "gone") is None
    assert await tags.digest_of("registries/a", "library/none", "1") is None

    registry.fail_next(403, code="DENIED", match=Match(method="HEAD"))
    with pytest.raises(CopyError) as caught:
        await tags.digest_of("registries/a", REPOSITORY, "1")
    assert (caught.value.failure.reason, caught.value.failure.retryable) == ("ACCESS_DENIED", False)
