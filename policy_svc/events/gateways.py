"""The execution service, as events need it."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

import grpc

from policy_svc.events.domain.batch import Subscriber
from policy_svc.events.domain.event import EventKind, Notice
from service_kit.status import remote_errors
from transship.execution.v1 import execution_pb2 as pb
from transship.execution.v1.execution_pb2_grpc import ExecutionServiceStub

if TYPE_CHECKING:  # it is in the stubs only
    from transship.execution.v1.execution_pb2_grpc import ExecutionServiceAsyncStub

CALL_TIMEOUT_S: Final = 10.0  # it reads a policy and writes a row

_OPERATIONS: Final = {
    EventKind.PUSH: pb.EventResource.OPERATION_PUSH,
    EventKind.DELETE: pb.EventResource.OPERATION_DELETE,
}


class GrpcExecutions:
    def __init__(self, channel: grpc.aio.Channel) -> None:
        self._executions: ExecutionServiceAsyncStub = ExecutionServiceStub(channel)

    async def start(self, subscriber: Subscriber, notices: Sequence[Notice], request_id: str) -> str:
        request = pb.StartExecutionRequest(
            policy=f"policies/{subscriber.policy_uid}",  # another policy may have its name by now
            request_id=request_id,
            trigger=pb.Execution.TRIGGER_EVENT,
            started_by=f"events at {subscriber.registry}",
            event_resources=[
                pb.EventResource(
                    operation=_OPERATIONS[each.kind], repository=each.repository, tag=each.tag, digest=each.digest
                )
                for each in notices
            ],
        )
        async with remote_errors("execution"):
            execution = await self._executions.StartExecution(request, timeout=CALL_TIMEOUT_S)
        return execution.name
