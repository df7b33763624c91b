"""Between rows and values."""

from collections.abc import Iterable, Mapping
from dataclasses import asdict, fields
from typing import Any, Final, LiteralString

from execution_svc.domain.execution import Execution, ExecutionId, ExecutionState, TaskCounts
from execution_svc.domain.origin import EventOperation, EventResource, Origin, Trigger
from execution_svc.domain.policy import Policy
from execution_svc.domain.task import Job, JobKey, Operation, Task, TaskId, TaskState
from execution_svc.domain.transfer import Failure, Outcome, Progress, Reference, ReferenceResult, Side

PROGRESS_COLUMNS: Final[LiteralString] = (
    "references_total, references_copied, references_unchanged, references_skipped, references_deleted, "
    "references_failed, "
    "blobs_total, blobs_copied, blobs_mounted, blobs_present, "
    "bytes_total, bytes_copied, bytes_mounted, bytes_present"
)
EXECUTION_COLUMNS: Final[LiteralString] = (
    "id, policy_snapshot, trigger, started_by, event_resources, state, state_message, failure, listing_complete, "
    "create_time, start_time, end_time, "
    "tasks_total, tasks_pending, tasks_running, tasks_succeeded, tasks_failed, tasks_stopped, tasks_skipped, "
    + PROGRESS_COLUMNS
)
TASK_COLUMNS: Final[LiteralString] = (
    "id, execution_id, sequence, operation, source_registry, source_repository, destination_registry, "
    "destination_repository, reference_count, state, run, delegated, attempt, failure, "
    "create_time, start_time, end_time, " + PROGRESS_COLUMNS
)
# For an UPDATE of tasks FROM executions AS e.
JOB_COLUMNS: Final[LiteralString] = """
    tasks.id, tasks.run, tasks.operation, e.id AS execution_id, e.policy, e.policy_snapshot -> 'override' AS override,
    e.policy_snapshot ->> 'backup_tag' AS backup_tag, e.policy_snapshot -> 'options' AS options,
    tasks.source_registry, tasks.source_repository, tasks.destination_registry, tasks.destination_repository,
    tasks.tags, tasks.digests, tasks.destination_tags
"""

Row = Mapping[str, Any]


def to_execution(row: Row) -> Execution:
    return Execution(
        id=ExecutionId(row["id"]),
        policy=Policy.of_document(row["policy_snapshot"]),
        origin=to_origin(row),
        state=ExecutionState(row["state"]),
        state_message=row["state_message"],
        failure=to_failure(row["failure"]),
        task_counts=TaskCounts(**{each.name: row[f"tasks_{each.name}"] for each in fields(TaskCounts)}),
        progress=to_progress(row),
        listing_complete=row["listing_complete"],
        create_time=row["create_time"],
        start_time=row["start_time"],
        end_time=row["end_time"],
    )


def to_origin(row: Row) -> Origin:
    return Origin(
        trigger=Trigger(row["trigger"]),
        started_by=row["started_by"],
        event_resources=to_event_resources(row["event_resources"]),
    )


def to_event_resources(documents: Iterable[Row]) -> tuple[EventResource, ...]:
    return tuple(EventResource(**{**each, "operation": EventOperation(each["operation"])}) for each in documents)


def to_task(row: Row) -> Task:
    return Task(
        id=TaskId(row["id"]),
        execution=ExecutionId(row["execution_id"]),
        sequence=row["sequence"],
        operation=Operation(row["operation"]),
        source_registry=row["source_registry"],
        source_repository=row["source_repository"],
        destination_registry=row["destination_registry"],
        destination_repository=row["destination_repository"],
        reference_count=row["reference_count"],
        state=TaskState(row["state"]),
        run=row["run"],
        delegated=row["delegated"],
        attempt=row["attempt"],
        failure=to_failure(row["failure"]),
        results=tuple(to_result(each) for each in row.get("results") or ()),
        progress=to_progress(row),
        create_time=row["create_time"],
        start_time=row["start_time"],
        end_time=row["end_time"],
    )


def to_job(row: Row) -> Job:
    return Job(
        key=to_key(row),
        operation=Operation(row["operation"]),
        fairness_group=row["policy"] or row["execution_id"],
        source_registry=row["source_registry"],
        source_repository=row["source_repository"],
        destination_registry=row["destination_registry"],
        destination_repository=row["destination_repository"],
        references=tuple(
            Reference(tag=tag, digest=digest, destination_tag=destination_tag)
            for tag, digest, destination_tag in zip(row["tags"], row["digests"], row["destination_tags"], strict=True)
        ),
        override=bool(row["override"]),
        backup_tag=row["backup_tag"] or "",
        options=row["options"] or {},
    )


def to_key(row: Row) -> JobKey:
    return JobKey(task=TaskId(row["id"]), run=row["run"])


def to_progress(row: Row) -> Progress:
    return Progress(**{each.name: row[each.name] for each in fields(Progress)})


def to_failure(document: Row | None) -> Failure | None:
    if document is None:
        return None
    return Failure(**{**document, "side": Side(document["side"])})


def to_result(document: Row) -> ReferenceResult:
    return ReferenceResult(
        **{**document, "outcome": Outcome(document["outcome"]), "failure": to_failure(document["failure"])}
    )


def failure_document(failure: Failure | None) -> dict[str, Any] | None:
    return None if failure is None else {**asdict(failure), "metadata": dict(failure.metadata)}


def result_documents(results: Iterable[ReferenceResult]) -> list[dict[str, Any]] | None:
    return [{**asdict(each), "failure": failure_document(each.failure)} for each in results] or None
