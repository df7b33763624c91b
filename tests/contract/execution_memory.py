"""The stores of the execution service in memory: what they promise, in the plainest words."""

from collections.abc import Iterable, Sequence
from dataclasses import fields, replace
from datetime import datetime

from execution_svc.domain.errors import ExecutionNotFound, LeaseLost, RequestIdReused, TaskNotFound
from execution_svc.domain.execution import (
    NOTHING_TO_REPLICATE,
    Execution,
    ExecutionFilter,
    ExecutionId,
    ExecutionState,
    FlowLease,
    StartRequest,
    TaskCounts,
)
from execution_svc.domain.limits import OUTSIDE_OF_WINDOWS
from execution_svc.domain.overlap import place, replaced_by
from execution_svc.domain.retention import Retention
from execution_svc.domain.task import (
    Collision,
    Job,
    JobKey,
    JobStatus,
    Operation,
    PlannedTask,
    Task,
    TaskFilter,
    TaskId,
    TaskState,
)
from execution_svc.domain.transfer import Failure, Progress, Reference
from execution_svc.store import ExecutionCursor
from tests.contract.execution_memory_rows import (
    Row,
    TaskRow,
    ending,
    failed_item,
    folded_task,
    open_execution,
    picks,
    targets_of,
    tasks_allowed,
    waiting_task,
    written_task,
)


