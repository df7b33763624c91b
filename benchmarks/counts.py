"""Requests and bytes at a registry, by what was asked."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final, Self
from urllib.parse import parse_qs, urlsplit

MOUNT: Final = "mount"
MOUNT_REFUSED: Final = "mount refused"
_CREATED: Final = 201
_KINDS: Final = (
    ("ping", re.compile(r"/v2/?")),
    ("catalog", re.compile(r"/v2/_catalog")),
    ("tags", re.compile(r"/v2/.+/tags/list")),
    ("manifest", re.compile(r"/v2/.+/manifests/[^/]+")),
    ("upload", re.compile(r"/v2/.+/blobs/uploads/.*")),
    ("blob", re.compile(r"/v2/.+/blobs/[^/]+")),
    ("referrers", re.compile(r"/v2/.+/referrers/[^/]+")),
)


def kind_of(method: str, target: str, status: int) -> str:
    """What a request asked for; a mount is one that the registry did, and refused when it opened an upload instead."""
    parts = urlsplit(target)
    if method == "POST" and "mount" in parse_qs(parts.query):
        return MOUNT if status == _CREATED else MOUNT_REFUSED
    return next((kind for kind, pattern in _KINDS if pattern.fullmatch(parts.path)), "other")


@dataclass(frozen=True, slots=True, kw_only=True)
class Tally:
    """Requests of one method and kind, with the bytes of their bodies and of the answers'."""

    requests: int = 0
    bytes_in: int = 0
    bytes_out: int = 0

    def plus(self, other: Self) -> Self:
        return replace(
            self,
            requests=self.requests + other.requests,
            bytes_in=self.bytes_in + other.bytes_in,
            bytes_out=self.bytes_out + other.bytes_out,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Counts:
    """What reached one registry. Keys are `METHOD kind`, such as `HEAD manifest`."""

    tallies: Mapping[str, Tally] = field(default_factory=dict)
    peak_in_flight: int = 0
    cuts: int = 0

    @property
    def requests(self) -> int:
        return sum(tally.requests for tally in self.tallies.values())

    @property
    def blob_bytes_read(self) -> int:
        return self.of("GET blob").bytes_out

    @property
    def blob_bytes_written(self) -> int:
        return sum(tally.bytes_in for key, tally in self.tallies.items() if key.endswith(" upload"))

    @property
    def mounts(self) -> int:
        return self.of(f"POST {MOUNT}").requests

    def of(self, key: str) -> Tally:
        return self.tallies.get(key, Tally())

    def without(self, keys: Iterable[str]) -> int:
        """Requests other than those."""
        return self.requests - sum(self.of(key).requests for key in keys)

    def to_json(self) -> dict[str, Any]:
        tallies = {
            key: {"requests": tally.requests, "bytes_in": tally.bytes_in, "bytes_out": tally.bytes_out}
            for key, tally in sorted(self.tallies.items())
        }
        return {"tallies": tallies, "peak_in_flight": self.peak_in_flight, "cuts": self.cuts}

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> Self:
        tallies = {key: Tally(**tally) for key, tally in document["tallies"].items()}
        return cls(tallies=tallies, peak_in_flight=document["peak_in_flight"], cuts=document["cuts"])
