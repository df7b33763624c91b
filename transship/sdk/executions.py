"""Executions, as a client sees them."""

import uuid
from collections.abc import AsyncIterator, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Final

from transship.execution.v1 import execution_pb2 as pb
from transship.execution.v1 import task_pb2
from transship.policy.v1.policy_pb2 import Policy
from transship.sdk.calls import CHANGE_TIMEOUT_S, Calls
from transship.sdk.names import execution_name, policy_name, task_name
from transship.type.v1.transfer_pb2 import LogEntry

if TYPE_CHECKING:  # A name for type checkers only.
    from transship.execution.v1.execution_pb2_grpc import ExecutionServiceAsyncStub

FINAL_STATES: Final = frozenset(
    {
        pb.Execution.STATE_SUCCEEDED,
        pb.Execution.STATE_FAILED,
        pb.Execution.STATE_STOPPED,
        pb.Execution.STATE_SKIPPED,
    }
)


class Executions:
    """Runs of policies. A name may be the id or the full name."""

    def __init__(self, stub: "ExecutionServiceAsyncStub") -> None:
        self._stub = stub
        self._calls = Calls("execution_svc")

    async def start(
        self,
        policy: str | Policy,
        *,
        request_id: str | None = None,
        started_by: str = "",
        validate_only: bool = False,
    ) -> pb.Execution:
        """Starts a stored policy, or one for this run only, and returns at once; with validate_only, only checks it.

        Asked again under the same request_id, which is made up if not given, nothing is started twice.
        """
        request = pb.StartExecutionRequest(
            request_id=request_id or str(uuid.uuid4()), started_by=started_by, validate_only=validate_only
        )
        if isinstance(policy, str):
            request.policy = policy_name(policy)
        else:
            request.inline_policy.CopyFrom(policy)
        return await self._calls.repeatable(self._stub.StartExecution, request, timeout_s=CHANGE_TIMEOUT_S)

    async def plan(self, policy: str | Policy) -> AsyncIterator[pb.PlanExecutionResponse]:
        """What a run of the policy would do, while it is found out; the last answer has the sums. Changes nothing."""
        request = (
            pb.PlanExecutionRequest(policy=policy_name(policy))
            if isinstance(policy, str)
            else pb.PlanExecutionRequest(inline_policy=policy)
        )
        async for answer in self._calls.stream(self._stub.PlanExecution(request)):
            yield answer

    async def get(self, name: str) -> pb.Execution:
        request = pb.GetExecutionRequest(name=execution_name(name))
        return await self._calls.repeatable(self._stub.GetExecution, request)

    async def list(
        self,
        *,
        policy: str = "",
        states: Sequence[pb.Execution.State] = (),
        triggers: Sequence[pb.Execution.Trigger] = (),
        since: datetime | None = None,
        before: datetime | None = None,
        oldest_first: bool = False,
    ) -> AsyncIterator[pb.Execution]:
        """The newest first unless told otherwise; with a policy, states, triggers or times, those alone."""
        request = pb.ListExecutionsRequest(
            policy=policy and policy_name(policy),
            states=states,
            triggers=triggers,
            created_since=since,
            created_before=before,
            order_by="create_time" if oldest_first else "",
        )
        async for page in self._calls.pages(self._stub.ListExecutions, request):
            for execution in page.executions:
                yield execution

    async def stop(self, name: str) -> pb.Execution:
        """Asks it to stop and returns at once; `watch` tells when it has."""
        return await self._calls.once(self._stub.StopExecution, pb.StopExecutionRequest(name=execution_name(name)))

    async def retry(self, name: str) -> pb.Execution:
        """Runs its failed and stopped tasks once more."""
        return await self._calls.once(self._stub.RetryExecution, pb.RetryExecutionRequest(name=execution_name(name)))

    async def watch(self, name: str) -> AsyncIterator[pb.Execution]:
        """Its present state, then each newer one, the final one last; without the policy's snapshot.

        Goes on at another replica when one goes away.
        """
        request = pb.WatchExecutionRequest(name=execution_name(name))
        last = None
        async for answer in self._calls.messages(lambda: self._stub.WatchExecution(request)):
            if answer.execution != last:  # A stream that was opened again begins with what we may have seen.
                last = answer.execution
                yield last

    async def wait(self, name: str) -> pb.Execution:
        """The execution once it has ended, in whatever state."""
        async for _ in self.watch(name):
            pass
        return await self.get(name)

    async def tasks(
        self, execution: str, *, states: Sequence[task_pb2.Task.State] = ()
    ) -> AsyncIterator[task_pb2.Task]:
        """In the order of their creation; with states, those alone."""
        request = task_pb2.ListTasksRequest(parent=execution_name(execution), states=states)
        async for page in self._calls.pages(self._stub.ListTasks, request):
            for task in page.tasks:
                yield task

    async def get_task(self, name: str, *, execution: str = "") -> task_pb2.Task:
        """A task with the results of its references, by its full name or its id and execution."""
        request = task_pb2.GetTaskRequest(name=task_name(name, execution=execution))
        return await self._calls.repeatable(self._stub.GetTask, request)

    async def read_task_log(
        self, name: str, *, execution: str = "", after_sequence: int = 0, follow: bool = False
    ) -> AsyncIterator[LogEntry]:
        """The lines of a task's log, each once, also over a break; with follow, until the task has ended."""
        request = task_pb2.ReadTaskLogRequest(
            name=task_name(name, execution=execution), after_sequence=after_sequence, follow=follow
        )
        async for answer in self._calls.messages(lambda: self._stub.ReadTaskLog(request)):
            for entry in answer.entries:
                request.after_sequence = entry.sequence
                yield entry
