"""Decides what becomes of a listing: pure functions from resources to items, and from items to tasks."""

import hashlib
import uuid
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

from execution_svc.domain.errors import DestinationCollision, MappingImpossible, PathRuleBroken
from execution_svc.domain.execution import ExecutionId
from execution_svc.domain.policy import Destination, Policy
from execution_svc.domain.resource import RepositoryFailure, Resource, ResourceBatch
from execution_svc.domain.task import Collision, Operation, PlannedTask, TaskId
from execution_svc.domain.transfer import Failure, Reference, Side
from replication.errors import PatternInvalid
from replication.mapping import MappedTagInvalid, MappingInvalid, PathRule, PathRuleViolated, ReplaceCountTooLarge
from replication.mapping import Mapping as Names

# Enough to keep the cost of a job small beside its work, few enough to spread a huge repository over many workers.
REFERENCES_PER_TASK: Final = 100

NAMES_PER_PREPARE: Final = 1000  # the limit of PrepareRepositories

SOURCES_TOLD: Final = 20  # of a collision, in each of its failures: ten thousand may meet at one name

_TASK_NAMESPACE: Final = uuid.UUID("6f1c1c0e-3f0b-4c0e-9a35-5d6a0e3b7f52")  # any will do, as long as it stays

Place = tuple[str, str]  # a registry and a repository in it


@dataclass(frozen=True, slots=True, kw_only=True)
class Item:
    """A repository on its way to one destination, with some of its references; or why it does not go.

    With a failure it has failed or, when that is on purpose, is `skipped`.
    """

    destination_index: int
    destination_registry: str
    source_repository: str
    destination_repository: str  # empty when it has no name there
    references: tuple[Reference, ...]
    failure: Failure | None = None
    skipped: bool = False
    operation: Operation = Operation.COPY
    after_copies: bool = False
    public: bool = False  # whether everybody may read it at the source

    @property
    def place(self) -> Place:
        return self.destination_registry, self.destination_repository


def map_batch(policy: Policy, rules: Sequence[PathRule], batch: ResourceBatch) -> list[Item]:
    """Each repository of the batch, once for each destination; `rules` has the path rule of each."""
    items: list[Item] = []
    for index, (destination, rule) in enumerate(zip(policy.destinations, rules, strict=True)):
        for each in batch.resources:
            items += map_resource(policy.source_id, index, destination, rule, each) if each.references else []
        items += [failed_listing(index, destination, each) for each in batch.failures]
    return items


def map_resource(
    source_id: str, index: int, destination: Destination, rule: PathRule, resource: Resource
) -> list[Item]:
    """The repository at the destination, and an item of its own for each tag that has no name there."""
    item = Item(
        destination_index=index,
        destination_registry=destination.registry,
        source_repository=resource.repository,
        destination_repository="",
        references=resource.references,
        public=resource.public,
    )
    try:
        name = destination.names.map_repository(resource.repository, registry=source_id)
        rule.check(name)
    except PathRuleViolated as error:
        violation = PathRuleBroken(repository=error.repository, rule=error.rule)
        return [replace(item, destination_repository=name, failure=Failure.of(violation, Side.DESTINATION))]
    except (MappingInvalid, ReplaceCountTooLarge, PatternInvalid) as error:
        return [replace(item, failure=_unmappable(resource.repository, error))]
    return _map_tags(source_id, destination.names, replace(item, destination_repository=name))


def _map_tags(source_id: str, names: Names, item: Item) -> list[Item]:
    if not names.tag:
        return [item]
    mapped: list[Reference] = []
    items: list[Item] = []
    for each in item.references:
        try:
            there = names.map_tag(each.tag, repository=item.source_repository, registry=source_id)
        except (MappedTagInvalid, PatternInvalid) as error:
            failure = _unmappable(f"{item.source_repository}:{each.tag}", error)
            items.append(replace(item, references=(each,), failure=failure))
        else:
            mapped.append(replace(each, destination_tag="" if there == each.tag else there))
    return [replace(item, references=tuple(mapped)), *items] if mapped else items


def _unmappable(what: str, why: ValueError) -> Failure:
    return Failure.of(MappingImpossible(repository=what, why=str(why)), Side.DESTINATION)


def failed_listing(index: int, destination: Destination, failed: RepositoryFailure) -> Item:
    return Item(
        destination_index=index,
        destination_registry=destination.registry,
        source_repository=failed.repository,
        destination_repository="",
        references=(),
        # Which side a registry is on, its service does not know.
        failure=replace(failed.failure, side=Side.SOURCE),
    )


def settle_unprepared(
    items: Sequence[Item], failed: Mapping[Place, Failure], excluded: Mapping[Place, Failure]
) -> list[Item]:
    """The items; those whose place could not be prepared have failed, those whose place is excluded are skipped."""
    return [_settled_if_unprepared(item, failed, excluded) for item in items]


def _settled_if_unprepared(item: Item, failed: Mapping[Place, Failure], excluded: Mapping[Place, Failure]) -> Item:
    failure = failed.get(item.place) or excluded.get(item.place)
    if item.failure or failure is None:
        return item
    return replace(item, failure=replace(failure, side=Side.DESTINATION), skipped=item.place not in failed)


def plan_tasks(execution: ExecutionId, policy: Policy, items: Sequence[Item]) -> list[PlannedTask]:
    """The tasks of the items. The same items make the same tasks, ids included."""
    return [
        PlannedTask(
            id=task_id(execution, item, references),
            operation=item.operation,
            destination_index=item.destination_index,
            source_registry=policy.source_registry,
            source_repository=item.source_repository,
            destination_registry=item.destination_registry,
            destination_repository=item.destination_repository,
            references=references,
            failure=item.failure,
            skipped=item.skipped,
            after_copies=item.after_copies,
        )
        for item in items
        for references in slices(item)
    ]


def slices(item: Item) -> Iterator[tuple[Reference, ...]]:
    """The references in tasks' portions. An item that has ended needs no job, so it stays in one piece."""
    if item.failure:
        yield item.references
        return
    for start in range(0, len(item.references), REFERENCES_PER_TASK):
        yield item.references[start : start + REFERENCES_PER_TASK]


def task_id(execution: ExecutionId, item: Item, references: Sequence[Reference]) -> TaskId:
    """Depends on what the task is about, every reference included: two tasks with one id are the same task."""
    content = "\n".join(f"{reference.key} {reference.destination_tag}" for reference in references)
    digest = hashlib.sha256(content.encode()).hexdigest()
    place = f"{item.destination_index}\n{item.source_repository}\n{item.destination_repository}"
    text = f"{execution}\n{item.operation}\n{place}\n{digest}"
    return TaskId(str(uuid.uuid5(_TASK_NAMESPACE, text)))


def collision_failure(collision: Collision) -> Failure:
    place = ":".join(filter(None, (collision.destination_repository, collision.destination_tag)))
    names = sorted(collision.sources)
    more = f" and {len(names) - SOURCES_TOLD} more" if len(names) > SOURCES_TOLD else ""
    error = DestinationCollision(repository=place, sources=", ".join(names[:SOURCES_TOLD]) + more)
    return Failure.of(error, Side.DESTINATION)
