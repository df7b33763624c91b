"""The execution service, as schedules need it."""

from typing import TYPE_CHECKING, Final

import grpc

from service_kit.status import remote_errors
from transship.execution.v1 import execution_pb2 as pb
from transship.execution.v1.execution_pb2_grpc import ExecutionServiceStub

if TYPE_CHECKING:  # it is in the stubs only
    from transship.execution.v1.execution_pb2_grpc import ExecutionServiceAsyncStub

CALL_TIMEOUT_S: Final = 10.0  # it reads a policy and writes a row


class GrpcExecutionGateway:
    def __init__(self, channel: grpc.aio.Channel) -> None:
        self._executions: ExecutionServiceAsyncStub = ExecutionServiceStub(channel)

    async def start(self, policy: str, *, request_id: str, started_by: str) -> str:
        request = pb.StartExecutionRequest(
            policy=policy, request_id=request_id, started_by=started_by, trigger=pb.Execution.TRIGGER_SCHEDULED
        )
        async with remote_errors("execution"):
            execution = await self._executions.StartExecution(request, timeout=CALL_TIMEOUT_S)
        return execution.name
