"""What a policy would pick and where that would go, found out without doing it."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import StrEnum
from types import MappingProxyType

from policy_svc.domain.policy import Destination, PolicySpec
from replication.collisions import CollisionDetector, Placement
from replication.filters import Selection
from replication.mapping import (
    MappedTagInvalid,
    MappingInvalid,
    PathRule,
    PathRuleViolated,
    ReplaceCountTooLarge,
)
from replication.names import is_repository_name, is_tag
from replication.newest import DatedTag, Order, keep_newest
from replication.rejection import Cause, Rejection


class Side(StrEnum):
    """At which registry something happened; neither when it is not known."""

    NEITHER = ""
    SOURCE = "source"
    DESTINATION = "destination"


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """Why something cannot be done, with a reason of error_reason.proto."""

    reason: str
    message: str
    side: Side = Side.DESTINATION
    registry_code: str = ""
    http_status: int = 0
    metadata: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))


@dataclass(frozen=True, slots=True)
class Artifact:
    """A tag of a repository; the tag is empty for an artifact without one."""

    repository: str
    tag: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """Where an artifact goes at one destination, as far as it could be found out, and why it cannot go there."""

    registry: str
    repository: str = ""
    tag: str = ""
    failure: Failure | None = None


@dataclass(frozen=True, slots=True)
class Match:
    """An artifact that is replicated, with a target for each destination."""

    artifact: Artifact
    targets: tuple[Target, ...]


@dataclass(frozen=True, slots=True)
class Rejected:
    """An artifact, or, without a tag, a whole repository that is left out, and why."""

    artifact: Artifact
    rejection: Rejection


@dataclass(frozen=True, slots=True)
class Problem:
    """A repository that could not be listed."""

    repository: str
    failure: Failure


@dataclass(frozen=True, slots=True, kw_only=True)
class Listing:
    """Some of what a source has: what passes the filters, what does not, and what could not be listed."""

    passed: tuple[Artifact, ...] = ()
    rejected: tuple[Rejected, ...] = ()
    problems: tuple[Problem, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """Some of what would be replicated, and of what would not."""

    matches: tuple[Match, ...] = ()
    rejected: tuple[Rejected, ...] = ()
    problems: tuple[Problem, ...] = ()


class Router:
    """Finds the targets of what streams by. It remembers their places, so that two on one place are seen.

    A place is a repository, but in registries where tags get other names it is a tag: repositories may share one there.
    """

    def __init__(self, spec: PolicySpec, path_rules: Mapping[str, PathRule]) -> None:
        """The path rules are those of the destinations, by name; a registry without one takes any path."""
        self._spec = spec
        self._path_rules = path_rules
        self._collisions = CollisionDetector()
        self._by_tag = {each.registry for each in spec.destinations if each.mapping.tag}

    def route(self, artifact: Artifact) -> Match:
        return Match(artifact, tuple(self._target(artifact, each) for each in self._spec.destinations))

    def _target(self, artifact: Artifact, destination: Destination) -> Target:
        registry, source_id = destination.registry, self._spec.source_id
        try:
            repository = destination.mapping.map_repository(artifact.repository, registry=source_id)
            tag = destination.mapping.map_tag(artifact.tag, repository=artifact.repository, registry=source_id)
        except (MappingInvalid, MappedTagInvalid, ReplaceCountTooLarge) as error:
            metadata = {"repository": artifact.repository}
            return Target(
                registry=registry, failure=Failure(reason="MAPPING_INVALID", message=f"{error}", metadata=metadata)
            )
        target = Target(registry=registry, repository=repository, tag=tag)
        return replace(target, failure=self._wrong_path(registry, repository) or self._collision(artifact, target))

    def _wrong_path(self, registry: str, repository: str) -> Failure | None:
        try:
            self._path_rules.get(registry, PathRule()).check(repository)
        except PathRuleViolated as error:
            metadata = {"repository": error.repository, "rule": error.rule}
            return Failure(reason="PATH_RULE_VIOLATED", message=f"{error}, which {registry} wants", metadata=metadata)
        return None

    def _collision(self, artifact: Artifact, target: Target) -> Failure | None:
        source, place = artifact.repository, target.repository
        if target.registry in self._by_tag:
            if not target.tag:
                return None
            source, place = f"{source}:{artifact.tag}", f"{place}:{target.tag}"
        first = self._collisions.add(Placement(source=source, registry=target.registry, repository=place))
        if first is None:
            return None
        return Failure(
            reason="DESTINATION_COLLISION",
            message=f"{first} goes to {place} as well; neither is copied. Give them different names.",
            metadata={"repository": place, "sources": f"{first}, {source}"},
        )


def try_candidates(spec: PolicySpec, candidates: Iterable[Artifact], now: datetime) -> Listing:
    """What the policy would do with the candidates if the source had them, and nothing else.

    Rules on what only a registry knows of an artifact (its labels, its type, its age) are left out.
    """
    selection = Selection.compile(spec.filters)
    passed: dict[str, list[str]] = {}
    rejected: dict[Rejected, None] = {}
    for each in dict.fromkeys(candidates):
        if found := _rejected(each, selection):
            rejected[found] = None
        else:
            passed.setdefault(each.repository, []).append(each.tag)
    kept: list[Artifact] = []
    for repository, tags in passed.items():
        newest, surplus = _newest(spec, repository, tags, now)
        kept += newest
        rejected |= dict.fromkeys(surplus)
    return Listing(passed=tuple(kept), rejected=tuple(rejected))


def _rejected(artifact: Artifact, selection: Selection) -> Rejected | None:
    """The whole repository where that is what is rejected."""
    if not is_repository_name(artifact.repository) or (artifact.tag and not is_tag(artifact.tag)):
        message = "no registry has a repository or a tag of this name"
        return Rejected(artifact, Rejection(cause=Cause.NOT_REPLICATED, message=message))
    if rejection := selection.reject_repository(artifact.repository):
        return Rejected(Artifact(artifact.repository), rejection)
    if rejection := selection.reject_tag(artifact.tag):
        return Rejected(artifact, rejection)
    return None


def _newest(
    spec: PolicySpec, repository: str, tags: Sequence[str], now: datetime
) -> tuple[list[Artifact], Iterator[Rejected]]:
    if spec.newest is None or spec.newest.order is not Order.SEMVER:
        return [Artifact(repository, tag) for tag in tags], iter(())
    kept, rejections = keep_newest([DatedTag(tag=tag) for tag in tags], spec.newest, now)
    surplus = (Rejected(Artifact(repository, each.tag), rejection) for each, rejection in rejections)
    return [Artifact(repository, each.tag) for each in kept], surplus
