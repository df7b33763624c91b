"""Names of content: repository, tag, and the whole `host/repository:tag@digest`.

Short forms of particular products (such as a bare `alpine`) are not expanded: what is written is what is meant.
"""

import re
from dataclasses import dataclass
from typing import Final, Self

from oci_client.digest import Digest
from oci_client.errors import InvalidDigest, InvalidReference

MAX_REPOSITORY_CHARS: Final = 255  # of the name alone; the specification asks clients to stay below 255 with the host

_COMPONENT: Final = r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*"
_REPOSITORY: Final = re.compile(rf"{_COMPONENT}(?:/{_COMPONENT})*")
_TAG: Final = re.compile(r"[a-zA-Z0-9_][a-zA-Z0-9._-]{0,127}")
_HOST: Final = re.compile(r"(?:[a-zA-Z0-9](?:[a-zA-Z0-9.-]*[a-zA-Z0-9])?|\[[0-9a-fA-F:.]+\])(?::[0-9]{1,5})?")


class RepositoryName(str):
    """A repository name that the specification allows."""

    __slots__ = ()

    @classmethod
    def parse(cls, text: str) -> Self:
        """Return `text` as a repository name, or raise InvalidReference."""
        if len(text) > MAX_REPOSITORY_CHARS or not _REPOSITORY.fullmatch(text):
            raise InvalidReference(text, "is not a repository name")
        return cls(text)

    @property
    def components(self) -> tuple[str, ...]:
        return tuple(self.split("/"))


class Tag(str):
    """A tag that the specification allows."""

    __slots__ = ()

    @classmethod
    def parse(cls, text: str) -> Self:
        """Return `text` as a tag, or raise InvalidReference."""
        if not _TAG.fullmatch(text):
            raise InvalidReference(text, "is not a tag")
        return cls(text)


def tag_or_digest(text: str) -> Tag | Digest:
    """Read the last part of a manifest URL: a digest has a colon and a tag never has."""
    if ":" not in text:
        return Tag.parse(text)
    try:
        return Digest.parse(text)
    except InvalidDigest as exc:
        raise InvalidReference(text, "is neither a tag nor a digest") from exc


@dataclass(frozen=True, slots=True, kw_only=True)
class Reference:
    """A repository, where it is, and which of its manifests is meant."""

    host: str | None = None
    repository: RepositoryName
    tag: Tag | None = None
    digest: Digest | None = None

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read `[host[:port]/]repository[:tag][@digest]`, or raise InvalidReference."""
        name, at, digest = text.partition("@")
        host, path = _split_host(name)
        path, colon, tag = path.partition(":")
        try:
            return cls(
                host=host,
                repository=RepositoryName.parse(path),
                tag=Tag.parse(tag) if colon else None,
                digest=Digest.parse(digest) if at else None,
            )
        except (InvalidReference, InvalidDigest) as exc:
            raise InvalidReference(text, "is not a reference") from exc

    def __str__(self) -> str:
        host = f"{self.host}/" if self.host else ""
        tag = f":{self.tag}" if self.tag else ""
        digest = f"@{self.digest}" if self.digest else ""
        return f"{host}{self.repository}{tag}{digest}"


def _split_host(name: str) -> tuple[str | None, str]:
    """A first component with a dot, a colon or a bracket, or `localhost`, can only be a host."""
    first, slash, rest = name.partition("/")
    if not slash or not (first == "localhost" or any(mark in first for mark in ".:[") or first != first.lower()):
        return None, name
    if not _HOST.fullmatch(first):
        raise InvalidReference(name, "has a malformed host")
    return first, rest
