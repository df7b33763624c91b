"""Registries as dictionaries, policies between them, and everything of the execution service but gRPC: what is changed
somewhere is told as an event, as real registries do."""

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any

from execution_svc.domain.events import selection_of
from execution_svc.domain.execution import Execution, ExecutionId, StartRequest
from execution_svc.domain.origin import BY_HAND, EventOperation, EventResource, Origin, Trigger
from execution_svc.domain.policy import Policy
from execution_svc.domain.resource import Preparation, RepositoryFailure, Resource, ResourceBatch
from execution_svc.domain.task import Job, JobStatus, Operation, Task, TaskFilter, TaskState
from execution_svc.domain.transfer import Failure, Outcome, Reference, ReferenceResult
from execution_svc.flows.copy import CopyFlow
from execution_svc.postgres import (
    PostgresDelegationStore,
    PostgresExecutionStore,
    PostgresFlowStore,
    PostgresHistory,
)
from replication.mapping import PathRule
from service_kit.clock import FakeClock
from service_kit.database import Pool

MOST_ROUNDS = 20  # of events; more would be a circle
UNREADABLE = Failure(reason="ACCESS_DENIED", message="no")
CHANGED = Failure(reason="TAG_CHANGED", message="changed")


@dataclass(frozen=True, kw_only=True)
class Told:
    """An event of a registry."""

    registry: str
    resource: EventResource


