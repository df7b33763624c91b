"""A whole stack for tests: four services and PostgreSQL as real processes, driven by the real command line."""

import asyncio
import json
import os
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final
from uuid import uuid4

from transship.execution.v1.execution_pb2 import Execution
from transship.execution.v1.task_pb2 import Task
from transship.local.files import tail
from transship.local.health import Health, check
from transship.local.state import LocalStack, StateDir
from transship.policy.v1.policy_pb2 import Destination, Policy
from transship.registry.v1.registry_pb2 import Credential
from transship.sdk import TransshipClient
from transship.type.v1.filter_pb2 import Filter

ROOT: Final = Path(__file__).parents[2]
ADAPTER: Final = "docker-registry"
# Generous: the bounds are here to end a test that hangs, not to measure one that works.
CLI_TIMEOUT_S: Final = 90.0
END_TIMEOUT_S: Final = 90.0
_GONE_TIMEOUT_S: Final = 10.0
_POLL_S: Final = 0.05


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What a command printed and how it ended."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


class Stack:
    """The stack of one state directory; the settings are variables of the environment."""

    def __init__(self, directory: Path, **settings: str) -> None:
        self.state = StateDir(directory)
        self._settings = settings

    def run(self, *arguments: str, stdin: str = "") -> Answer:
        """Runs `transship ARGUMENTS` to its end."""
        ours = {name: value for name, value in os.environ.items() if not name.startswith("TRANSSHIP_")}
        done = subprocess.run(
            [sys.executable, "-m", "transship.cli", *arguments],
            input=stdin,
            capture_output=True,
            text=True,
            cwd=ROOT,
            env=ours | self._settings | {"TRANSSHIP_STATE_DIR": str(self.state.path)},
            timeout=CLI_TIMEOUT_S,
            check=False,
        )
        return Answer(code=done.returncode, out=done.stdout, err=done.stderr)

    async def cli(self, *arguments: str, stdin: str = "", code: int = 0) -> Answer:
        """The same beside the event loop, on which fake registries answer; it must end with this code."""
        answer = await asyncio.to_thread(self.run, *arguments, stdin=stdin)
        assert answer.code == code, f"transship {' '.join(arguments)}: {answer}"
        return answer

    def client(self) -> TransshipClient:
        return TransshipClient.from_local_stack(self.state.path)

    def processes(self) -> dict[str, int]:
        """Process ids by name, those that are not running right now left out."""
        stack = LocalStack.load(self.state)
        found = {"postgres": stack.postgres_pid, **{each.name: each.pid for each in stack.services}}
        return {name: pid for name, pid in found.items() if pid is not None}

    async def serves(self) -> None:
        """Returns when every service does."""
        async with asyncio.timeout(END_TIMEOUT_S):
            for each in LocalStack.load(self.state).services:
                while await check(each.endpoint) is not Health.SERVING:  # noqa: ASYNC110 - nobody tells
                    await asyncio.sleep(_POLL_S)

    def down(self) -> None:
        """Stops it; nothing of it may be left."""
        pids = {*self.processes().values(), LocalStack.load(self.state).pid}
        answer = self.run("down")
        assert answer.code == 0, answer
        assert not self.state.is_locked()
        deadline = time.monotonic() + _GONE_TIMEOUT_S
        while found := _left_of(pids):
            assert time.monotonic() < deadline, f"left behind: {found}"
            time.sleep(_POLL_S)

    def logs(self) -> str:
        """The ends of all logs."""
        files = sorted((self.state.path / "logs").glob("*.log"))
        return "\n".join(f"--- {file.name}\n{tail(file)}" for file in files)


async def register(
    client: TransshipClient, url: str, credential: tuple[str, str] | None = None, *, check: bool = True
) -> str:
    """Registers a registry under a name of its own and returns the name."""
    name = f"registry-{uuid4().hex[:12]}"
    given = Credential(username=credential[0], password=credential[1]) if credential else None
    await client.registries.create(name, type=ADAPTER, url=url, credential=given, skip_check=not check)
    return f"registries/{name}"


def a_policy(source: str, *destinations: Destination, filters: Iterable[Filter] = (), override: bool = True) -> Policy:
    """For a single run."""
    return Policy(source_registry=source, destinations=destinations, filters=filters, override=override)


async def finished(client: TransshipClient, name: str) -> Execution:
    """The execution once it has ended."""
    async with asyncio.timeout(END_TIMEOUT_S):
        return await client.executions.wait(name)


async def run_to_end(client: TransshipClient, policy: str | Policy) -> Execution:
    return await finished(client, (await client.executions.start(policy)).name)


async def tasks_of(client: TransshipClient, execution: str) -> list[Task]:
    """Every task with its results."""
    return [await client.executions.get_task(task.name) async for task in client.executions.tasks(execution)]


def tags_in_results(tasks: Iterable[Task]) -> Counter[str]:
    """How often each `repository:tag` stands in the results."""
    return Counter(f"{task.source_repository}:{result.tag}" for task in tasks for result in task.results)


def state_of(execution: Execution) -> str:
    """The state in words, and beside it why."""
    why = f" {execution.failure.reason}: {execution.failure.message}" if execution.HasField("failure") else ""
    return Execution.State.Name(execution.state).removeprefix("STATE_") + why


def _left_of(pids: set[int]) -> list[str]:
    """Processes that are one of these, or of the session that one of these leads; zombies are gone."""
    return [line for line in map(_stat, Path("/proc").glob("[0-9]*/stat")) if line and _is_of(line, pids)]


def _stat(path: Path) -> str:
    try:
        return path.read_text()
    except (FileNotFoundError, ProcessLookupError):
        return ""


def _is_of(stat: str, pids: set[int]) -> bool:
    state, _parent, _group, session = stat.rpartition(")")[2].split()[:4]
    return state != "Z" and bool({int(stat.split(maxsplit=1)[0]), int(session)} & pids)
