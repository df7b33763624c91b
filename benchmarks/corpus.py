"""What is replicated: images in a source registry, the same for everybody."""

import asyncio
import hashlib
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Self

import aiohttp

from benchmarks.endpoints import Endpoint
from benchmarks.layers import MANIFEST_TYPE, Blob, Image, a_layer, a_layer_in_file, an_image

MIB: Final = 1024 * 1024
_OWN_LAYER_BYTES: Final = 50 * 1000
_SHARED_LAYERS: Final = 3
_LAYERS_OF_SAME_IMAGE: Final = 4
_SEED: Final = 20261123
_CONNECTIONS: Final = 16
_FOUND: Final = 200
_CREATED: Final = 201
# A body is as long as it is.
_NO_TIMEOUT: Final = aiohttp.ClientTimeout(total=None, sock_read=120)


@dataclass(frozen=True, slots=True, kw_only=True)
class Sizes:
    """How much of everything."""

    layer_bytes: int = 1024 * MIB
    repositories: int = 20
    tags: int = 10
    same_image_repositories: int = 50
    same_image_bytes: int = 300 * MIB
    many_tags: int = 1000

    @classmethod
    def quick(cls) -> Self:
        """Enough to see that everything works."""
        return cls(
            layer_bytes=64 * MIB,
            repositories=5,
            tags=4,
            same_image_repositories=10,
            same_image_bytes=32 * MIB,
            many_tags=100,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Corpus:
    """Images by tag by repository. `unique_bytes` are those of its blobs, each counted once."""

    images: Mapping[str, Mapping[str, Image]]

    @property
    def repositories(self) -> tuple[str, ...]:
        return tuple(self.images)

    @property
    def tag_count(self) -> int:
        return sum(map(len, self.images.values()))

    @property
    def blobs(self) -> Mapping[str, Blob]:
        return {blob.digest: blob for tags in self.images.values() for image in tags.values() for blob in image.blobs}

    @property
    def unique_bytes(self) -> int:
        return sum(blob.size for blob in self.blobs.values())

    @property
    def largest_blob(self) -> Blob:
        return max(self.blobs.values(), key=lambda blob: blob.size)

    def with_image(self, repository: str, tag: str, image: Image) -> Self:
        return type(self)(images={**self.images, repository: {**self.images[repository], tag: image}})


def one_layer(sizes: Sizes, directory: Path) -> Corpus:
    """One image of one large layer, which is kept in a file."""
    layer = a_layer_in_file(directory / "layer", _SEED, sizes.layer_bytes)
    return Corpus(images={"large": {"v1": an_image((layer,), name="large")}})


def many_repositories(sizes: Sizes, _directory: Path) -> Corpus:
    """Repositories with tags that share three layers and have a small one of their own."""
    shared = tuple(a_layer(_SEED + number, MIB) for number in range(_SHARED_LAYERS))
    images: dict[str, dict[str, Image]] = {}
    for number in range(sizes.repositories * sizes.tags):
        repository, tag = f"repo-{number // sizes.tags:02}", f"v{number % sizes.tags}"
        own = a_layer(_SEED + 1000 + number, _OWN_LAYER_BYTES)
        images.setdefault(repository, {})[tag] = an_image((*shared, own), name=f"{repository}:{tag}")
    return Corpus(images=images)


def same_image(sizes: Sizes, _directory: Path) -> Corpus:
    """Repositories with one and the same image."""
    part = sizes.same_image_bytes // _LAYERS_OF_SAME_IMAGE
    image = an_image(tuple(a_layer(_SEED + number, part) for number in range(_LAYERS_OF_SAME_IMAGE)), name="same")
    return Corpus(images={f"repo-{number:02}": {"v1": image} for number in range(sizes.same_image_repositories)})


def many_tags(sizes: Sizes, _directory: Path) -> Corpus:
    """One repository with many tags, each an image of its own over one layer."""
    layer = a_layer(_SEED, MIB)
    return Corpus(
        images={"many": {f"v{number:04}": an_image((layer,), name=str(number)) for number in range(sizes.many_tags)}}
    )


def changed(corpus: Corpus, number: int) -> Corpus:
    """The corpus with another image at one tag; which one it is depends on the number."""
    repository = corpus.repositories[0]
    tag, image = next(iter(corpus.images[repository].items()))
    own = a_layer(_SEED + 1_000_000 + number, _OWN_LAYER_BYTES)
    return corpus.with_image(repository, tag, an_image((*image.layers[:-1], own), name=f"changed {number}"))


class Pusher:
    """Writes to a registry, and looks into it."""

    def __init__(self, session: aiohttp.ClientSession, endpoint: Endpoint) -> None:
        self._session = session
        self._url = endpoint.url
        self._home: dict[str, str] = {}

    @classmethod
    @asynccontextmanager
    async def at(cls, endpoint: Endpoint) -> AsyncIterator[Self]:
        connector = aiohttp.TCPConnector(limit=_CONNECTIONS, ssl=endpoint.ssl_context)
        async with aiohttp.ClientSession(connector=connector, timeout=_NO_TIMEOUT) as session:
            yield cls(session, endpoint)

    async def push(self, corpus: Corpus) -> None:
        """All of it; a blob that an earlier repository has is mounted."""
        for repository, tags in corpus.images.items():
            blobs = {blob.digest: blob for image in tags.values() for blob in image.blobs}
            async with asyncio.TaskGroup() as group:
                for blob in blobs.values():
                    group.create_task(self._put_blob(repository, blob))
            async with asyncio.TaskGroup() as group:
                for tag, image in tags.items():
                    group.create_task(self._put_manifest(repository, tag, image))

    async def open_upload(self, repository: str, blob: Blob, *, mount_from: str | None = None) -> str | None:
        """Where the blob is to be put; None when it could be mounted."""
        query = {"mount": blob.digest, "from": mount_from} if mount_from else {}
        async with self._session.post(f"{self._url}/v2/{repository}/blobs/uploads/", params=query) as answer:
            answer.raise_for_status()
            if answer.status == _CREATED:
                return None
            location = answer.headers["Location"]
            return f"{location}{'&' if '?' in location else '?'}digest={blob.digest}"

    async def missing(self, corpus: Corpus) -> list[str]:
        """What the registry has not, or has with another digest, as repository:tag."""
        checks = [
            self._lacks(repository, tag, image)
            for repository, tags in corpus.images.items()
            for tag, image in tags.items()
        ]
        return [found for found in await asyncio.gather(*checks) if found]

    async def _put_blob(self, repository: str, blob: Blob) -> None:
        url = await self.open_upload(repository, blob, mount_from=self._home.get(blob.digest))
        if url is None:
            return
        if isinstance(blob.content, Path):
            with blob.content.open("rb") as file:
                await self._put(url, file)
        else:
            await self._put(url, blob.content)
        self._home[blob.digest] = repository

    async def _put(self, url: str, body: object) -> None:
        headers = {"Content-Type": "application/octet-stream"}
        async with self._session.put(url, data=body, headers=headers) as answer:
            answer.raise_for_status()

    async def _put_manifest(self, repository: str, tag: str, image: Image) -> None:
        headers = {"Content-Type": MANIFEST_TYPE}
        url = f"{self._url}/v2/{repository}/manifests/{tag}"
        async with self._session.put(url, data=image.manifest, headers=headers) as answer:
            answer.raise_for_status()

    async def _lacks(self, repository: str, tag: str, image: Image) -> str | None:
        url = f"{self._url}/v2/{repository}/manifests/{tag}"
        async with self._session.head(url, headers={"Accept": MANIFEST_TYPE}) as answer:
            expected = f"sha256:{hashlib.sha256(image.manifest).hexdigest()}"
            has_it = answer.status == _FOUND and answer.headers.get("Docker-Content-Digest") == expected
            return None if has_it else f"{repository}:{tag}"
