"""When an image was created, by its own configuration: what a registry without times in its listing can tell."""

import json
from collections import OrderedDict
from collections.abc import AsyncGenerator
from contextlib import aclosing
from datetime import datetime
from typing import Final, Protocol

from oci_client.digest import Digest
from oci_client.errors import BodyTooLarge
from oci_client.manifest import Descriptor, ImageIndex, ImageManifest, Manifest
from oci_client.singleflight import SingleFlight
from registry_svc.adapters.retries import Retries
from registry_svc.adapters.times import parse_time

MAX_CONFIG_BYTES: Final = 4 * 1024 * 1024  # as manifests; configurations have some kilobytes
MAX_TIMES: Final = 20_000  # remembered, some 200 bytes each

_CREATED: Final = "org.opencontainers.image.created"
_NO_PLATFORM: Final = "unknown"  # BuildKit writes it at attestations


class Images(Protocol):
    """What of a registry is needed to learn a time."""

    async def head_manifest(self, repository: str, reference: str) -> Descriptor | None: ...

    async def get_manifest(self, repository: str, reference: str) -> Manifest: ...

    def get_blob(self, repository: str, digest: Digest, *, size: int | None = None) -> AsyncGenerator[bytes, None]: ...


class CreationTimes:
    """The times of images by their digests. What was learned once is not asked for again."""

    def __init__(self, registry: Images) -> None:
        self._registry = registry
        self._known: OrderedDict[Digest, datetime | None] = OrderedDict()
        self._asking: SingleFlight[Digest, datetime | None] = SingleFlight()

    async def of(self, repository: str, reference: str, retries: Retries) -> tuple[Digest, datetime | None] | None:
        """The digest of a reference and when it was created, if it tells that; None when there is no such reference.

        Raises an OciError when the time cannot be learned.
        """
        found = await retries.run(lambda: self._registry.head_manifest(repository, reference))
        if found is None:
            return None
        return found.digest, await self._of_digest(repository, found.digest, retries)

    async def _of_digest(self, repository: str, digest: Digest, retries: Retries) -> datetime | None:
        if digest in self._known:
            self._known.move_to_end(digest)
            return self._known[digest]
        # Tags often share an image.
        time = await self._asking.run(digest, lambda: retries.run(lambda: self._ask(repository, digest)))
        self._known[digest] = time
        while len(self._known) > MAX_TIMES:
            self._known.popitem(last=False)
        return time

    async def _ask(self, repository: str, digest: Digest) -> datetime | None:
        manifest = await self._registry.get_manifest(repository, str(digest))
        if isinstance(manifest, ImageIndex) and (image := _first_image(manifest)):
            manifest = await self._registry.get_manifest(repository, str(image.digest))
        if not isinstance(manifest, ImageManifest):
            return None
        return await self._configured(repository, manifest) or parse_time(manifest.annotations.get(_CREATED))

    async def _configured(self, repository: str, manifest: ImageManifest) -> datetime | None:
        config = manifest.config
        if config is None:
            return None
        if config.size > MAX_CONFIG_BYTES:
            raise BodyTooLarge(f"{repository}@{config.digest}: a configuration of {config.size} bytes")
        body = bytearray()
        async with aclosing(self._registry.get_blob(repository, config.digest, size=config.size)) as pieces:
            async for piece in pieces:
                body += piece
        try:
            document = json.loads(body)
        except (ValueError, RecursionError):
            return None  # a configuration of some other kind of artifact
        return parse_time(document.get("created")) if isinstance(document, dict) else None


def _first_image(index: ImageIndex) -> Descriptor | None:
    return next(
        (each for each in index.manifests if each.platform is None or each.platform.os != _NO_PLATFORM),
        None,
    )
