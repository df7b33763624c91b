"""What policies have written, as far as it is remembered."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class WrittenTag:
    """A tag that a policy wrote at a destination, with its digest there, and what it is at the source."""

    destination_registry: str
    destination_repository: str
    tag: str
    digest: str
    source_repository: str
    source_tag: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Artifact:
    """What an event has told of: a tag, a digest, or both."""

    repository: str
    tag: str = ""
    digest: str = ""
