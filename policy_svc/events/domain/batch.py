"""Which policies an event concerns, and what several events of a policy come down to."""

import hashlib
from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TypeAlias

from policy_svc.events.domain.event import Event, EventKind, Notice

_Subject: TypeAlias = tuple[str, str]  # a repository, and a tag or a digest in it


@dataclass(frozen=True, slots=True, kw_only=True)
class Subscriber:
    """A policy that waits for the events of a registry.

    `selects` tells of a repository and a tag (None: of any tag) whether its filters may let it through; whether they do
    is for the execution to say, which can ask the registry.
    """

    policy_uid: str
    policy: str
    registry: str
    deletes: bool
    selects: Callable[[str, str | None], bool]

    def wants(self, notice: Notice) -> bool:
        if notice.kind is EventKind.PUSH:
            return self.selects(notice.repository, notice.tag)
        # Who deletes by digest does not say which tags that takes away.
        return self.deletes and self.selects(notice.repository, notice.tag or None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """Events of one registry with which one policy is to be started, claimed under a token.

    It keeps its events until it is settled, so a repetition after a crash says the same again.
    """

    token: str
    policy_uid: str
    registry: str
    events: tuple[Event, ...]
    attempts: int = 0

    @property
    def request_id(self) -> str:
        """The same for the same policy and events."""
        text = "\n".join([self.policy_uid, *sorted(event.uid for event in self.events)])
        return hashlib.sha256(text.encode()).hexdigest()


def newest(events: Iterable[Event]) -> list[Notice]:
    """What counts of them, in the order in which it happened: of each tag the last word.

    A deleted digest takes the pushes before it along, and a push of that digest takes back its deletion: of what comes
    together nobody says what is carried out first.
    """
    latest: dict[_Subject, Notice] = {}
    pushes: dict[_Subject, set[_Subject]] = defaultdict(set)  # of a repository and a digest
    for event in sorted(events, key=lambda each: (each.notice.occur_time, each.number)):
        notice = event.notice
        subject, content = (notice.repository, notice.tag or notice.digest), (notice.repository, notice.digest)
        if notice.kind is EventKind.PUSH:
            pushes[content].add(subject)
            _drop(latest, [content], EventKind.DELETE)
        elif not notice.tag:
            _drop(latest, pushes.pop(content, ()), EventKind.PUSH, digest=notice.digest)
        latest.pop(subject, None)  # so that it stands where it happened last
        latest[subject] = notice
    return list(latest.values())


def _drop(
    latest: dict[_Subject, Notice], subjects: Iterable[_Subject], kind: EventKind, digest: str | None = None
) -> None:
    for subject in subjects:
        found = latest.get(subject)
        if found and found.kind is kind and digest in {None, found.digest}:
            del latest[subject]
