"""What policies have written, as far as it is remembered."""

from dataclasses import dataclass

from execution_svc.domain.errors import TagOfAnotherPolicy
from execution_svc.domain.transfer import Failure, Side


@dataclass(frozen=True, slots=True)
class TagPlace:
    """A tag at a destination."""

    registry: str
    repository: str
    tag: str


@dataclass(frozen=True, slots=True, kw_only=True)
class WrittenTag:
    """A tag that a policy wrote at a destination, with its digest there, and what it is at the source."""

    destination_registry: str
    destination_repository: str
    tag: str
    digest: str
    source_repository: str
    source_tag: str

    @property
    def place(self) -> TagPlace:
        return TagPlace(self.destination_registry, self.destination_repository, self.tag)


@dataclass(frozen=True, slots=True, kw_only=True)
class Artifact:
    """What an event has told of: a tag, a digest, or both."""

    repository: str
    tag: str = ""
    digest: str = ""


def kept_for(policy: str, repository: str) -> Failure:
    """Why tags of a destination's repository are not deleted: another policy, known by its uid, has them there too."""
    return Failure.of(TagOfAnotherPolicy(repository=repository, policy=f"policies/{policy}"), Side.DESTINATION)


def changed(written: WrittenTag, present: str) -> Failure:
    """Why a written tag is not deleted: it stands for something else by now, as the jobservice says it too."""
    return Failure(
        reason="TAG_CHANGED",
        message=f"{written.tag} stands for {present} by now and not for {written.digest}, so it stays.",
        side=Side.DESTINATION,
        metadata={"tag": written.tag, "expected": written.digest, "present": present},
    )
