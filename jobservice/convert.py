"""Between protobuf and our values."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Final, TypeVar, assert_never

from google.protobuf.message import Message as ProtoMessage

from jobservice.delegate import Answer, Changed, Follow, Message, Stop, Submit, Submitted, Unknown
from jobservice.domain import Job, JobSpec, JobState, JobStatus, LogEntry, Work
from jobservice.store import Cursor
from jobservice.transfer import (
    ArtifactReference,
    DeleteWork,
    Failure,
    PlannedReference,
    ReferenceResult,
    ReplicateWork,
    TransferOptions,
)
from service_kit.errors import InvalidPageToken, ServiceError
from service_kit.paging import PageToken
from transship.job.v1 import job_pb2 as pb
from transship.type.v1 import transfer_pb2

MAX_BATCH_BYTES: Final = 1024 * 1024  # of statuses, or of a plan, in a message; gRPC refuses 4 MiB
MAX_PAGE_BYTES: Final = 3 * 1024 * 1024  # a page may hold fewer than was asked for

M = TypeVar("M", bound=ProtoMessage)

_NAME_PREFIX: Final = "jobs/"


def key_from_name(name: str) -> str:
    return name.removeprefix(_NAME_PREFIX)


def states_from_pb(states: Iterable[pb.Job.State]) -> frozenset[JobState]:
    return frozenset(JobState(pb.Job.State.Name(state).removeprefix("STATE_").lower()) for state in states)


def cursor_from_token(token: PageToken | None) -> Cursor | None:
    match token and token.cursor:
        case None:
            return None
        case [str(time), str(key)]:
            return datetime.fromisoformat(time), key
        case _:
            raise InvalidPageToken


def token_after(job: Job) -> PageToken:
    return PageToken((job.create_time.astimezone(UTC).isoformat(), job.spec.key))


def message_from_pb(request: pb.DelegateRequest) -> Message:
    match request.WhichOneof("kind"):
        case "submit":
            return Submit([spec_from_pb(spec) for spec in request.submit.jobs])
        case "follow":
            return Follow(list(request.follow.keys))
        case _:  # the rules of the proto demand one of the three
            return Stop(list(request.stop.keys))


def spec_from_pb(spec: pb.JobSpec) -> JobSpec:
    return JobSpec(key=spec.key, fairness_group=spec.fairness_group, work=_work_from_pb(spec))


def _work_from_pb(spec: pb.JobSpec) -> Work:
    if spec.HasField("delete"):
        delete = spec.delete
        return DeleteWork(
            registry=delete.registry,
            repository=delete.repository,
            references=tuple(ArtifactReference(tag=each.tag, digest=each.digest) for each in delete.references),
        )
    return replication_from_pb(spec.replicate)


def replication_from_pb(replicate: pb.ReplicateWork) -> ReplicateWork:
    return ReplicateWork(
        source_registry=replicate.source_registry,
        source_repository=replicate.source_repository,
        destination_registry=replicate.destination_registry,
        destination_repository=replicate.destination_repository,
        references=tuple(map(_reference_from_pb, replicate.references)),
        override=replicate.override,
        options=_options_from_pb(replicate.options),
        backup_tag=replicate.backup_tag,
    )


def _reference_from_pb(reference: pb.ReplicateReference) -> ArtifactReference:
    return ArtifactReference(tag=reference.tag, digest=reference.digest, destination_tag=reference.destination_tag)


def _options_from_pb(options: transfer_pb2.TransferOptions) -> TransferOptions:
    return TransferOptions(
        platforms=tuple(options.platforms),
        referrers=options.referrers,
        referrer_types=tuple(options.referrer_types),
        foreign_layers=options.foreign_layers,
        max_bytes_per_second=options.max_bytes_per_second,
    )


def answer_to_pb(answer: Answer) -> Iterator[pb.DelegateResponse]:
    """One answer may need several messages."""
    match answer:
        case Submitted():
            if answer.accepted:
                yield pb.DelegateResponse(accepted=pb.JobsAccepted(keys=answer.accepted))
            for key, error in answer.rejected.items():
                yield pb.DelegateResponse(rejected=pb.JobRejected(key=key, failure=_refusal(error)))
        case Changed():
            for statuses in _batches(map(status_to_pb, answer.statuses)):
                yield pb.DelegateResponse(changed=pb.JobsChanged(statuses=statuses))
        case Unknown():
            yield pb.DelegateResponse(unknown=pb.JobsUnknown(keys=answer.keys))
        case _:
            assert_never(answer)


def status_to_pb(status: JobStatus) -> pb.JobStatus:
    return pb.JobStatus(
        key=status.key,
        revision=status.revision,
        state=f"STATE_{status.state.name}",
        stop_requested=status.stop_requested,
        attempt=status.attempt,
        progress=transfer_pb2.TransferProgress(**status.progress),
        failure=_failure_to_pb(status.failure),
        results=map(_result_to_pb, status.results),
        start_time=status.start_time,
        end_time=status.end_time,
        next_attempt_time=status.next_attempt_time,
    )


def plan_to_pb(references: Iterable[PlannedReference]) -> Iterator[pb.PlanReplicationResponse]:
    for batch in _batches(map(_planned_to_pb, references)):
        yield pb.PlanReplicationResponse(references=batch)


def job_to_pb(job: Job) -> pb.Job:
    return pb.Job(
        name=f"{_NAME_PREFIX}{job.spec.key}",
        spec=_spec_to_pb(job.spec),
        status=status_to_pb(job.status),
        create_time=job.create_time,
    )


def page_to_pb(jobs: Iterable[Job]) -> list[pb.Job]:
    """The first of the jobs, as many as fit into a message."""
    page: list[pb.Job] = []
    room = MAX_PAGE_BYTES
    for job in map(job_to_pb, jobs):
        room -= job.ByteSize()
        if page and room < 0:
            break
        page.append(job)
    return page


def entry_to_pb(entry: LogEntry) -> transfer_pb2.LogEntry:
    return transfer_pb2.LogEntry(
        sequence=entry.sequence,
        write_time=entry.line.write_time,
        severity=f"SEVERITY_{entry.line.severity.name}",
        message=entry.line.message,
        fields=entry.line.fields,
    )


def _spec_to_pb(spec: JobSpec) -> pb.JobSpec:
    match spec.work:
        case ReplicateWork() as work:
            replicate = pb.ReplicateWork(
                source_registry=work.source_registry,
                source_repository=work.source_repository,
                destination_registry=work.destination_registry,
                destination_repository=work.destination_repository,
                references=map(_reference_to_pb, work.references),
                override=work.override,
                options=transfer_pb2.TransferOptions(**asdict(work.options)),
                backup_tag=work.backup_tag,
            )
            return pb.JobSpec(key=spec.key, fairness_group=spec.fairness_group, replicate=replicate)
        case DeleteWork() as work:
            delete = pb.DeleteWork(
                registry=work.registry,
                repository=work.repository,
                references=[pb.DeleteReference(tag=each.tag, digest=each.digest) for each in work.references],
            )
            return pb.JobSpec(key=spec.key, fairness_group=spec.fairness_group, delete=delete)
    assert_never(spec.work)


def _reference_to_pb(reference: ArtifactReference) -> pb.ReplicateReference:
    return pb.ReplicateReference(tag=reference.tag, digest=reference.digest, destination_tag=reference.destination_tag)


def _result_to_pb(result: ReferenceResult) -> transfer_pb2.ReferenceResult:
    return transfer_pb2.ReferenceResult(
        tag=result.reference.tag,
        digest=result.reference.digest,
        outcome=f"OUTCOME_{result.outcome.name}",
        failure=_failure_to_pb(result.failure),
        destination_tag=result.reference.tag_there,
        backup_tag=result.backup_tag,
        destination_digest=result.destination_digest,
    )


def _failure_to_pb(failure: Failure | None) -> transfer_pb2.Failure | None:
    if failure is None:
        return None
    return transfer_pb2.Failure(
        reason=failure.reason,
        message=failure.message,
        side=f"SIDE_{failure.side.name}" if failure.side else None,
        registry_code=failure.registry_code,
        http_status=failure.http_status,
        metadata=failure.metadata,
    )


def _refusal(error: ServiceError) -> transfer_pb2.Failure:
    return transfer_pb2.Failure(reason=error.reason, message=error.message, metadata=error.metadata)


def _planned_to_pb(planned: PlannedReference) -> transfer_pb2.PlannedReference:
    return transfer_pb2.PlannedReference(
        tag=planned.reference.tag,
        digest=planned.reference.digest,
        destination_tag=planned.reference.tag_there,
        action=f"ACTION_{planned.action.name}",
        failure=_failure_to_pb(planned.failure),
        present_digest=planned.present_digest,
        blobs_to_move=planned.blobs_to_move,
        bytes_to_move=planned.bytes_to_move,
    )


def _batches(messages: Iterable[M]) -> Iterator[list[M]]:
    """As many at a time as fit well into one message."""
    batch: list[M] = []
    size = 0
    for message in messages:
        size += message.ByteSize()
        if batch and size > MAX_BATCH_BYTES:
            yield batch
            batch, size = [], message.ByteSize()
        batch.append(message)
    if batch:
        yield batch
