"""Descriptors, and the strict reading of the JSON that holds them."""

import base64
import binascii
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Self

from oci_client.digest import Digest
from oci_client.errors import InvalidDigest, ManifestInvalid


@dataclass(frozen=True, slots=True, kw_only=True)
class Platform:
    """What an image runs on."""

    os: str
    architecture: str
    variant: str = ""
    os_version: str = ""
    os_features: tuple[str, ...] = ()

    def __str__(self) -> str:
        return "/".join(part for part in (self.os, self.architecture, self.variant) if part)


@dataclass(frozen=True, slots=True, kw_only=True)
class Descriptor:
    """A pointer to content: its type, digest and size."""

    media_type: str
    digest: Digest
    size: int
    urls: tuple[str, ...] = ()
    annotations: Mapping[str, str] = field(default_factory=dict, hash=False)
    artifact_type: str = ""
    platform: Platform | None = None
    data: bytes | None = None


@dataclass(frozen=True, slots=True)
class Fields:
    """A JSON object read strictly: a field of the wrong type raises ManifestInvalid, which says where it is."""

    value: Mapping[str, Any]
    path: str = ""

    @classmethod
    def of_document(cls, raw: bytes) -> Self:
        try:
            value = json.loads(raw)
        except (ValueError, RecursionError) as exc:
            raise ManifestInvalid(f"not JSON: {exc}") from exc
        if not isinstance(value, dict):
            raise ManifestInvalid("not a JSON object")
        return cls(value)

    def forbid(self, *names: str) -> None:
        """Raise for fields of another kind of manifest: readers would disagree on what such content is."""
        for name in names:
            if name in self.value:
                raise ManifestInvalid(f"{self.path}{name} does not belong here")

    def text(self, name: str) -> str:
        return self._typed(name, str) or ""

    def required_text(self, name: str) -> str:
        text = self.text(name)
        if not text:
            raise ManifestInvalid(f"{self.path}{name} is missing")
        return text

    def texts(self, name: str) -> tuple[str, ...]:
        items = self._typed(name, list) or []
        if not all(isinstance(item, str) for item in items):
            raise ManifestInvalid(f"{self.path}{name} holds something that is not text")
        return tuple(items)

    def annotations(self) -> dict[str, str]:
        items = self._typed("annotations", dict) or {}
        if not all(isinstance(item, str) for item in items.values()):
            raise ManifestInvalid(f"{self.path}annotations holds something that is not text")
        return items

    def descriptor(self, name: str, *, required: bool = False) -> Descriptor | None:
        value = self._typed(name, dict)
        if value is None:
            if required:
                raise ManifestInvalid(f"{self.path}{name} is missing")
            return None
        return Fields(value, f"{self.path}{name}.").as_descriptor()

    def descriptors(self, name: str, *, required: bool = False) -> tuple[Descriptor, ...]:
        # `null` is how Go writes an empty list.
        if required and name not in self.value:
            raise ManifestInvalid(f"{self.path}{name} is missing")
        items = self._typed(name, list) or []
        if not all(isinstance(item, dict) for item in items):
            raise ManifestInvalid(f"{self.path}{name} holds something that is not a descriptor")
        return tuple(Fields(item, f"{self.path}{name}[{i}].").as_descriptor() for i, item in enumerate(items))

    def as_descriptor(self) -> Descriptor:
        platform = self._typed("platform", dict)
        return Descriptor(
            media_type=self.required_text("mediaType"),
            digest=self._digest(),
            size=self._size(),
            urls=self.texts("urls"),
            annotations=self.annotations(),
            artifact_type=self.text("artifactType"),
            platform=Fields(platform, f"{self.path}platform.").as_platform() if platform else None,
            data=self._data(),
        )

    def as_platform(self) -> Platform:
        return Platform(
            os=self.text("os"),
            architecture=self.text("architecture"),
            variant=self.text("variant"),
            os_version=self.text("os.version"),
            os_features=self.texts("os.features"),
        )

    def _digest(self) -> Digest:
        try:
            return Digest.parse(self.required_text("digest"))
        except InvalidDigest as exc:
            raise ManifestInvalid(f"{self.path}digest: {exc}") from exc

    def _size(self) -> int:
        size = self.value.get("size")
        if not isinstance(size, int) or isinstance(size, bool) or size < 0:
            raise ManifestInvalid(f"{self.path}size is not a number of bytes")
        return size

    def _data(self) -> bytes | None:
        text = self._typed("data", str)
        try:
            return None if text is None else base64.b64decode(text, validate=True)
        except binascii.Error as exc:
            raise ManifestInvalid(f"{self.path}data is not base64") from exc

    def _typed(self, name: str, kind: type) -> Any:
        value = self.value.get(name)
        if value is not None and not isinstance(value, kind):
            raise ManifestInvalid(f"{self.path}{name} is not a {kind.__name__}")
        return value
