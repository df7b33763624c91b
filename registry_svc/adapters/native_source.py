"""What a registry tells by the distribution specification."""

from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import aclosing
from dataclasses import replace
from typing import Protocol

from oci_client.listing import DEFAULT_PAGE_SIZE
from oci_client.manifest import Descriptor
from registry_svc.adapters.creation import CreationTimes
from registry_svc.adapters.retries import Retries
from registry_svc.adapters.source import Artifact, Listed, Repository
from replication.filters import Selection
from replication.newest import DatedTag


class Lists(Protocol):
    """The lists of a registry, page by page, and what a reference stands for."""

    def catalog(self) -> AsyncIterator[list[str]]: ...

    def tags(self, repository: str) -> AsyncIterator[list[str]]: ...

    async def head_manifest(self, repository: str, reference: str) -> Descriptor | None: ...


class NativeSource:
    """The lists of a registry: names and tags, and no more than that."""

    def __init__(self, client: Lists, times: CreationTimes, retries: Retries) -> None:
        self._client = client
        self._times = times
        self._retries = retries

    async def repositories(self, selection: Selection) -> AsyncGenerator[list[Listed], None]:  # noqa: ARG002 - a Source
        async with aclosing(self._retries.pages(self._client.catalog)) as pages:
            async for page in pages:
                yield [Repository(name=name) for name in page]

    async def named(self, names: Sequence[str]) -> AsyncGenerator[list[Listed], None]:
        yield [Repository(name=name) for name in names]

    async def artifacts(self, repository: str) -> AsyncGenerator[list[Artifact], None]:
        async with aclosing(self._retries.pages(lambda: self._client.tags(repository))) as pages:
            async for page in pages:
                # Old registries send all tags in one page, and there may be a hundred thousand.
                for start in range(0, len(page), DEFAULT_PAGE_SIZE):
                    yield [Artifact(tag=tag) for tag in page[start : start + DEFAULT_PAGE_SIZE]]

    async def look_up(self, repository: str, reference: str) -> list[Artifact]:
        """A digest is passed over: it may be a part of an image or a signature, and no list tells what has no tag."""
        if ":" in reference:
            return []
        found = await self._retries.run(lambda: self._client.head_manifest(repository, reference))
        if found is None:
            return []
        return [Artifact(tag=reference, digest=str(found.digest))]

    async def dated(self, repository: str, artifact: DatedTag) -> DatedTag | None:
        found = await self._times.of(repository, artifact.tag, self._retries)
        return found and replace(artifact, digest=str(found[0]), create_time=found[1])
