"""A stack of real processes on a real PostgreSQL; only the services are stand-ins that serve nothing but health."""

import asyncio
import os
import signal
import sys
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import psycopg
import pytest

import transship
from transship.local.commands import PostgresState, StackStatus, down, status, up
from transship.local.database import embedded_postgres
from transship.local.errors import StackAlreadyRunning, StackNotRunning, StackStartFailed
from transship.local.files import lock_file
from transship.local.health import Health
from transship.local.services import SERVICES
from transship.local.state import LocalStack, Phase, StateDir

_STAND_IN = """
import asyncio, os, signal
import grpc
from grpc_health.v1 import health, health_pb2_grpc

async def main():
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    server = grpc.aio.server()
    health_pb2_grpc.add_HealthServicer_to_server(health.aio.HealthServicer(), server)
    server.add_insecure_port(os.environ["{prefix}LISTEN"])
    await server.start()
    await stop.wait()
    await server.stop(0)

asyncio.run(main())
"""


@pytest.fixture(autouse=True)
def stand_ins(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Packages with the names of the services, found before them by every process that the tests start."""
    packages = tmp_path / "packages"
    for service in SERVICES:
        package = packages / service.package
        (package / "migrations").mkdir(parents=True)
        (package / "__init__.py").touch()
        (package / "__main__.py").write_text(_STAND_IN.format(prefix=service.env_prefix))
        (package / "migrations" / "0001_first.sql").write_text(f"CREATE TABLE of_{service.schema} (n integer);")
    repository = Path(transship.__file__).parent.parent
    monkeypatch.setenv("PYTHONPATH", f"{packages}{os.pathsep}{repository}")
    monkeypatch.chdir(packages)
    return packages


@pytest.fixture
async def state(tmp_path: Path) -> AsyncIterator[StateDir]:
    """Where a stack may be left running: it is stopped after the test."""
    state = StateDir(tmp_path / "state")
    yield state
    if state.is_locked():
        await down(state)


async def started(state: StateDir, *, jobservice_processes: int = 1) -> LocalStack:
    ready: list[LocalStack] = []
    await up(state, on_ready=ready.append, detach=True, jobservice_processes=jobservice_processes)
    return ready[0]


async def until(state: StateDir, holds: Callable[[StackStatus], bool]) -> StackStatus:
    async with asyncio.timeout(30):
        while True:
            if holds(now := await status(state)):
                return now
            await asyncio.sleep(0.05)


def all_serve(now: StackStatus) -> bool:
    return all(each.health is Health.SERVING for each in now.services)


def pids(stack: LocalStack) -> set[int]:
    return {each.pid for each in stack.services if each.pid} | {stack.postgres_pid or 0}


def wait_gone(wanted: set[int]) -> None:
    """A zombie is gone too: its parent may be slow to look. The time limit of the test is the bound."""
    while any(is_running(pid) for pid in wanted):
        time.sleep(0.05)


def is_file(path: str) -> bool:
    return Path(path).exists()


def is_running(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


async def test_up_brings_four_serving_services_and_their_schemas(state: StateDir) -> None:
    stack = await started(state)
    now = await status(state)
    assert {each.service for each in stack.services} == {each.package for each in SERVICES}
    assert all_serve(now)
    assert now.postgres is PostgresState.RUNNING
    with psycopg.connect(embedded_postgres(state).url()) as connection:
        tables = connection.execute("SELECT schemaname FROM pg_tables WHERE tablename = 'of_' || schemaname").fetchall()
    assert {schema for (schema,) in tables} == {each.schema for each in SERVICES}


async def test_more_jobservice_processes_have_endpoints_of_their_own(state: StateDir) -> None:
    stack = await started(state, jobservice_processes=2)
    endpoints = [each.endpoint for each in stack.services if each.service == "jobservice"]
    assert len(set(endpoints)) == 2
    assert all_serve(await status(state))


async def test_a_killed_service_comes_back_at_its_endpoint(state: StateDir) -> None:
    before = (await started(state)).services[1]
    assert before.pid
    os.kill(before.pid, signal.SIGKILL)
    now = await until(state, lambda now: now.services[1].restarts == 1 and all_serve(now))
    assert now.services[1].endpoint == before.endpoint
    assert now.services[1].pid != before.pid
    assert [each.restarts for each in now.services] == [0, 1, 0, 0]


async def test_a_killed_postgres_comes_back(state: StateDir) -> None:
    killed = (await started(state)).postgres_pid
    assert killed
    os.kill(killed, signal.SIGKILL)
    now = await until(state, lambda now: now.postgres_pid not in {None, killed})
    assert now.postgres is PostgresState.RUNNING


async def test_down_leaves_no_process_no_socket_and_no_record(state: StateDir) -> None:
    stack = await started(state)
    address = psycopg.conninfo.conninfo_to_dict(embedded_postgres(state).url())
    socket = f"{address['host']}/.s.PGSQL.{address['port']}"
    assert is_file(socket)
    await down(state)
    assert not any(is_running(pid) for pid in pids(stack))
    assert not is_file(socket)
    assert not state.record.exists()
    with pytest.raises(StackNotRunning):
        await down(state)
    with pytest.raises(StackNotRunning):
        await status(state)


async def test_a_killed_supervisor_takes_everything_along_and_the_next_one_starts(state: StateDir) -> None:
    stack = await started(state)
    os.kill(stack.pid, signal.SIGKILL)
    wait_gone(pids(stack))
    with pytest.raises(StackNotRunning):
        LocalStack.load(state)
    await started(state)
    assert all_serve(await status(state))


async def test_a_second_up_is_refused_and_the_first_goes_on(state: StateDir) -> None:
    stack = await started(state)
    with pytest.raises(StackAlreadyRunning):
        await started(state)
    assert LocalStack.load(state) == stack


async def test_two_stacks_run_side_by_side(state: StateDir, tmp_path: Path) -> None:
    other = StateDir(tmp_path / "other")
    first, second = await started(state), await started(other)
    assert not set(first.endpoints.values()) & set(second.endpoints.values())
    await down(other)
    assert all_serve(await status(state))


async def test_a_service_that_cannot_start_is_named_with_its_last_words(state: StateDir, stand_ins: Path) -> None:
    (stand_ins / "policy_svc" / "__main__.py").write_text("raise SystemExit('no such setting')")
    with pytest.raises(StackStartFailed, match=r"policy_svc ends again and again\nno such setting"):
        await started(state)
    assert not state.is_locked()


async def test_a_given_database_is_used_instead_of_our_own(state: StateDir, tmp_path: Path) -> None:
    database = embedded_postgres(StateDir(tmp_path / "elsewhere"))
    (tmp_path / "elsewhere").mkdir(mode=0o700)
    (tmp_path / "elsewhere" / "logs").mkdir()
    with database:
        database.create_database("given")
        await up(state, on_ready=lambda _: None, detach=True, database_url=database.url("given"))
        assert (await status(state)).postgres is PostgresState.EXTERNAL
        assert not state.postgres.exists()
        await down(state)


async def test_ctrl_c_twice_in_the_foreground_still_stops_everything_cleanly(state: StateDir) -> None:
    command = [sys.executable, "-m", "transship.local", str(state.path), "1"]
    foreground = await asyncio.create_subprocess_exec(*command, stderr=asyncio.subprocess.PIPE)
    while not state.record.exists():  # noqa: ASYNC110 - another process wakes nobody
        await asyncio.sleep(0.01)
    await until(state, lambda now: now.phase is Phase.READY)
    stack = LocalStack.load(state)
    foreground.send_signal(signal.SIGINT)
    foreground.send_signal(signal.SIGINT)
    _, errors = await foreground.communicate()
    assert foreground.returncode == 0
    assert b"Traceback" not in errors
    assert not any(is_running(pid) for pid in pids(stack))


async def test_ctrl_c_during_the_start_leaves_nothing(state: StateDir) -> None:
    command = [sys.executable, "-m", "transship.local", str(state.path), "1"]
    foreground = await asyncio.create_subprocess_exec(*command)
    while not state.is_locked():  # noqa: ASYNC110 - the lock of another process wakes nobody
        await asyncio.sleep(0.01)
    foreground.send_signal(signal.SIGINT)
    assert await foreground.wait() == 0
    assert not state.record.exists()
    with lock_file(state.postgres / "server.lock"):
        pass
