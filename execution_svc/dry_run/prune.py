"""What pruning would delete: decided by the same rule as in the flow, and nothing is noted.

The flow looks only at repositories of which something was not listed. Here that is not in a table, so every repository
that something was written from is looked at, some at a time.
"""

from collections import Counter, defaultdict
from collections.abc import AsyncGenerator, Callable, Iterator, Mapping, Sequence
from contextlib import aclosing
from itertools import groupby
from typing import Final, Protocol

from execution_svc.domain.plan import Action, PlannedAction, PlannedReference, PruneGuard, Remembered
from execution_svc.domain.policy import Policy
from execution_svc.domain.prune import PruneRule, RepositoryCount
from execution_svc.domain.resource import Resource, ResourceBatch
from execution_svc.domain.transfer import Reference
from execution_svc.domain.written import TagPlace, WrittenTag, changed, kept_for
from execution_svc.flows.others import Others
from execution_svc.flows.planning import Item, Place
from execution_svc.flows.prune import FAILURES_MESSAGE, GUARDED_MESSAGE
from service_kit.clock import Clock

REPOSITORIES_PER_LOOK: Final = 100  # their tags are in memory at once
TAGS_PER_LOOK: Final = 20  # of a repository; of so few the registry service tells the digests, whatever a list has


class Source(Protocol):
    """What is asked of the source."""

    def list_present(self, registry: str, within: Sequence[Resource]) -> AsyncGenerator[ResourceBatch, None]:
        """What of this is there, whatever a policy's filters say; all of a repository that comes without references."""
        ...


class Written(Others, Protocol):
    """What policies have written."""

    async def written_by(self, policy: Policy, after: str, repositories: int) -> list[Remembered]:
        """What it wrote from the next so many repositories of its source, in their order, after the one named."""
        ...


class PrunePlanner:
    """Plans the pruning of one policy."""

    def __init__(self, source: Source, written: Written, clock: Clock) -> None:
        self._source = source
        self._written = written
        self._clock = clock

    async def plan(
        self, policy: Policy, listing: Callable[[], AsyncGenerator[list[Item], None]], *, failures: bool
    ) -> list[PlannedAction | PruneGuard]:
        """What would be deleted, or why nothing would be; `failures` says whether the listing had any."""
        rule = PruneRule.of_document(policy.document)
        if rule is None or not policy.identity:  # what inline policies wrote is nobody's
            return []
        if failures:
            return [PruneGuard(message=FAILURES_MESSAGE)]
        now = self._clock.now()
        before = now - rule.grace_period
        written: Counter[Place] = Counter()
        due: list[WrittenTag] = []
        after = ""
        while page := await self._written.written_by(policy, after, REPOSITORIES_PER_LOOK):
            after = page[-1].written.source_repository
            there = await self._there(policy, page)
            if there is None:
                return [PruneGuard(message=FAILURES_MESSAGE)]
            written.update(_place(each.written) for each in page)
            due += [
                each.written
                for each in page
                if _is_missing(each.written, there) and (each.missing_since or now) <= before
            ]
        due = await _not_brought(due, listing) if due else []
        others = await self._written.other_policies(policy, [each.place for each in due])
        if guarded := rule.guard(_counts([each for each in due if each.place not in others], written)):
            return [PruneGuard(message=f"{GUARDED_MESSAGE} {guarded[0].failure.message}")]
        now_there = await self._at_destinations([each.place for each in due if each.place not in others])
        return [_planned(each, others.get(each.place, ""), now_there) for each in due]

    async def _at_destinations(self, places: Sequence[TagPlace]) -> dict[TagPlace, str]:
        """What the tags stand for now, empty for nothing; without those of which that cannot be seen."""
        found: dict[TagPlace, str] = {}
        for registry, within in _looks(places):
            found |= {
                TagPlace(registry, each.repository, named.tag): "" for each in within for named in each.references
            }
            unseen: set[TagPlace] = set()
            async with aclosing(self._source.list_present(registry, within)) as batches:
                async for batch in batches:
                    failed = {each.repository for each in batch.failures}
                    unseen |= {each for each in found if each.registry == registry and each.repository in failed}
                    present = {
                        TagPlace(registry, each.repository, named.tag): named.digest
                        for each in batch.resources
                        for named in each.references
                    }
                    unseen |= {place for place, digest in present.items() if not digest}
                    found |= present
            found = {place: digest for place, digest in found.items() if place not in unseen}
        return found

    async def _there(self, policy: Policy, page: Sequence[Remembered]) -> set[tuple[str, str]] | None:
        """The tags that these repositories have; None when one of them cannot be seen."""
        names = dict.fromkeys(each.written.source_repository for each in page)
        within = [Resource(repository=name, references=()) for name in names]
        found: set[tuple[str, str]] = set()
        async with aclosing(self._source.list_present(policy.source_registry, within)) as batches:
            async for batch in batches:
                if batch.failures:
                    return None
                found |= {(each.repository, named.tag) for each in batch.resources for named in each.references}
        return found


