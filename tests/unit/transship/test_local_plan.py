"""What the services are started with, and when again."""

from pathlib import Path

import pytest

from transship.local.process import next_delay
from transship.local.services import SERVICES, Launch, plan

ENDPOINTS = {
    "registry_svc": ["127.0.0.1:1"],
    "policy_svc": ["127.0.0.1:2"],
    "execution_svc": ["127.0.0.1:3"],
    "jobservice": ["127.0.0.1:4", "127.0.0.1:5"],
}


@pytest.fixture
def launches() -> dict[str, Launch]:
    planned = plan(
        SERVICES,
        ENDPOINTS,
        http_endpoints={"policy_svc": "127.0.0.1:6"},
        database_url="postgresql://x",
        credential_keys=Path("k"),
    )
    return {launch.name: launch for launch in planned}


def test_every_endpoint_gets_a_process_in_start_order(launches: dict[str, Launch]) -> None:
    assert list(launches) == ["registry_svc", "policy_svc", "execution_svc", "jobservice", "jobservice-2"]
    assert launches["jobservice-2"].argv[1:] == ("-m", "jobservice")
    assert launches["jobservice-2"].env["TRANSSHIP_JOB_LISTEN"] == "127.0.0.1:5"


def test_services_are_told_where_their_peers_are(launches: dict[str, Launch]) -> None:
    assert launches["execution_svc"].env.items() >= {
        ("TRANSSHIP_EXECUTION_REGISTRY_TARGET", "127.0.0.1:1"),
        ("TRANSSHIP_EXECUTION_POLICY_TARGET", "127.0.0.1:2"),
        ("TRANSSHIP_EXECUTION_JOB_TARGETS", "127.0.0.1:4,127.0.0.1:5"),
        ("TRANSSHIP_EXECUTION_DATABASE_URL", "postgresql://x"),
        ("TRANSSHIP_EXECUTION_LISTEN", "127.0.0.1:3"),
    }


def test_the_policy_service_listens_for_events_too(launches: dict[str, Launch]) -> None:
    assert launches["policy_svc"].env["TRANSSHIP_POLICY_EVENTS_LISTEN"] == "127.0.0.1:6"
    assert {name: each.http_endpoint for name, each in launches.items() if each.http_endpoint} == {
        "policy_svc": "127.0.0.1:6"
    }


def test_only_the_registry_service_gets_the_credential_keys(launches: dict[str, Launch]) -> None:
    holders = [name for name, launch in launches.items() if any("CREDENTIAL" in key for key in launch.env)]
    assert holders == ["registry_svc"]
    assert launches["registry_svc"].env["TRANSSHIP_REGISTRY_CREDENTIAL_KEYS_FILE"] == "k"


def test_a_service_that_keeps_ending_waits_longer_up_to_a_bound() -> None:
    delays: list[float] = []
    for _ in range(7):
        delays.append(next_delay(delays[-1] if delays else None, uptime_s=1.0))
    assert delays == [0.2, 0.4, 0.8, 1.6, 3.2, 5.0, 5.0]


def test_a_service_that_ran_steadily_starts_again_at_once() -> None:
    assert next_delay(5.0, uptime_s=30.0) == 0.2
