"""The copy engine between two registries, with what it remembers in memory: a job in a few lines."""

import asyncio
from collections.abc import AsyncIterator, Callable, Collection, Mapping, Sequence
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass, field
from types import TracebackType
from typing import Protocol, Self

from jobservice.engine.blobs import BlobCopier
from jobservice.engine.endpoint import Endpoint
from jobservice.engine.graph import GraphCopier
from jobservice.engine.limits import TransferLimits
from jobservice.engine.mover import Mover
from jobservice.engine.novelty import Novelty
from jobservice.engine.planning import ReferencePlanner
from jobservice.engine.references import AS_THEY_ARE, ReferenceCopier
from jobservice.engine.throttle import Throttle
from jobservice.engine.transfer import Route
from jobservice.transfer import (
    ArtifactReference,
    Failure,
    PlannedReference,
    Progress,
    ReferenceResult,
    TransferOptions,
    newest_by_place,
)
from oci_client.auth import Authorizer, Credential
from oci_client.challenge_authorizer import ChallengeAuthorizer
from oci_client.http import HttpClient, TlsOptions
from oci_client.network import OURS, Network
from oci_client.testing import FakeRegistry
from oci_client.testing.messages import Action

MIB = 1024 * 1024
PLANNED_AT_ONCE = 3
# Small, so that a blob of some megabytes goes the way of a large one.
SMALL = TransferLimits(chunked_above=MIB, chunk=MIB, parallel_above=1 << 40)


class ListLog:
    """Keeps what a job tells."""

    def __init__(self) -> None:
        self.lines: list[tuple[str, str, dict[str, object]]] = []

    def debug(self, message: str, **fields: object) -> None:
        self.lines.append(("debug", message, fields))

    def info(self, message: str, **fields: object) -> None:
        self.lines.append(("info", message, fields))

    def warning(self, message: str, **fields: object) -> None:
        self.lines.append(("warning", message, fields))

    def error(self, message: str, **fields: object) -> None:
        self.lines.append(("error", message, fields))

    def messages(self, level: str | None = None) -> list[str]:
        return [message for one, message, _ in self.lines if level in (None, one)]


class MemoryRecord:
    """What a job has done, for the attempt that comes after. It is stored at once, unless its storage is away."""

    def __init__(self, *earlier: ReferenceResult) -> None:
        self._earlier = newest_by_place(earlier)
        self.noted: list[ReferenceResult] = []
        self.waits = asyncio.Event()
        self.is_there = asyncio.Event()
        self.is_there.set()

    def earlier(self, reference: ArtifactReference) -> ReferenceResult | None:
        return self._earlier.get(reference.place)

    def note(self, result: ReferenceResult) -> None:
        self.noted.append(result)

    async def stored(self) -> None:
        self.waits.set()
        await self.is_there.wait()

    def next(self) -> "MemoryRecord":
        """That of the next attempt."""
        return MemoryRecord(*self._earlier.values(), *self.noted)


class MemoryLocations:
    """BlobLocations of one process, or of several that share it."""

    def __init__(self) -> None:
        self.places: dict[tuple[str, str], list[str]] = {}

    async def find(self, registry: str, repository: str, digests: Collection[str]) -> Mapping[str, Sequence[str]]:
        found = {digest: self.places.get((registry, digest), []) for digest in digests}
        return {digest: sorted(held, key=lambda name: name != repository) for digest, held in found.items()}

    def remember(self, registry: str, repository: str, digests: Collection[str]) -> None:
        for digest in digests:
            held = self.places.setdefault((registry, digest), [])
            if repository not in held:
                held.insert(0, repository)

    def forget(self, registry: str, repository: str, digests: Collection[str]) -> None:
        for digest in digests:
            held = self.places.get((registry, digest), [])
            if repository in held:
                held.remove(repository)


class MemoryClaims:
    """BlobClaims for workers that share it."""

    def __init__(self) -> None:
        self._locks: dict[tuple[str, str], asyncio.Lock] = {}

    @asynccontextmanager
    async def claim(self, registry: str, digest: str) -> AsyncIterator[bool]:
        lock = self._locks.setdefault((registry, digest), asyncio.Lock())
        waited = lock.locked()
        async with lock:
            yield waited


class MemoryUploads:
    """Uploads that outlive a worker."""

    def __init__(self) -> None:
        self.kept: dict[tuple[str, str, str], tuple[str, int]] = {}
        self.saved: list[int] = []

    async def load(self, registry: str, repository: str, digest: str) -> tuple[str, int] | None:
        return self.kept.get((registry, repository, digest))

    async def save(self, registry: str, repository: str, digest: str, url: str, offset: int) -> None:
        self.kept[registry, repository, digest] = (url, offset)
        self.saved.append(offset)

    async def drop(self, registry: str, repository: str, digest: str) -> None:
        self.kept.pop((registry, repository, digest), None)


@dataclass(kw_only=True)
class Memory:
    """What outlives a worker."""

    locations: MemoryLocations = field(default_factory=MemoryLocations)
    claims: MemoryClaims = field(default_factory=MemoryClaims)
    uploads: MemoryUploads = field(default_factory=MemoryUploads)


class HasUrl(Protocol):
    """A registry, ours or a real one."""

    @property
    def url(self) -> str: ...


