"""Between protobuf and our values."""

from collections.abc import Iterable
from dataclasses import asdict, fields
from datetime import UTC, datetime, timedelta
from typing import Final, assert_never

from google.protobuf.duration_pb2 import Duration
from google.protobuf.json_format import MessageToDict, ParseDict
from google.protobuf.timestamp_pb2 import Timestamp

from execution_svc.delegation.messages import (
    Accepted,
    Changed,
    Command,
    Follow,
    Rejected,
    Report,
    Stop,
    Submit,
    Unknown,
)
from execution_svc.domain.execution import UNSTORED, Execution, ExecutionFilter, ExecutionId, ExecutionState
from execution_svc.domain.origin import EventOperation, EventResource, Origin, Trigger
from execution_svc.domain.policy import Policy
from execution_svc.domain.resource import Preparation, RepositoryFailure, Resource, ResourceBatch
from execution_svc.domain.task import Job, JobKey, JobStatus, Operation, Task, TaskId, TaskState
from execution_svc.domain.transfer import Failure, LogLine, Outcome, Progress, Reference, ReferenceResult, Side
from service_kit.errors import ServiceUnavailable
from transship.execution.v1 import execution_pb2, task_pb2
from transship.job.v1 import job_pb2
from transship.policy.v1 import policy_pb2
from transship.registry.v1 import catalog_pb2
from transship.type.v1 import artifact_pb2, transfer_pb2

_EXECUTIONS: Final = "executions/"
_TASKS: Final = "/tasks/"


def execution_name(execution: ExecutionId) -> str:
    return f"{_EXECUTIONS}{execution}"


def task_name(execution: ExecutionId, task: TaskId) -> str:
    return f"{execution_name(execution)}{_TASKS}{task}"


def job_name(key: JobKey) -> str:
    return f"jobs/{key}"


def parse_execution_name(name: str) -> ExecutionId:
    """The name has been checked by the rules of the proto."""
    return ExecutionId(name.removeprefix(_EXECUTIONS))


def parse_task_name(name: str) -> tuple[ExecutionId, TaskId]:
    """The name has been checked by the rules of the proto."""
    execution, _, task = name.partition(_TASKS)
    return parse_execution_name(execution), TaskId(task)


def execution_to_pb(execution: Execution, now: datetime, *, with_policy: bool = True) -> execution_pb2.Execution:
    return execution_pb2.Execution(
        name="" if execution.id == UNSTORED else execution_name(execution.id),
        policy=execution.policy.name,
        policy_snapshot=policy_to_pb(execution.policy) if with_policy else None,
        trigger=f"TRIGGER_{execution.origin.trigger}",
        started_by=execution.origin.started_by,
        event_resources=[_event_resource_to_pb(each) for each in execution.origin.event_resources],
        state=f"STATE_{execution.state}",
        state_message=execution.state_message,
        failure=failure_to_pb(execution.failure),
        task_counts=execution_pb2.TaskCounts(**asdict(execution.task_counts)),
        progress=progress_to_pb(execution.progress),
        listing_complete=execution.listing_complete,
        create_time=_time_to_pb(execution.create_time),
        start_time=_time_to_pb(execution.start_time),
        end_time=_time_to_pb(execution.end_time),
        bytes_per_second=execution.bytes_per_second(now),
        remaining_duration=_duration_to_pb(execution.remaining(now)),
    )


def origin_from_pb(request: execution_pb2.StartExecutionRequest) -> Origin:
    """Raises InvalidRequest."""
    return Origin(
        trigger=_trigger(request.trigger) if request.trigger else Trigger.MANUAL,
        started_by=request.started_by,
        event_resources=tuple(_event_resource_from_pb(each) for each in request.event_resources),
    )


def _event_resource_to_pb(resource: EventResource) -> execution_pb2.EventResource:
    return execution_pb2.EventResource(
        operation=f"OPERATION_{resource.operation}",
        repository=resource.repository,
        tag=resource.tag,
        digest=resource.digest,
    )


def _event_resource_from_pb(resource: execution_pb2.EventResource) -> EventResource:
    operation = execution_pb2.EventResource.Operation.Name(resource.operation).removeprefix("OPERATION_")
    return EventResource(
        operation=EventOperation(operation),
        repository=resource.repository,
        tag=resource.tag,
        digest=resource.digest,
    )


def task_to_pb(task: Task) -> task_pb2.Task:
    return task_pb2.Task(
        name=task_name(task.execution, task.id),
        operation=f"OPERATION_{task.operation}",
        source_registry=task.source_registry,
        source_repository=task.source_repository,
        destination_registry=task.destination_registry,
        destination_repository=task.destination_repository,
        reference_count=task.reference_count,
        state=f"STATE_{task.state}",
        failure=failure_to_pb(task.failure),
        progress=progress_to_pb(task.progress),
        results=[_result_to_pb(each) for each in task.results],
        attempt=task.attempt,
        create_time=_time_to_pb(task.create_time),
        start_time=_time_to_pb(task.start_time),
        end_time=_time_to_pb(task.end_time),
    )


