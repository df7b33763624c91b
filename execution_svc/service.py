"""What the execution service does for its callers."""

import hashlib
import json
import uuid
from collections.abc import AsyncGenerator, AsyncIterator
from typing import Final, Protocol

from execution_svc.domain.errors import PolicyDisabled
from execution_svc.domain.execution import UNSTORED, Execution, ExecutionFilter, ExecutionId, StartRequest
from execution_svc.domain.origin import Origin
from execution_svc.domain.policy import Policy
from execution_svc.domain.task import JobKey, Task, TaskFilter, TaskId
from execution_svc.domain.transfer import LogLine
from execution_svc.signals import Changes
from execution_svc.store import ExecutionCursor, ExecutionStore
from service_kit.clock import Clock
from service_kit.errors import ServiceError

WATCH_POLL_S: Final = 5.0  # should a notification be missed


class Policies(Protocol):
    """Where policies come from."""

    async def get(self, name: str) -> Policy: ...

    async def checked(self, policy: Policy) -> Policy:
        """The policy with its defaults filled in; raises what is wrong with it."""
        ...


class JobLogs(Protocol):
    """Where the logs of tasks are."""

    def read_log(self, key: JobKey, *, after: int, follow: bool) -> AsyncIterator[list[LogLine]]:
        """Raises a ServiceError with the reason JOB_NOT_FOUND when no such job was accepted yet."""
        ...


class Executions:
    """Starts executions and tells how they go. The work itself is done by flow workers and the delegator."""

    def __init__(
        self, store: ExecutionStore, policies: Policies, logs: JobLogs, changes: Changes, clock: Clock
    ) -> None:
        self._store = store
        self._policies = policies
        self._logs = logs
        self._changes = changes
        self._clock = clock

    async def start(
        self, subject: str | Policy, request_id: str | None, origin: Origin, *, validate_only: bool = False
    ) -> Execution:
        """Starts a stored policy by its name, or one that is given.

        A repetition is answered from the database, whatever has become of the policy since. With `validate_only`, what
        would be started is checked and told, without an id, and not stored.
        """
        identity = _identity(subject)
        started = await self._store.started_by(request_id, identity) if request_id else None
        if started and not validate_only:
            return started
        policy = await (self._policies.checked(subject) if isinstance(subject, Policy) else self._policies.get(subject))
        if policy.disabled:
            raise PolicyDisabled(policy=policy.name or "given")
        request = StartRequest(
            id=UNSTORED if validate_only else ExecutionId(str(uuid.uuid4())),
            request_id=request_id,
            subject=identity,
            policy=policy,
            origin=origin,
            now=self._clock.now(),
        )
        return request.execution() if validate_only else await self._store.create(request)

    async def get(self, execution: ExecutionId) -> Execution:
        return await self._store.get(execution)

    async def list_executions(
        self, wanted: ExecutionFilter, after: ExecutionCursor | None, limit: int
    ) -> list[Execution]:
        return await self._store.list_executions(wanted, after, limit)

    async def stop(self, execution: ExecutionId) -> Execution:
        return await self._store.stop(execution, self._clock.now())

    async def retry(self, execution: ExecutionId) -> Execution:
        return await self._store.retry(execution, self._clock.now())

    async def watch(self, execution: ExecutionId) -> AsyncGenerator[Execution, None]:
        """The present state, then the newest after each change, the final one as the last."""
        seen: Execution | None = None
        with self._changes.subscribe(execution) as changed:
            while seen is None or not seen.state.is_final:
                if (present := await self._store.get(execution)) != seen:
                    seen = present
                    yield present
                else:
                    await changed.wait(WATCH_POLL_S)

    async def task(self, execution: ExecutionId, task: TaskId) -> Task:
        return await self._store.task(execution, task)

    async def list_tasks(self, wanted: TaskFilter, after: int, limit: int) -> list[Task]:
        """Raises ExecutionNotFound for tasks of nothing."""
        await self._store.get(wanted.execution)
        return await self._store.list_tasks(wanted, after, limit)

    async def read_task_log(
        self, execution: ExecutionId, task: TaskId, *, after: int, follow: bool
    ) -> AsyncGenerator[list[LogLine], None]:
        """The log of the task's present run. A task without a job has none yet; following waits for it."""
        with self._changes.subscribe(execution) as changed:
            while True:
                present = await self._store.task(execution, task)
                if present.delegated:
                    try:
                        async for lines in self._logs.read_log(present.job, after=after, follow=follow):
                            yield lines
                    except ServiceError as error:
                        if error.reason != "JOB_NOT_FOUND":
                            raise
                    else:
                        return
                if not follow or present.state.is_final:
                    return
                await changed.wait(WATCH_POLL_S)


def _identity(subject: str | Policy) -> str:
    """What is asked for: two requests with one id must agree on it."""
    if isinstance(subject, str):
        return subject
    document = json.dumps(subject.document, sort_keys=True)
    return f"sha256:{hashlib.sha256(document.encode()).hexdigest()}"
