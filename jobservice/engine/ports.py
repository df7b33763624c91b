"""What the engine needs from outside: a memory of where blobs are, and a place to say what it does."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Protocol

from jobservice.transfer import ArtifactReference, ReferenceResult


class Log(Protocol):
    """Tells what happens in one job. Never blocks."""

    def debug(self, message: str, **fields: object) -> None: ...
    def info(self, message: str, **fields: object) -> None: ...
    def warning(self, message: str, **fields: object) -> None: ...
    def error(self, message: str, **fields: object) -> None: ...


class Record(Protocol):
    """What the job has done at the destination, over all its attempts."""

    def earlier(self, reference: ArtifactReference) -> ReferenceResult | None:
        """Return what an earlier attempt has noted last of the reference."""

    def note(self, result: ReferenceResult) -> None:
        """Take down what was done or, as STOPPED, what is about to be done. Never blocks; it is stored soon."""

    async def stored(self) -> None:
        """Return when everything is stored that was noted until now."""


class BlobLocations(Protocol):
    """Remembers which repositories of a registry hold a blob. Registries are known by their unique ids.

    What it says may be out of date: the engine finds out and corrects it.
    """

    async def find(self, registry: str, repository: str, digests: Collection[str]) -> Mapping[str, Sequence[str]]:
        """Return for each digest some repositories that hold it: `repository` first, if it does, then the newest."""

    def remember(self, registry: str, repository: str, digests: Collection[str]) -> None:
        """Note that the repository holds the blobs. Seen by `find` at once, by other workers soon."""

    def forget(self, registry: str, repository: str, digests: Collection[str]) -> None:
        """Note that the repository does not hold the blobs after all. Seen as above."""


class BlobClaims(Protocol):
    """Sees to it that a blob travels to a registry once at a time, over all workers."""

    def claim(self, registry: str, digest: str) -> AbstractAsyncContextManager[bool]:
        """Wait until no other worker is sending the blob; then it is ours as long as the context lasts.

        Tells whether another worker was sending it in the meantime, so that the blob may be there now.
        """


class Uploads(Protocol):
    """Keeps the open sessions of large blobs, so that another worker can go on after a crash.

    All of it may be lost: then a blob starts anew. None of its methods raises for want of its storage.
    """

    async def load(self, registry: str, repository: str, digest: str) -> tuple[str, int] | None:
        """Return the session's URL and the bytes that it held."""

    async def save(self, registry: str, repository: str, digest: str, url: str, offset: int) -> None:
        """Keep the session in place of an earlier one."""

    async def drop(self, registry: str, repository: str, digest: str) -> None:
        """Forget the session: it is closed, or lost."""
