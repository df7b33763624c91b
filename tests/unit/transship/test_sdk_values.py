"""What the SDK decides without a server: names, globs and endpoints."""

from datetime import UTC, datetime
from pathlib import Path

import pytest

from replication.glob import literals
from transship.local.errors import StackNotRunning
from transship.local.state import LocalStack, Phase, ServiceRecord, StateDir
from transship.sdk import Endpoints, literal
from transship.sdk.endpoints import client_tls
from transship.sdk.names import execution_name, policy_name, registry_name, task_name

TARGETS = {
    "TRANSSHIP_REGISTRY_TARGET": "r:1",
    "TRANSSHIP_POLICY_TARGET": "p:1",
    "TRANSSHIP_EXECUTION_TARGET": "e:1",
}


def test_ids_and_full_names_are_the_same_name() -> None:
    assert registry_name("hub") == registry_name("registries/hub") == "registries/hub"
    assert policy_name("nightly") == policy_name("policies/nightly") == "policies/nightly"
    assert execution_name("7") == execution_name("executions/7") == "executions/7"
    assert task_name("1", execution="7") == task_name("executions/7/tasks/1") == "executions/7/tasks/1"


def test_the_environment_names_the_services() -> None:
    assert Endpoints.from_environment(TARGETS) == Endpoints(registry="r:1", policy="p:1", execution="e:1")


def test_half_an_environment_is_a_mistake() -> None:
    with pytest.raises(ValueError, match="all three services"):
        Endpoints.from_environment({"TRANSSHIP_POLICY_TARGET": "p:1"})


def test_a_certificate_needs_its_key_and_an_authority() -> None:
    assert client_tls(None, None, None) is None
    assert client_tls("ca.pem", None, None) is not None
    with pytest.raises(ValueError, match="go together"):
        client_tls("ca.pem", "cert.pem", None)
    with pytest.raises(ValueError, match="authority"):
        client_tls(None, "cert.pem", "key.pem")


def test_a_running_stack_says_where_it_is(tmp_path: Path) -> None:
    state = StateDir(tmp_path / "state")
    state.prepare()
    with state.lock():
        a_stack().save(state)
        endpoints = Endpoints.from_local_stack(state.path)
    assert endpoints == Endpoints(registry="registry_svc:1", policy="policy_svc:1", execution="execution_svc:1")
    with pytest.raises(StackNotRunning):
        Endpoints.from_local_stack(state.path)


def a_stack() -> LocalStack:
    now = datetime.now(UTC)
    services = tuple(
        ServiceRecord(name=name, service=name, endpoint=f"{name}:1", pid=1, started_at=now, restarts=0)
        for name in ("registry_svc", "policy_svc", "execution_svc", "jobservice")
    )
    return LocalStack(pid=1, started_at=now, phase=Phase.READY, postgres_pid=None, services=services)


@pytest.mark.parametrize("text", ["library/nginx", "a-b_c.d/e", "v1.2-rc_1", "odd[*]{a,b}?\\x"])
def test_a_literal_matches_itself_alone(text: str) -> None:
    assert literals(literal(text)) == [text]
