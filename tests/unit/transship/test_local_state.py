"""The state directory: private, made once, and honest about who runs."""

import base64
import os
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from transship.local.errors import StackNotRunning, StateDirNotPrivate
from transship.local.files import Locked, lock_file
from transship.local.state import LocalStack, Phase, ServiceRecord, StateDir


@pytest.fixture
def state(tmp_path: Path) -> StateDir:
    state = StateDir(tmp_path / "state")
    state.prepare()
    return state


def a_stack() -> LocalStack:
    now = datetime(2026, 1, 1, tzinfo=UTC)
    names = ["registry_svc", "jobservice", "jobservice-2"]
    services = tuple(
        ServiceRecord(
            name=name,
            service=name.partition("-")[0],
            endpoint=f"127.0.0.1:{port}",
            pid=port,
            started_at=now,
            restarts=0,
        )
        for port, name in enumerate(names, start=1)
    )
    return LocalStack(pid=os.getpid(), started_at=now, phase=Phase.READY, postgres_pid=None, services=services)


def test_directory_and_key_are_for_their_owner_only(state: StateDir) -> None:
    assert state.path.stat().st_mode & 0o777 == 0o700
    assert state.credential_keys.stat().st_mode & 0o777 == 0o600


def test_the_key_is_made_once(state: StateDir) -> None:
    before = state.credential_keys.read_text()
    state.prepare()
    assert state.credential_keys.read_text() == before
    assert len(base64.b64decode(before)) == 32


def test_a_directory_open_to_others_is_not_taken_over(tmp_path: Path) -> None:
    shared = tmp_path / "shared"
    shared.mkdir()
    shared.chmod(0o755)
    (shared / "file").touch()
    with pytest.raises(StateDirNotPrivate):
        StateDir(shared).prepare()
    assert shared.stat().st_mode & 0o777 == 0o755


def test_the_directory_comes_from_the_argument_then_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    assert StateDir.choose().path == Path.home() / ".local/state/transship"
    monkeypatch.setenv("TRANSSHIP_STATE_DIR", "/b")
    assert StateDir.choose().path == Path("/b")
    assert StateDir.choose(Path("/a")).path == Path("/a")


def test_a_stack_is_read_as_it_was_saved_while_its_lock_is_held(state: StateDir) -> None:
    with state.lock():
        a_stack().save(state)
        assert LocalStack.load(state) == a_stack()


def test_a_record_without_its_lock_is_of_a_dead_stack(state: StateDir) -> None:
    """Even though the process id in it is alive: it may be anybody's by now."""
    a_stack().save(state)
    with pytest.raises(StackNotRunning):
        LocalStack.load(state)


def test_no_directory_is_no_stack(tmp_path: Path) -> None:
    with pytest.raises(StackNotRunning):
        LocalStack.load(StateDir(tmp_path / "none"))


def test_the_lock_is_for_one(state: StateDir) -> None:
    with state.lock(), pytest.raises(Locked), state.lock(timeout_s=0.0):
        pass


def test_those_who_ask_at_once_do_not_take_each_other_for_a_stack(state: StateDir) -> None:
    with lock_file(state.path / "stack.lock", shared=True):
        assert not state.is_locked()


def test_endpoints_are_by_service_the_first_of_several(state: StateDir) -> None:
    assert a_stack().endpoints == {"registry_svc": "127.0.0.1:1", "jobservice": "127.0.0.1:2"}


def test_notifications_go_to_the_service_that_listens_for_http(state: StateDir) -> None:
    stack = a_stack()
    listening = replace(stack.services[1], http_endpoint="127.0.0.1:9")

    assert stack.events_url is None
    assert replace(stack, services=(stack.services[0], listening)).events_url == "http://127.0.0.1:9"


def test_the_log_before_stays_beside_the_new_one(state: StateDir) -> None:
    state.log("up").write_text("old")
    assert not state.rotate_log("up").exists()
    assert state.log("up").with_name("up.log.1").read_text() == "old"
