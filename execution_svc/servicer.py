"""Speaks protobuf for the execution service."""
# ruff: noqa: ARG002  (gRPC passes a context to every method)

from collections.abc import AsyncIterator
from contextlib import aclosing
from datetime import UTC, datetime, timedelta
from functools import reduce
from typing import Any

from execution_svc import convert, convert_plan
from execution_svc.domain.execution import Execution, ExecutionId
from execution_svc.domain.plan import PlanSummary
from execution_svc.domain.policy import Policy
from execution_svc.domain.task import TaskFilter
from execution_svc.dry_run.planner import Planner
from execution_svc.service import Executions
from execution_svc.store import ExecutionCursor
from service_kit.clock import Clock
from service_kit.errors import InvalidPageToken
from service_kit.paging import PageToken, page_size
from transship.execution.v1 import execution_pb2 as pb
from transship.execution.v1 import execution_pb2_grpc, task_pb2

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class ExecutionServicer(execution_pb2_grpc.ExecutionServiceServicer):
    """Parses, calls, converts."""

    def __init__(self, executions: Executions, planner: Planner, clock: Clock) -> None:
        self._executions = executions
        self._planner = planner
        self._clock = clock

    async def StartExecution(self, request: pb.StartExecutionRequest, context: Any) -> pb.Execution:
        execution = await self._executions.start(
            _subject(request),
            request.request_id or None,
            convert.origin_from_pb(request),
            validate_only=request.validate_only,
        )
        return self._shown(execution)

    async def PlanExecution(
        self, request: pb.PlanExecutionRequest, context: Any
    ) -> AsyncIterator[pb.PlanExecutionResponse]:
        summary = PlanSummary()
        async with aclosing(self._planner.plan(_subject(request))) as messages:
            async for found in messages:
                summary = reduce(PlanSummary.plus, found, summary)
                yield convert_plan.plan_to_pb(found, summary)
        yield convert_plan.plan_to_pb([], summary)

    async def GetExecution(self, request: pb.GetExecutionRequest, context: Any) -> pb.Execution:
        return self._shown(await self._executions.get(convert.parse_execution_name(request.name)))

    async def ListExecutions(self, request: pb.ListExecutionsRequest, context: Any) -> pb.ListExecutionsResponse:
        size = page_size(request.page_size)
        wanted = convert.execution_filter(request)
        token = PageToken.decode(request.page_token, wanted)
        found = await self._executions.list_executions(wanted, _cursor(token), size + 1)
        page = found[:size]
        return pb.ListExecutionsResponse(
            executions=[self._shown(each) for each in page],
            next_page_token=_token(page[-1]).encode(wanted) if len(found) > size else "",
        )

    async def StopExecution(self, request: pb.StopExecutionRequest, context: Any) -> pb.Execution:
        return self._shown(await self._executions.stop(convert.parse_execution_name(request.name)))

    async def RetryExecution(self, request: pb.RetryExecutionRequest, context: Any) -> pb.Execution:
        return self._shown(await self._executions.retry(convert.parse_execution_name(request.name)))

    async def WatchExecution(
        self, request: pb.WatchExecutionRequest, context: Any
    ) -> AsyncIterator[pb.WatchExecutionResponse]:
        async with aclosing(self._executions.watch(convert.parse_execution_name(request.name))) as states:
            async for execution in states:
                yield pb.WatchExecutionResponse(execution=self._shown(execution, with_policy=False))

    async def GetTask(self, request: task_pb2.GetTaskRequest, context: Any) -> task_pb2.Task:
        return convert.task_to_pb(await self._executions.task(*convert.parse_task_name(request.name)))

    async def ListTasks(self, request: task_pb2.ListTasksRequest, context: Any) -> task_pb2.ListTasksResponse:
        size = page_size(request.page_size)
        execution = convert.parse_execution_name(request.parent)
        wanted = TaskFilter(execution=execution, states=tuple(convert.task_states(request.states)))
        token = PageToken.decode(request.page_token, wanted)
        found = await self._executions.list_tasks(wanted, _sequence(token), size + 1)
        page = found[:size]
        return task_pb2.ListTasksResponse(
            tasks=[convert.task_to_pb(each) for each in page],
            next_page_token=PageToken((page[-1].sequence,)).encode(wanted) if len(found) > size else "",
        )

    async def ReadTaskLog(
        self, request: task_pb2.ReadTaskLogRequest, context: Any
    ) -> AsyncIterator[task_pb2.ReadTaskLogResponse]:
        execution, task = convert.parse_task_name(request.name)
        log = self._executions.read_task_log(execution, task, after=request.after_sequence, follow=request.follow)
        async with aclosing(log) as batches:
            async for lines in batches:
                yield task_pb2.ReadTaskLogResponse(entries=[convert.log_line_to_pb(line) for line in lines])

    def _shown(self, execution: Execution, *, with_policy: bool = True) -> pb.Execution:
        return convert.execution_to_pb(execution, self._clock.now(), with_policy=with_policy)


def _subject(request: pb.StartExecutionRequest | pb.PlanExecutionRequest) -> str | Policy:
    return request.policy or convert.policy_from_pb(request.inline_policy)


def _token(last: Execution) -> PageToken:
    return PageToken(((last.create_time - _EPOCH) // timedelta(microseconds=1), last.id))


def _cursor(token: PageToken | None) -> ExecutionCursor | None:
    match token.cursor if token else None:
        case None:
            return None
        case (int(microseconds), str(execution)):
            return _EPOCH + timedelta(microseconds=microseconds), ExecutionId(execution)
        case _:
            raise InvalidPageToken


def _sequence(token: PageToken | None) -> int:
    match token.cursor if token else (0,):
        case (int(sequence),):
            return sequence
        case _:
            raise InvalidPageToken