def execution_filter(request: execution_pb2.ListExecutionsRequest) -> ExecutionFilter:
    return ExecutionFilter(
        policy=request.policy,
        states=tuple(execution_states(request.states)),
        triggers=tuple(sorted({_trigger(each) for each in request.triggers})),
        created_since=_time_from_pb(request.created_since) if request.HasField("created_since") else None,
        created_before=_time_from_pb(request.created_before) if request.HasField("created_before") else None,
        oldest_first=request.order_by == "create_time",
    )


def _trigger(trigger: execution_pb2.Execution.Trigger) -> Trigger:
    return Trigger(execution_pb2.Execution.Trigger.Name(trigger).removeprefix("TRIGGER_"))


def execution_states(states: Iterable[execution_pb2.Execution.State]) -> list[ExecutionState]:
    names = {execution_pb2.Execution.State.Name(state).removeprefix("STATE_") for state in states}
    return [ExecutionState(name) for name in sorted(names)]


def task_states(states: Iterable[task_pb2.Task.State]) -> list[TaskState]:
    names = {task_pb2.Task.State.Name(state).removeprefix("STATE_") for state in states}
    return [TaskState(name) for name in sorted(names)]


def policy_to_pb(policy: Policy) -> policy_pb2.Policy:
    # A newer policy_svc may have written fields that we do not know.
    return ParseDict(dict(policy.document), policy_pb2.Policy(), ignore_unknown_fields=True)


def policy_from_pb(policy: policy_pb2.Policy) -> Policy:
    return Policy.of_document(MessageToDict(policy, preserving_proto_field_name=True))


def failure_to_pb(failure: Failure | None) -> transfer_pb2.Failure | None:
    if failure is None:
        return None
    return transfer_pb2.Failure(
        reason=failure.reason,
        message=failure.message,
        side=f"SIDE_{failure.side}",
        registry_code=failure.registry_code,
        http_status=failure.http_status,
        metadata=failure.metadata,
    )


def failure_from_pb(failure: transfer_pb2.Failure) -> Failure:
    """What registries say goes into it, so it is freed of NUL, which PostgreSQL does not store."""
    return Failure(
        reason=_storable(failure.reason),
        message=_storable(failure.message),
        side=Side(transfer_pb2.Failure.Side.Name(failure.side).removeprefix("SIDE_")),
        registry_code=_storable(failure.registry_code),
        http_status=failure.http_status,
        metadata={_storable(key): _storable(value) for key, value in failure.metadata.items()},
    )


def progress_to_pb(progress: Progress) -> transfer_pb2.TransferProgress:
    return transfer_pb2.TransferProgress(**asdict(progress))


def progress_from_pb(progress: transfer_pb2.TransferProgress) -> Progress:
    return Progress(**{each.name: getattr(progress, each.name) for each in fields(Progress)})


def _result_to_pb(result: ReferenceResult) -> transfer_pb2.ReferenceResult:
    return transfer_pb2.ReferenceResult(
        tag=result.tag,
        digest=result.digest,
        outcome=f"OUTCOME_{result.outcome}",
        failure=failure_to_pb(result.failure),
        destination_tag=result.destination_tag,
        backup_tag=result.backup_tag,
        destination_digest=result.destination_digest,
    )


def _result_from_pb(result: transfer_pb2.ReferenceResult) -> ReferenceResult:
    outcome = transfer_pb2.ReferenceResult.Outcome.Name(result.outcome).removeprefix("OUTCOME_")
    return ReferenceResult(
        tag=_storable(result.tag),
        digest=_storable(result.digest),
        outcome=Outcome(outcome),
        failure=failure_from_pb(result.failure) if result.HasField("failure") else None,
        destination_tag=_storable(result.destination_tag),
        backup_tag=_storable(result.backup_tag),
        destination_digest=_storable(result.destination_digest),
    )


def batch_from_pb(response: catalog_pb2.ListResourcesResponse) -> ResourceBatch:
    return ResourceBatch(
        resources=tuple(
            Resource(
                repository=each.repository,
                references=tuple(Reference(tag=named.tag, digest=named.digest) for named in each.references),
                public=each.public,
            )
            for each in response.resources
        ),
        failures=tuple(
            RepositoryFailure(repository=each.repository, failure=failure_from_pb(each.failure))
            for each in response.failures
        ),
    )


def resource_to_pb(resource: Resource) -> artifact_pb2.Resource:
    references = [artifact_pb2.ArtifactReference(tag=each.tag, digest=each.digest) for each in resource.references]
    return artifact_pb2.Resource(repository=resource.repository, references=references)