def _is_missing(written: WrittenTag, there: set[tuple[str, str]]) -> bool:
    return (written.source_repository, written.source_tag) not in there


def _place(written: WrittenTag) -> Place:
    return written.destination_registry, written.destination_repository


def _counts(due: Sequence[WrittenTag], written: Counter[Place]) -> list[RepositoryCount]:
    of_places = Counter(_place(each) for each in due)
    return [
        RepositoryCount(registry=place[0], repository=place[1], written=written[place], due=count)
        for place, count in of_places.items()
    ]


async def _not_brought(
    due: Sequence[WrittenTag], listing: Callable[[], AsyncGenerator[list[Item], None]]
) -> list[WrittenTag]:
    """Without what comes to the same place from elsewhere; listed once more, so that only what is due is remembered."""
    left = {each.place: each for each in due}
    async with aclosing(listing()) as batches:
        async for items in batches:
            for item in items:
                for each in item.references:
                    left.pop(TagPlace(*item.place, each.destination_tag or each.tag), None)
    return list(left.values())


def _looks(places: Sequence[TagPlace]) -> Iterator[tuple[str, list[Resource]]]:
    """The tags of a registry, some of each of some repositories at a time."""
    slices: dict[str, list[list[Resource]]] = defaultdict(list)  # of a registry, by which slice of its repository it is
    for (registry, repository), same in groupby(sorted(places, key=_of_repository), _of_repository):
        references = [Reference(tag=each.tag) for each in same]
        for number, start in enumerate(range(0, len(references), TAGS_PER_LOOK)):
            if number == len(slices[registry]):
                slices[registry].append([])
            some = tuple(references[start : start + TAGS_PER_LOOK])
            slices[registry][number].append(Resource(repository=repository, references=some))
    for registry, numbered in slices.items():
        for resources in numbered:
            for start in range(0, len(resources), REPOSITORIES_PER_LOOK):
                yield registry, resources[start : start + REPOSITORIES_PER_LOOK]


def _of_repository(place: TagPlace) -> Place:
    return place.registry, place.repository


def _planned(written: WrittenTag, other: str, there: Mapping[TagPlace, str]) -> PlannedAction:
    """A deletion, unless another policy has the tag there too, or it is gone there or changed."""
    action, failure = Action.DELETE, None
    present = there.get(written.place, written.digest)
    if other:
        action, failure = Action.SKIP, kept_for(other, written.destination_repository)
    elif not present and written.place in there:
        action = Action.UNCHANGED
    elif written.digest and present != written.digest:
        action, failure = Action.SKIP, changed(written, present)
    return PlannedAction(
        destination_registry=written.destination_registry,
        source_repository=written.source_repository,
        destination_repository=written.destination_repository,
        kind=PlannedReference(
            tag=written.source_tag,
            destination_tag=written.tag,
            present_digest=written.digest if action is Action.DELETE else present,
            action=action,
            failure=failure,
        ),
    )
