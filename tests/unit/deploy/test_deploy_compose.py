"""docker-compose.yml and the Dockerfile name only what exists. They cannot be built where no container engine runs."""

from __future__ import annotations

import importlib.util
import re
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml

from execution_svc.config import ExecutionConfig
from jobservice.config import JobConfig
from policy_svc.config import PolicyConfig
from registry_svc.config import RegistryConfig
from service_kit.config import ServiceConfig

ROOT = Path(__file__).resolve().parents[3]
COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
DOCKERFILE = (ROOT / "deploy/Dockerfile").read_text()
CONFIGS: dict[str, type[ServiceConfig]] = {
    "registry-svc": RegistryConfig,
    "policy-svc": PolicyConfig,
    "execution-svc": ExecutionConfig,
    "jobservice": JobConfig,
}


def modules(command: list[str]) -> list[str]:
    """The modules that a command runs with `python -m`."""
    return [command[place + 2] for place, word in enumerate(command[:-2]) if command[place : place + 2] == [word, "-m"]]


def port_of(name: str) -> str:
    """Where the service listens for gRPC."""
    listen: str = SERVICES[name]["environment"][f"{CONFIGS[name].model_config['env_prefix']}LISTEN"]
    return listen.rpartition(":")[2]


@pytest.mark.parametrize("name", CONFIGS)
def test_every_variable_is_a_setting_and_none_is_missing(name: str) -> None:
    config = CONFIGS[name]
    prefix = config.model_config["env_prefix"]
    settings = {f"{prefix}{field}".upper(): info for field, info in config.model_fields.items()}

    given = set(SERVICES[name]["environment"])

    assert given <= set(settings)
    assert {variable for variable, info in settings.items() if info.is_required()} <= given


@pytest.mark.parametrize("name", CONFIGS)
def test_a_service_is_asked_on_the_port_that_it_listens_on(name: str) -> None:
    service = SERVICES[name]
    assert service["healthcheck"]["test"][-1].rpartition(":")[2] == port_of(name)


@pytest.mark.parametrize("name", CONFIGS)
def test_peers_are_other_services_on_their_ports(name: str) -> None:
    for variable, target in SERVICES[name]["environment"].items():
        if variable.endswith(("_TARGET", "_TARGETS")):
            host, _, port = target.partition(":")
            assert port_of(host) == port


def test_every_module_that_is_run_exists() -> None:
    commands = [service.get("command", []) for service in SERVICES.values()]
    checks = [service.get("healthcheck", {}).get("test", []) for service in SERVICES.values()]
    named = {module for command in [*commands, *checks] for module in modules(command)}

    assert named >= {"registry_svc", "policy_svc", "execution_svc", "jobservice", "service_kit.health"}
    assert all(importlib.util.find_spec(module) for module in named)


def test_the_command_line_is_installed_under_its_name() -> None:
    scripts = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["scripts"]

    assert {service["command"][0] for service in SERVICES.values() if "command" in service} <= {
        *scripts,
        "python",
        "sh",
    }


@pytest.mark.parametrize("name", SERVICES)
def test_what_is_waited_for_can_be_waited_for(name: str) -> None:
    for other, how in SERVICES[name].get("depends_on", {}).items():
        if how["condition"] == "service_healthy":
            assert "healthcheck" in SERVICES[other]
        else:
            assert how["condition"] == "service_completed_successfully"
            assert "restart" not in SERVICES[other]


def test_volumes_are_declared() -> None:
    used = {mount.partition(":")[0] for service in SERVICES.values() for mount in service.get("volumes", [])}

    assert used == set(COMPOSE["volumes"])


def test_only_the_workers_scale_and_publish_no_port() -> None:
    assert "ports" not in SERVICES["jobservice"]
    assert "container_name" not in SERVICES["jobservice"]


def test_the_dockerfile_copies_what_exists_and_every_package() -> None:
    copied = re.findall(r"^COPY (?!--from)(.+) \S+$", DOCKERFILE, re.MULTILINE)
    sources = {source for line in copied for source in line.split()}
    packages = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["hatch"]["build"]["targets"]["wheel"]

    assert all((ROOT / source).exists() for source in sources)
    assert set(packages["packages"]) <= sources


def test_the_image_does_not_run_as_root() -> None:
    assert re.search(r"^USER [1-9]\d*:[1-9]\d*$", DOCKERFILE, re.MULTILINE)