def preparation_from_pb(response: catalog_pb2.PrepareRepositoriesResponse) -> Preparation:
    return Preparation(
        failures={each.repository: failure_from_pb(each.failure) for each in response.failures},
        excluded={each.repository: failure_from_pb(each.failure) for each in response.excluded},
        created_namespaces=tuple(response.created_namespaces),
    )


def command_to_pb(command: Command) -> job_pb2.DelegateRequest:
    match command:
        case Submit(jobs):
            return job_pb2.DelegateRequest(submit=job_pb2.SubmitJobs(jobs=[_job_to_pb(job) for job in jobs]))
        case Follow(keys):
            return job_pb2.DelegateRequest(follow=job_pb2.FollowJobs(keys=[str(key) for key in keys]))
        case Stop(keys):
            return job_pb2.DelegateRequest(stop=job_pb2.StopJobs(keys=[str(key) for key in keys]))
        case _:
            assert_never(command)


def report_from_pb(response: job_pb2.DelegateResponse) -> Report:
    """Raises ServiceUnavailable for what we cannot read: the stream is opened anew."""
    match response.WhichOneof("kind"):
        case "accepted":
            return Accepted([JobKey.parse(key) for key in response.accepted.keys])
        case "rejected":
            return Rejected(JobKey.parse(response.rejected.key), failure_from_pb(response.rejected.failure))
        case "changed":
            return Changed([_status_from_pb(status) for status in response.changed.statuses])
        case "unknown":
            return Unknown([JobKey.parse(key) for key in response.unknown.keys])
        case _:
            raise ServiceUnavailable(service="jobservice")


def _job_to_pb(job: Job) -> job_pb2.JobSpec:
    spec = job_pb2.JobSpec(key=str(job.key), fairness_group=job.fairness_group)
    match job.operation:
        case Operation.COPY:
            spec.replicate.CopyFrom(replicate_work(job))
        case Operation.DELETE:
            spec.delete.CopyFrom(_delete_work(job))
        case _:
            assert_never(job.operation)
    return spec


def replicate_work(job: Job) -> job_pb2.ReplicateWork:
    return job_pb2.ReplicateWork(
        source_registry=job.source_registry,
        source_repository=job.source_repository,
        destination_registry=job.destination_registry,
        destination_repository=job.destination_repository,
        references=[
            job_pb2.ReplicateReference(tag=each.tag, digest=each.digest, destination_tag=each.destination_tag)
            for each in job.references
        ],
        override=job.override,
        # A newer policy_svc may have written fields that we do not know.
        options=ParseDict(dict(job.options), transfer_pb2.TransferOptions(), ignore_unknown_fields=True),
        backup_tag=job.backup_tag,
    )


def _delete_work(job: Job) -> job_pb2.DeleteWork:
    return job_pb2.DeleteWork(
        registry=job.destination_registry,
        repository=job.destination_repository,
        references=[
            job_pb2.DeleteReference(tag=each.destination_tag or each.tag, digest=each.digest) for each in job.references
        ],
    )


def _status_from_pb(status: job_pb2.JobStatus) -> JobStatus:
    state = TaskState(job_pb2.Job.State.Name(status.state).removeprefix("STATE_"))
    has_failure = status.HasField("failure") or state is TaskState.FAILED
    return JobStatus(
        key=JobKey.parse(status.key),
        revision=status.revision,
        state=state,
        attempt=status.attempt,
        progress=progress_from_pb(status.progress),
        failure=failure_from_pb(status.failure) if has_failure else None,
        results=tuple(_result_from_pb(each) for each in status.results),
        start_time=_time_from_pb(status.start_time) if status.HasField("start_time") else None,
        end_time=_time_from_pb(status.end_time) if status.HasField("end_time") else None,
    )


def log_line_from_pb(entry: transfer_pb2.LogEntry) -> LogLine:
    return LogLine(
        sequence=entry.sequence,
        write_time=_time_from_pb(entry.write_time) if entry.HasField("write_time") else None,
        severity=transfer_pb2.LogEntry.Severity.Name(entry.severity),
        message=entry.message,
        fields=dict(entry.fields),
    )


def log_line_to_pb(line: LogLine) -> transfer_pb2.LogEntry:
    return transfer_pb2.LogEntry(
        sequence=line.sequence,
        write_time=_time_to_pb(line.write_time),
        severity=line.severity,
        message=line.message,
        fields=line.fields,
    )


def _time_to_pb(time: datetime | None) -> Timestamp | None:
    if time is None:
        return None
    stamp = Timestamp()
    stamp.FromDatetime(time)
    return stamp


def _duration_to_pb(duration: timedelta | None) -> Duration | None:
    if duration is None:
        return None
    message = Duration()
    message.FromTimedelta(duration)
    return message


def _time_from_pb(stamp: Timestamp) -> datetime:
    return stamp.ToDatetime(tzinfo=UTC)


def _storable(text: str) -> str:
    return text.replace("\0", "")
