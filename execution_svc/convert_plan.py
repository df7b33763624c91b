"""Between protobuf and our values: plans."""

from collections.abc import Sequence

from execution_svc import convert
from execution_svc.domain.plan import (
    Action,
    NamespaceCreation,
    PlannedAction,
    PlannedReference,
    PlanSummary,
    PruneGuard,
)
from execution_svc.domain.transfer import Failure
from transship.execution.v1 import execution_pb2
from transship.job.v1 import job_pb2
from transship.type.v1 import transfer_pb2


def planned_from_pb(response: job_pb2.PlanReplicationResponse) -> list[PlannedReference]:
    return [_reference_from_pb(each) for each in response.references]


def plan_to_pb(
    found: Sequence[PlannedAction | PruneGuard], summary: PlanSummary
) -> execution_pb2.PlanExecutionResponse:
    return execution_pb2.PlanExecutionResponse(
        actions=[_action_to_pb(each) for each in found if isinstance(each, PlannedAction)],
        summary=execution_pb2.PlanSummary(
            references_to_copy=summary.references_to_copy,
            references_unchanged=summary.references_unchanged,
            references_skipped=summary.references_skipped,
            failures=summary.failures,
            tags_to_delete=summary.tags_to_delete,
            namespaces_to_create=summary.namespaces_to_create,
            bytes_to_move=summary.bytes_to_move,
            prune_guard=summary.prune_guard,
        ),
    )


def _action_to_pb(action: PlannedAction) -> execution_pb2.PlannedAction:
    kind = action.kind
    return execution_pb2.PlannedAction(
        destination_registry=action.destination_registry,
        source_repository=action.source_repository,
        destination_repository=action.destination_repository,
        reference=_reference_to_pb(kind) if isinstance(kind, PlannedReference) else None,
        created_namespace=kind.namespace if isinstance(kind, NamespaceCreation) else None,
        failure=convert.failure_to_pb(kind) if isinstance(kind, Failure) else None,
    )


def _reference_to_pb(reference: PlannedReference) -> transfer_pb2.PlannedReference:
    return transfer_pb2.PlannedReference(
        tag=reference.tag,
        digest=reference.digest,
        destination_tag=reference.destination_tag,
        action=f"ACTION_{reference.action}",
        failure=convert.failure_to_pb(reference.failure),
        present_digest=reference.present_digest,
        blobs_to_move=reference.blobs_to_move,
        bytes_to_move=reference.bytes_to_move,
    )


def _reference_from_pb(reference: transfer_pb2.PlannedReference) -> PlannedReference:
    action = transfer_pb2.PlannedReference.Action.Name(reference.action).removeprefix("ACTION_")
    return PlannedReference(
        tag=reference.tag,
        digest=reference.digest,
        destination_tag=reference.destination_tag,
        action=Action(action),
        failure=convert.failure_from_pb(reference.failure) if reference.HasField("failure") else None,
        present_digest=reference.present_digest,
        blobs_to_move=reference.blobs_to_move,
        bytes_to_move=reference.bytes_to_move,
    )