class Worker:
    """A worker process, as far as the engine is concerned. Use it as a context manager."""

    def __init__(
        self,
        source: HasUrl,
        destination: HasUrl,
        *,
        memory: Memory | None = None,
        limits: TransferLimits = SMALL,
        credential: Credential | None = None,
        source_tls: TlsOptions | None = None,
        destination_tls: TlsOptions | None = None,
        stall_timeout_s: float = 5.0,
        network: Network = OURS,
    ) -> None:
        self.memory = memory or Memory()
        self.mover = Mover(limits=limits)
        self.holds: list[float] = []
        self._clients: list[HttpClient] = []
        self._network = network
        self.source = self._endpoint("source", source.url, credential, source_tls, stall_timeout_s)
        self.destination = self.source
        if destination is not source:
            self.destination = self._endpoint(
                "destination", destination.url, credential, destination_tls, stall_timeout_s
            )

    def _endpoint(
        self, uid: str, url: str, credential: Credential | None, tls: TlsOptions | None, stall_timeout_s: float
    ) -> Endpoint:
        # Tokens go another way in production too, and count for no window.
        self._clients.append(HttpClient(tls or TlsOptions()))
        authorizer: Authorizer = ChallengeAuthorizer(self._clients[-1], url, credential)
        return Endpoint.open(
            uid=uid,
            url=url,
            tls=tls or TlsOptions(),
            authorizer=authorizer,
            on_hold=self.holds.append,
            stall_timeout_s=stall_timeout_s,
            network=self._network,
        )

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.mover.close()
        for endpoint in {id(each): each for each in (self.source, self.destination)}.values():
            await endpoint.close()
        for client in self._clients:
            await client.aclose()

    def job(
        self,
        repository: str = "library/app",
        to: str = "",
        *,
        override: bool = True,
        options: TransferOptions = AS_THEY_ARE,
        backup_tag: str = "",
        throttles: tuple[Throttle, ...] = (),
        record: MemoryRecord | None = None,
    ) -> "EngineJob":
        route = Route(
            source=self.source,
            source_repository=repository,
            destination=self.destination,
            destination_repository=to or repository,
            throttles=throttles,
        )
        return EngineJob(
            self, route, override=override, options=options, backup_tag=backup_tag, record=record or MemoryRecord()
        )

    async def copy(self, *tags: str, repository: str = "library/app", to: str = "") -> list[ReferenceResult]:
        return await self.job(repository, to).copy(*tags)


class EngineJob:
    """One job, as the handler of replication jobs builds it."""

    def __init__(
        self,
        worker: Worker,
        route: Route,
        *,
        override: bool,
        options: TransferOptions,
        backup_tag: str,
        record: MemoryRecord,
    ) -> None:
        self.progress = Progress()
        self.log = ListLog()
        self.record = record
        novelty = Novelty(route.destination, route.destination_repository)
        memory = worker.memory
        blobs = BlobCopier(
            route,
            mover=worker.mover,
            locations=memory.locations,
            claims=memory.claims,
            uploads=memory.uploads,
            progress=self.progress,
            log=self.log,
            novelty=novelty,
            foreign_layers=options.foreign_layers,
        )
        graph = GraphCopier(route, blobs, log=self.log, novelty=novelty)
        self._copier = ReferenceCopier(
            route,
            graph,
            novelty=novelty,
            override=override,
            options=options,
            backup_tag=backup_tag,
            progress=self.progress,
            record=record,
            log=self.log,
        )
        self.planner = ReferencePlanner(
            route,
            override=override,
            options=options,
            backup_tag=backup_tag,
            locations=memory.locations,
            places=asyncio.Semaphore(PLANNED_AT_ONCE),
        )

    async def copy(self, *tags: str | ArtifactReference) -> list[ReferenceResult]:
        """Copy tags, or whatever is given as references."""
        return await self._copier.copy([_reference(tag) for tag in tags])

    async def plan(self, *tags: str | ArtifactReference) -> list[PlannedReference]:
        """Plan the same, in one list."""
        async with aclosing(self.planner.plan([_reference(tag) for tag in tags])) as batches:
            return [planned async for batch in batches for planned in batch]


def _reference(tag: str | ArtifactReference) -> ArtifactReference:
    return tag if isinstance(tag, ArtifactReference) else ArtifactReference(tag=tag)


def failure(results: Sequence[ReferenceResult]) -> Failure:
    """The failure of the only reference."""
    [result] = results
    assert result.failure is not None, f"it ended as {result.outcome}"
    return result.failure


def content(registry: FakeRegistry, repository: str) -> tuple[set[str], set[str], dict[str, str]]:
    """The blobs, manifests and tags of a repository."""
    found = registry.store.find(repository)
    return (set(found.blobs), set(found.manifests), dict(found.tags)) if found else (set(), set(), {})


def calls(registry: FakeRegistry, *, ping: bool = False) -> list[str]:
    """What the registry was asked, in short: `GET blob`, `PUT upload`, sorted."""
    apart = () if ping else (Action.PING, Action.TOKEN)
    return sorted(f"{each.method} {each.action}" for each in registry.requests if each.action not in apart)


async def until(holds: Callable[[], object], timeout_s: float = 30.0) -> None:
    """Return when something holds; fail when that takes too long."""
    async with asyncio.timeout(timeout_s):
        while not holds():  # noqa: ASYNC110 - what is waited for happens in another place, which tells nobody
            await asyncio.sleep(0.01)