class MemoryStore:
    """All stores in one."""

    def __init__(self) -> None:
        self._rows: dict[ExecutionId, Row] = {}
        self._tasks: dict[TaskId, TaskRow] = {}
        self._sequence = 0

    # What the API reads and changes.

    async def started_by(self, request_id: str, subject: str) -> Execution | None:
        for row in self._rows.values():
            if row.request_id == request_id:
                if row.subject != subject:
                    raise RequestIdReused(request_id=request_id)
                return self._execution(row)
        return None

    async def create(self, request: StartRequest) -> Execution:
        if request.request_id and (started := await self.started_by(request.request_id, request.subject)):
            return started
        execution = request.execution()
        found = place(request, [open_execution(each, request) for each in self._open_of(request.policy.name)])
        if found.skipped:
            execution = replace(
                execution, state=ExecutionState.SKIPPED, state_message=found.skipped, end_time=request.now
            )
        for each in found.stopped:
            self._stop(self._row(each), request.now, replaced_by(request.id))
        self._rows[request.id] = Row(execution=execution, request_id=request.request_id, subject=request.subject)
        return execution

    async def get(self, execution: ExecutionId) -> Execution:
        return self._execution(self._row(execution))

    async def list_executions(
        self, wanted: ExecutionFilter, after: ExecutionCursor | None, limit: int
    ) -> list[Execution]:
        found = sorted(map(self._execution, self._rows.values()), key=lambda each: (each.create_time, each.id))
        return [
            each
            for each in (found if wanted.oldest_first else reversed(found))
            if picks(wanted, each)
            and (after is None or ((each.create_time, each.id) < after) != wanted.oldest_first)
            and (each.create_time, each.id) != after
        ][:limit]

    async def stop(self, execution: ExecutionId, now: datetime) -> Execution:
        row = self._row(execution)
        row.execution.check_stoppable()
        return self._stop(row, now)

    async def retry(self, execution: ExecutionId, now: datetime) -> Execution:
        row = self._row(execution)
        row.execution.check_retryable()
        complete = row.execution.listing_complete and all(
            each.task.state not in {TaskState.FAILED, TaskState.STOPPED}
            or (each.task.run and not each.planned.after_copies)
            for each in self._of(row)
        )
        row.released = row.released and complete
        self._change(
            row,
            state=ExecutionState.RUNNING,
            state_message="",
            failure=None,
            listing_complete=complete,
            start_time=row.execution.start_time or now,
            end_time=None,
        )
        for each in self._of(row):
            if each.task.run and each.task.state in {TaskState.FAILED, TaskState.STOPPED}:
                each.revision = 0
                each.task = waiting_task(each.task, run=each.task.run + 1)
        return self._execution(row)

    async def task(self, execution: ExecutionId, task: TaskId) -> Task:
        if task not in self._tasks or self._tasks[task].task.execution != execution:
            raise TaskNotFound(task=task)
        return self._tasks[task].task

    async def list_tasks(self, wanted: TaskFilter, after: int, limit: int) -> list[Task]:
        return [
            replace(each.task, results=())
            for each in self._of(self._row(wanted.execution))
            if each.task.sequence > after and (not wanted.states or each.task.state in wanted.states)
        ][:limit]

    # What a flow worker reads and writes.

    async def claim_flow(self, *, token: str, now: datetime, until: datetime) -> FlowLease | None:
        for row in sorted(self._rows.values(), key=lambda each: each.execution.create_time):
            execution = row.execution
            wanted = execution.state in {ExecutionState.PENDING, ExecutionState.RUNNING}
            listed = execution.listing_complete or execution.failure
            begun = execution.state is ExecutionState.RUNNING or self._open_of(execution.policy.name)[:1] in ([], [row])
            if begun and wanted and not listed and (row.leased_until is None or row.leased_until < now):
                row.token, row.leased_until, row.attempt = token, until, row.attempt + 1
                self._change(row, state=ExecutionState.RUNNING, start_time=execution.start_time or now)
                return FlowLease(
                    execution=execution.id,
                    token=token,
                    policy=execution.policy,
                    attempt=row.attempt,
                    resources=execution.origin.event_resources,
                )
        return None

    async def renew(self, lease: FlowLease, until: datetime) -> None:
        self._held(lease).leased_until = until

    async def release(self, lease: FlowLease) -> None:
        row = self._row(lease.execution)
        if row.token == lease.token:
            self._drop_lease(row)

    async def begin_listing(self, lease: FlowLease, *, release_tasks: bool) -> None:
        row = self._held(lease)
        row.released = row.released or release_tasks
        for each in self._of(row):
            if each.task.run == 0 or (each.planned.after_copies and not each.task.delegated):
                del self._tasks[each.task.id]

    async def unwritten(
        self,
        lease: FlowLease,
        operation: Operation,
        destination_index: int,
        repository: str,
        references: Sequence[Reference],
    ) -> list[Reference]:
        had = {
            reference.key
            for each in self._of(self._held(lease))
            if each.task.operation is operation
            and (each.planned.destination_index, each.planned.source_repository) == (destination_index, repository)
            for reference in each.planned.references
        }
        return [reference for reference in references if reference.key not in had]

    async def write_tasks(self, lease: FlowLease, tasks: Sequence[PlannedTask], now: datetime) -> None:
        self._held(lease)
        for planned in tasks:
            if planned.id not in self._tasks:
                self._sequence += 1
                task = written_task(planned, lease.execution, self._sequence, now)
                self._tasks[planned.id] = TaskRow(task=task, planned=planned)

    async def collisions(self, lease: FlowLease) -> list[Collision]:
        sources: dict[tuple[str, str, str], set[str]] = {}
        for each in self._of(self._held(lease)):
            if each.task.run and each.task.operation is Operation.COPY:
                for tag, source in targets_of(each, lease.policy.registries_by_tag):
                    place = (each.task.destination_registry, each.task.destination_repository, tag)
                    sources.setdefault(place, set()).add(source)
        return [
            Collision(
                destination_registry=registry,
                destination_repository=repository,
                destination_tag=tag,
                sources=tuple(sorted(found)),
            )
            for (registry, repository, tag), found in sources.items()
            if len(found) > 1
        ]

    async def fail_collided(
        self, lease: FlowLease, collided: Sequence[tuple[Collision, Failure]], now: datetime
    ) -> None:
        row = self._held(lease)
        for collision, failure in collided:
            for each in self._of(row):
                if each.waiting and each.task.operation is Operation.COPY:
                    self._fail_collided(each, collision, failure, now)

    def _fail_collided(self, row: TaskRow, collision: Collision, failure: Failure, now: datetime) -> None:
        place = (row.task.destination_registry, row.task.destination_repository)
        if place != (collision.destination_registry, collision.destination_repository):
            return
        references = row.planned.references
        bad = [each for each in references if (each.destination_tag or each.tag) == collision.destination_tag]
        if not collision.destination_tag or len(bad) == len(references):
            row.task = failed_item(row.task, failure, now)
        elif bad:
            good = tuple(each for each in references if each not in bad)
            self._sequence += 1
            planned = replace(
                row.planned, id=TaskId(f"{row.task.id} {collision.destination_tag}"), references=tuple(bad)
            )
            failed = failed_item(written_task(planned, row.task.execution, self._sequence, now), failure, now)
            self._tasks[planned.id] = TaskRow(task=failed, planned=planned)
            row.planned = replace(row.planned, references=good)
            progress = replace(row.task.progress, references_total=len(good))
            row.task = replace(row.task, reference_count=len(good), progress=progress)

    async def complete_listing(self, lease: FlowLease, now: datetime, message: str = "") -> None:
        row = self._held(lease)
        row.released = True
        self._change(row, listing_complete=True, state_message=message)
        self._drop_lease(row)
        self._settle(row, now)

    async def fail_listing(self, lease: FlowLease, failure: Failure, now: datetime) -> None:
        row = self._held(lease)
        self._change(row, failure=failure, state_message=failure.message)
        self._drop_lease(row)
        self._stop_waiting(row, now)
        self._settle(row, now)

    # What the delegator reads and writes.

    async def in_flight(self) -> list[JobKey]:
        return [each.task.job for each in self._tasks.values() if each.in_flight]

    async def claim_tasks(self, limit: int, now: datetime) -> list[Job]:
        ranked = []
        for row in self._rows.values():
            copied = row.execution.listing_complete and not self._copies(row, still_open=True)
            waiting = [each for each in self._of(row) if each.waiting and (copied or not each.planned.after_copies)]
            if waiting and row.execution.state is ExecutionState.RUNNING and row.released:
                self._say_if_it_waits(row, now)
                jobs = sum(each.in_flight for each in self._of(row))
                ranked += [(jobs + place, row.execution.create_time, each) for place, each in enumerate(waiting)]
        chosen: list[TaskRow] = []
        for _, _, each in sorted(ranked, key=lambda each: each[:2]):
            if len(chosen) < limit and self._has_room(self._row(each.task.execution), now):
                each.task = replace(each.task, delegated=True)
                chosen.append(each)
        return [self._job(each) for each in chosen]

    def _say_if_it_waits(self, row: Row, now: datetime) -> None:
        if tasks_allowed(row, now) == 0:
            self._change(row, state_message=row.execution.state_message or OUTSIDE_OF_WINDOWS)
        elif row.execution.state_message == OUTSIDE_OF_WINDOWS:
            self._change(row, state_message="")

    def _has_room(self, row: Row, now: datetime) -> bool:
        policy = row.execution.policy.name or row.execution.id
        jobs = 0
        for each in self._tasks.values():
            execution = self._row(each.task.execution).execution
            jobs += each.in_flight and policy == (execution.policy.name or execution.id)
        allowed = tasks_allowed(row, now)
        return allowed is None or jobs < allowed

    async def resubmit(self, keys: Sequence[JobKey]) -> list[Job]:
        wanted = [
            each
            for each in self._known(keys)
            if each.in_flight and self._row(each.task.execution).execution.state is ExecutionState.RUNNING
        ]
        for each in wanted:
            each.revision = 0
        return [self._job(each) for each in wanted]

    async def to_stop(self) -> list[JobKey]:
        return [
            each.task.job
            for each in self._tasks.values()
            if each.in_flight and self._row(each.task.execution).execution.state is ExecutionState.STOPPING
        ]

    async def fold(self, statuses: Sequence[JobStatus], now: datetime) -> None:
        for status in statuses:
            for each in self._known([status.key]):
                if each.in_flight and each.revision < status.revision:
                    each.revision = status.revision
                    each.task = folded_task(each.task, status, now)
                    self._settle(self._row(each.task.execution), now)

    # What is asked about executions that have ended.

    async def policies_with_ended(self) -> list[str]:
        return sorted({row.execution.policy.name for row in self._rows.values() if row.execution.end_time})

    async def delete_batch(self, policy: str, keep: Retention, now: datetime) -> bool:
        executions = sorted(
            (row.execution for row in self._rows.values()), key=lambda each: (each.create_time, each.id)
        )
        ended = [each for each in executions if each.policy.name == policy and each.end_time]
        before = keep.ended_before(now)
        surplus = ended[: -keep.max_count] if keep.max_count else []
        surplus += [each for each in ended if before and each.end_time and each.end_time < before]
        for each in {each.id for each in surplus}:
            del self._rows[each]
            self._tasks = {key: row for key, row in self._tasks.items() if row.task.execution != each}
        return bool(surplus)

    # What they have in common.

    def _row(self, execution: ExecutionId) -> Row:
        if execution not in self._rows:
            raise ExecutionNotFound(execution=execution)
        return self._rows[execution]

    def _stop(self, row: Row, now: datetime, message: str = "") -> Execution:
        if row.execution.state is not ExecutionState.STOPPING:
            self._change(row, state=ExecutionState.STOPPING, state_message=message)
        self._drop_lease(row)
        self._stop_waiting(row, now)
        return self._settle(row, now)

    def _open_of(self, policy: str) -> list[Row]:
        """In the order in which they were started. Policies without a name have nothing to do with each other."""
        rows = [row for row in self._rows.values() if policy and row.execution.policy.name == policy]
        return [row for row in rows if not row.execution.state.is_final]

    def _held(self, lease: FlowLease) -> Row:
        row = self._row(lease.execution)
        if row.token != lease.token:
            raise LeaseLost
        return row

    def _drop_lease(self, row: Row) -> None:
        row.token = row.leased_until = None

    def _of(self, row: Row) -> list[TaskRow]:
        return [each for each in self._tasks.values() if each.task.execution == row.execution.id]

    def _known(self, keys: Iterable[JobKey]) -> list[TaskRow]:
        return [
            self._tasks[key.task] for key in keys if key.task in self._tasks and self._tasks[key.task].task.job == key
        ]

    def _change(self, row: Row, **changes: object) -> None:
        row.execution = replace(row.execution, **changes)  # type: ignore[arg-type]  # fields of Execution

    def _stop_waiting(self, row: Row, now: datetime) -> None:
        for each in self._of(row):
            if each.waiting:
                each.task = replace(each.task, state=TaskState.STOPPED, end_time=now)

    def _copies(self, row: Row, *, still_open: bool) -> list[TaskRow]:
        """What others wait for: that of it which is open, or which has failed."""
        copies = [each for each in self._of(row) if not each.planned.after_copies]
        return [each for each in copies if (each.open if still_open else each.task.state is TaskState.FAILED)]

    def _settle(self, row: Row, now: datetime) -> Execution:
        if (
            row.execution.listing_complete
            and self._copies(row, still_open=False)
            and not self._copies(row, still_open=True)
        ):
            for each in self._of(row):
                if each.waiting and each.planned.after_copies:
                    each.task = replace(each.task, state=TaskState.STOPPED, end_time=now)
        present = self._execution(row)
        counts = present.task_counts
        listed = present.listing_complete or present.failure or present.state is ExecutionState.STOPPING
        if not present.state.is_final and listed and not counts.pending and not counts.running:
            self._drop_lease(row)
            empty = present.listing_complete and not counts.total and not present.state_message
            message = NOTHING_TO_REPLICATE if empty else present.state_message
            self._change(row, state=ending(present), state_message=message, end_time=now)
        return self._execution(row)

    def _execution(self, row: Row) -> Execution:
        tasks = [each.task for each in self._of(row)]
        counted = {state: sum(task.state is state for task in tasks) for state in TaskState}
        counts = TaskCounts(total=len(tasks), **{state.lower(): count for state, count in counted.items()})
        progress = Progress(
            **{each.name: sum(getattr(task.progress, each.name) for task in tasks) for each in fields(Progress)}
        )
        return replace(row.execution, task_counts=counts, progress=progress)

    def _job(self, row: TaskRow) -> Job:
        policy = self._row(row.task.execution).execution.policy
        return Job(
            key=row.task.job,
            operation=row.task.operation,
            fairness_group=policy.name or row.task.execution,
            source_registry=row.task.source_registry,
            source_repository=row.task.source_repository,
            destination_registry=row.task.destination_registry,
            destination_repository=row.task.destination_repository,
            references=row.planned.references,
            override=policy.override,
            backup_tag=policy.document.get("backup_tag", ""),
            options=policy.document.get("options", {}),
        )
