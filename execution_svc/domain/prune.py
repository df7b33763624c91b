"""Which of a policy's written tags may be deleted when the source no longer has them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final, Self

from execution_svc.domain.errors import PruneGuarded
from execution_svc.domain.transfer import Failure, Side

PERCENT: Final = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class RepositoryCount:
    """Tags of one repository of a destination: those that the policy wrote, and those of them that are due."""

    registry: str
    repository: str
    written: int
    due: int


@dataclass(frozen=True, slots=True, kw_only=True)
class GuardedPlace:
    """Where the guard has spoken; no repository when it is about all of them together."""

    registry: str = ""
    repository: str = ""
    failure: Failure


@dataclass(frozen=True, slots=True, kw_only=True)
class PruneRule:
    """What may be deleted at once, and how long a tag must have been missing. 0 is no guard of that kind."""

    max_percent: int = 0
    max_tags: int = 0
    grace_period: timedelta = timedelta()

    @classmethod
    def of_document(cls, document: Mapping[str, Any]) -> Self | None:
        """Reads the JSON form of `transship.policy.v1.Policy`; None when it does not prune."""
        prune = document.get("deletion", {}).get("prune")
        if prune is None:
            return None
        seconds = float(str(prune.get("grace_period", "0s")).removesuffix("s"))
        return cls(
            max_percent=prune.get("max_percent", 0),
            max_tags=prune.get("max_tags", 0),
            grace_period=timedelta(seconds=seconds),
        )

    def guard(self, counts: Sequence[RepositoryCount]) -> list[GuardedPlace]:
        """Where more is due than may be deleted. If that is anywhere, nothing is deleted.

        A rule without any guard allows nothing.
        """
        found = [_too_much(each, self._allowed_of(each)) for each in counts if each.due > self._allowed_of(each)]
        due = sum(each.due for each in counts)
        if self.max_tags and due > self.max_tags:
            failure = _guarded("all repositories", due, self.max_tags)
            found.append(GuardedPlace(failure=failure))
        return found

    def _allowed_of(self, count: RepositoryCount) -> int:
        if self.max_percent:
            return count.written * self.max_percent // PERCENT
        return count.due if self.max_tags else 0


def _too_much(count: RepositoryCount, allowed: int) -> GuardedPlace:
    failure = _guarded(count.repository, count.due, allowed)
    return GuardedPlace(registry=count.registry, repository=count.repository, failure=failure)


def _guarded(repository: str, missing: int, allowed: int) -> Failure:
    error = PruneGuarded(repository=repository, missing=str(missing), allowed=str(allowed))
    return Failure.of(error, Side.SOURCE)
