"""The four services as the supervisor sees them: what to run, which schema to migrate, what to tell them."""

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

JOBSERVICE: Final = "jobservice"
# Nobody takes over from a service that leaves on one machine, so it need not wait for its callers as long as elsewhere.
DRAIN_TIMEOUT_S: Final = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Service:
    """One service: `package` is run by `python -m` and brings the migrations of `schema`."""

    package: str
    schema: str
    env_prefix: str
    # Names of settings, after the prefix, and the service whose endpoints they get.
    peers: Mapping[str, str] = field(default_factory=dict)
    has_credential_keys: bool = False
    # Name of the setting, after the prefix, of a second address, which is for HTTP.
    http_listen: str | None = None


SERVICES: Final = (
    Service(
        package="registry_svc",
        schema="registry",
        env_prefix="TRANSSHIP_REGISTRY_",
        peers={"POLICY_TARGET": "policy_svc"},
        has_credential_keys=True,
    ),
    Service(
        package="policy_svc",
        schema="policy",
        env_prefix="TRANSSHIP_POLICY_",
        peers={"REGISTRY_TARGET": "registry_svc", "EXECUTION_TARGET": "execution_svc"},
        http_listen="EVENTS_LISTEN",
    ),
    Service(
        package="execution_svc",
        schema="execution",
        env_prefix="TRANSSHIP_EXECUTION_",
        peers={"REGISTRY_TARGET": "registry_svc", "POLICY_TARGET": "policy_svc", "JOB_TARGETS": JOBSERVICE},
    ),
    Service(
        package=JOBSERVICE,
        schema="job",
        env_prefix="TRANSSHIP_JOB_",
        peers={"REGISTRY_TARGET": "registry_svc"},
    ),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Launch:
    """One process of a service: its name, where it listens, and what it is started with."""

    name: str
    service: str
    endpoint: str
    http_endpoint: str | None
    argv: tuple[str, ...]
    env: Mapping[str, str]


def plan(
    services: Sequence[Service],
    endpoints: Mapping[str, Sequence[str]],
    *,
    http_endpoints: Mapping[str, str],
    database_url: str,
    credential_keys: Path,
) -> list[Launch]:
    """One launch for each endpoint of each service, in the order of the services."""
    launches = []
    for service in services:
        settings = {
            "DATABASE_URL": database_url,
            "LOG_FORMAT": "json",
            "DRAIN_TIMEOUT_S": str(DRAIN_TIMEOUT_S),
            **{name: ",".join(endpoints[peer]) for name, peer in service.peers.items()},
            **({"CREDENTIAL_KEYS_FILE": str(credential_keys)} if service.has_credential_keys else {}),
        }
        http = http_endpoints.get(service.package)
        if service.http_listen and http:
            settings[service.http_listen] = http
        own = enumerate(endpoints[service.package], start=1)
        launches += [_launch(service, number, endpoint, http, settings) for number, endpoint in own]
    return launches


def _launch(service: Service, number: int, endpoint: str, http: str | None, settings: Mapping[str, str]) -> Launch:
    env = {f"{service.env_prefix}{name}": value for name, value in {**settings, "LISTEN": endpoint}.items()}
    return Launch(
        name=service.package if number == 1 else f"{service.package}-{number}",
        service=service.package,
        endpoint=endpoint,
        http_endpoint=http,
        argv=(sys.executable, "-m", service.package),
        # gRPC would ask an HTTP proxy of the environment for the way to loopback.
        env={**env, "no_grpc_proxy": "127.0.0.1"},
    )