@dataclass(kw_only=True)
class World:
    pool: Pool
    clock: FakeClock = field(default_factory=FakeClock)
    policies: list[Policy] = field(default_factory=list)
    registries: dict[str, dict[str, dict[str, str]]] = field(default_factory=dict)
    events: list[Told] = field(default_factory=list)
    copied: list[tuple[str, str, str]] = field(default_factory=list)
    deleted: list[tuple[str, str, str]] = field(default_factory=list)
    unreadable: set[str] = field(default_factory=set)
    looked: list[Sequence[Resource]] = field(default_factory=list)
    failing: bool = False  # whether every job fails
    started: int = 0

    def __post_init__(self) -> None:
        self.executions = PostgresExecutionStore(self.pool)
        self.flows = PostgresFlowStore(self.pool)
        self.jobs = PostgresDelegationStore(self.pool)
        self.history = PostgresHistory(self.pool)

    # What people do.

    def policy(self, name: str, source: str, destination: str, **document: Any) -> Policy:
        target = {"registry": f"registries/{destination}", **document.pop("mapping", {})}
        made = Policy.of_document(
            {
                "name": f"policies/{name}",
                "uid": f"uid-{name}",
                "source_registry": f"registries/{source}",
                "destinations": [target],
                "override": True,
                **document,
            }
        )
        self.policies = [each for each in self.policies if each.name != made.name] + [made]
        return made

    def push(self, registry: str, repository: str, **tags: str) -> None:
        for tag, digest in tags.items():
            self._repository(f"registries/{registry}", repository)[tag] = digest
            self._tell(f"registries/{registry}", EventOperation.PUSH, repository, tag, digest)

    def delete(self, registry: str, repository: str, *tags: str, by_digest: bool = False) -> None:
        for tag in tags:
            digest = self._repository(f"registries/{registry}", repository).pop(tag)
            told = "" if by_digest else tag
            self._tell(f"registries/{registry}", EventOperation.DELETE, repository, told, digest)

    def tags(self, registry: str, repository: str) -> dict[str, str]:
        return self._repository(f"registries/{registry}", repository)

    # What the services do.

    async def start(self, policy: Policy, *resources: EventResource) -> Execution:
        self.started += 1
        origin = Origin(trigger=Trigger.EVENT, event_resources=resources) if resources else BY_HAND
        request = StartRequest(
            id=ExecutionId(f"e{self.started}"),
            request_id=None,
            subject="s",
            policy=policy,
            origin=origin,
            now=self.clock.now(),
        )
        return await self.executions.create(request)

    async def run(self, policy: Policy, *resources: EventResource) -> Execution:
        """One execution from its start to its end."""
        execution = await self.start(policy, *resources)
        await self.work()
        return await self.executions.get(execution.id)

    async def deliver(self) -> list[Execution]:
        """Starts policies with what registries tell, until they tell no more."""
        started: list[Execution] = []
        for _ in range(MOST_ROUNDS):
            if not self.events:
                return [await self.executions.get(each.id) for each in started]
            told, self.events = self.events, []
            for event in told:
                concerned = [each for each in self.policies if each.source_registry == event.registry]
                started += [await self.start(each, event.resource) for each in concerned]
            await self.work()
        raise AssertionError("events go round and round")

    async def work(self) -> None:
        """Until nothing is left to do."""
        while await self.list_one() or await self.do_jobs():
            pass

    async def list_one(self) -> bool:
        now = self.clock.now()
        lease = await self.flows.claim_flow(token=f"t{self.started}", now=now, until=now + timedelta(hours=1))
        if lease is None:
            return False
        await CopyFlow(lease, self.flows, self, self.history, self.clock).run()
        return True

    async def do_jobs(self) -> bool:
        jobs = await self.jobs.claim_tasks(100, self.clock.now())
        for job in jobs:
            await self.finish(job)
        return bool(jobs)

    async def finish(self, job: Job) -> None:
        status = JobStatus(key=job.key, revision=1, state=TaskState.FAILED, failure=UNREADABLE)
        if not self.failing:
            do = self._copy if job.operation is Operation.COPY else self._delete
            results = tuple(do(job, each) for each in job.references)
            status = JobStatus(key=job.key, revision=1, state=TaskState.SUCCEEDED, results=results)
        self.clock.advance(timedelta(seconds=1))
        await self.jobs.fold([status], self.clock.now())

    async def tasks(self, execution: Execution) -> list[Task]:
        return await self.executions.list_tasks(TaskFilter(execution=execution.id), 0, 1000)

    # What registries answer.

    async def list_resources(self, policy: Policy, within: Sequence[Resource] = ()) -> AsyncIterator[ResourceBatch]:
        selection = selection_of(policy.document)
        async for batch in self._list(policy.source_registry, within):
            resources = [
                replace(each, references=tuple(ref for ref in each.references if selection.tag_passes(ref.tag)))
                for each in batch.resources
                if selection.repository_passes(each.repository)
            ]
            yield replace(batch, resources=tuple(each for each in resources if each.references))

    async def list_present(self, registry: str, within: Sequence[Resource]) -> AsyncIterator[ResourceBatch]:
        self.looked.append(within)
        async for batch in self._list(registry, within):
            yield batch

    async def path_rule(self, registry: str) -> PathRule:
        return PathRule()

    async def has_projects(self, registry: str) -> bool:
        return False

    async def prepare(self, registry: str, repositories: Sequence[str], *, public: bool) -> Preparation:
        return Preparation()

    async def _list(self, registry: str, within: Sequence[Resource]) -> AsyncIterator[ResourceBatch]:
        wanted = {each.repository: {ref.key for ref in each.references} for each in within}
        for repository, tags in sorted(self.registries.get(registry, {}).items()):
            if within and repository not in wanted:
                continue
            if repository in self.unreadable:
                yield ResourceBatch(failures=(RepositoryFailure(repository=repository, failure=UNREADABLE),))
                continue
            only = wanted.get(repository) or tags
            references = tuple(Reference(tag=tag, digest=tags[tag]) for tag in sorted(tags) if tag in only)
            yield ResourceBatch(resources=(Resource(repository=repository, references=references),))

    def _copy(self, job: Job, reference: Reference) -> ReferenceResult:
        digest = self._repository(job.source_registry, job.source_repository).get(reference.tag, "")
        there = reference.destination_tag or reference.tag
        result = ReferenceResult(tag=reference.tag, digest=digest, outcome=Outcome.UNCHANGED, destination_tag=there)
        if not digest:
            return replace(result, outcome=Outcome.FAILED, failure=UNREADABLE)
        tags = self._repository(job.destination_registry, job.destination_repository)
        if tags.get(there) == digest:
            return result
        tags[there] = digest
        self.copied.append((job.destination_registry, job.destination_repository, there))
        self._tell(job.destination_registry, EventOperation.PUSH, job.destination_repository, there, digest)
        return replace(result, outcome=Outcome.COPIED)

    def _delete(self, job: Job, reference: Reference) -> ReferenceResult:
        there = reference.destination_tag or reference.tag
        tags = self._repository(job.destination_registry, job.destination_repository)
        result = ReferenceResult(tag=there, digest=tags.get(there, ""), outcome=Outcome.DELETED, destination_tag=there)
        if there in tags and reference.digest not in {"", tags[there]}:
            return replace(result, outcome=Outcome.SKIPPED, failure=CHANGED)
        if tags.pop(there, None):
            self.deleted.append((job.destination_registry, job.destination_repository, there))
            self._tell(job.destination_registry, EventOperation.DELETE, job.destination_repository, there, "")
            return result
        return replace(result, outcome=Outcome.UNCHANGED)

    def _repository(self, registry: str, repository: str) -> dict[str, str]:
        return self.registries.setdefault(registry, {}).setdefault(repository, {})

    def _tell(self, registry: str, operation: EventOperation, repository: str, tag: str, digest: str) -> None:
        resource = EventResource(operation=operation, repository=repository, tag=tag, digest=digest)
        self.events.append(Told(registry=registry, resource=resource))


def reasons(tasks: Sequence[Task]) -> Mapping[str, str]:
    """Why tasks of these states did not do anything."""
    return {str(task.state): task.failure.reason for task in tasks if task.failure}
