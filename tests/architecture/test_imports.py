"""The arrows between our packages, and between the rooms of a service."""

import re
from dataclasses import dataclass
from typing import Final

import pytest

from tests.architecture.sources import PACKAGES, SERVICES, Source, is_below, written_by_us

STUBS: Final = tuple(f"transship.{each}" for each in ("type", "registry", "policy", "execution", "job"))
HTTP_LIBRARIES: Final = ("httpx", "httpx_aiohttp", "aiohttp")
DATABASE_LIBRARIES: Final = ("psycopg", "psycopg_pool", "procrastinate")

# What of ours a package may import besides itself. The longest name that fits decides.
ALLOWED: Final = {
    "oci_client": (),
    "replication": (),
    "service_kit": (),
    **dict.fromkeys(SERVICES, ("service_kit", "oci_client", "replication", *STUBS)),
    "jobservice.engine": ("oci_client", "replication", "jobservice.transfer"),
    "transship.local": ("service_kit",),
    "transship.sdk": ("service_kit", "transship.local", *STUBS),  # it finds the stack of this machine
    "transship.cli": ("service_kit", "oci_client", "transship"),
    "transship.demo": ("service_kit", "oci_client", "transship"),
    "transship": (),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Closed:
    """Modules (a pattern over their whole name) into which nothing of `names` may come; `_pb2` stands for all stubs."""

    modules: str
    names: tuple[str, ...]


# Events have rooms of their own within the policy service.
_SERVICE: Final = rf"({'|'.join(SERVICES)})(\.events)?"
CLOSED: Final = (
    Closed(
        modules=r"(?!oci_client\.(http|testing)\b|policy_svc\.events\.endpoint$).*",
        names=HTTP_LIBRARIES,
    ),
    Closed(modules=r"jobservice\.(engine|transfer)\b.*", names=("grpc", "google", "service_kit", *DATABASE_LIBRARIES)),
    Closed(
        modules=rf"{_SERVICE}\.domain\b.*",
        names=("grpc", "google", "_pb2", *DATABASE_LIBRARIES, "servicer", "convert", "service", "store", "postgres"),
    ),
    Closed(modules=rf"{_SERVICE}\.service\b.*", names=("grpc", "_pb2", "servicer", "convert", "postgres", "app")),
    Closed(modules=rf"{_SERVICE}\.store", names=("grpc", "_pb2", "servicer", "service", "postgres", "app")),
    Closed(modules=rf"{_SERVICE}\.postgres\b.*", names=("grpc", "_pb2", "servicer", "service", "app")),
    Closed(modules=rf"{_SERVICE}\.(servicer|convert)\b.*", names=("postgres", "app", *DATABASE_LIBRARIES)),
    # The wiring knows all the others, so none of them knows the wiring.
    Closed(modules=rf"{_SERVICE}\.(?!__main__|app\b).*", names=("app", "__main__")),
)


def broken_arrows(source: Source) -> list[str]:
    """The imports of the module that go against an arrow."""
    allowed = _allowed(source.module)
    foreign = [name for name in source.imports if is_below(name, *PACKAGES, "a relative import")]
    shut = [rule for rule in CLOSED if re.fullmatch(rule.modules, source.module)]
    broken = [name for name in foreign if not is_below(name, *allowed)]
    broken += [name for name in source.imports for rule in shut if _is_shut_out(name, source.module, rule)]
    return [f"{source.path} imports {name}" for name in sorted(set(broken))]


def _allowed(module: str) -> tuple[str, ...]:
    owner = max((package for package in ALLOWED if is_below(module, package)), key=len)
    return (owner, *ALLOWED[owner])


def _is_shut_out(name: str, module: str, rule: Closed) -> bool:
    service = module.partition(".")[0]
    rooms = (f"{house}.{each}" for house in (service, f"{service}.events") for each in rule.names)
    return is_below(name, *rule.names, *rooms) or ("_pb2" in rule.names and "_pb2" in name)


def test_every_import_follows_the_arrows() -> None:
    assert [arrow for source in written_by_us() for arrow in broken_arrows(source)] == []


def test_every_package_is_read() -> None:
    modules = [source.module for source in written_by_us()]
    assert [package for package in PACKAGES if not any(is_below(module, package) for module in modules)] == []


@pytest.mark.parametrize(
    ("module", "line"),
    [
        ("registry_svc.service", "from policy_svc.domain import policy"),
        ("policy_svc.gateways", "from transship.sdk import TransshipClient"),
        ("execution_svc.flows.copy", "import transship.local.state"),
        ("jobservice.app", "from transship.cli.main import main"),
        ("oci_client.http", "from service_kit.secret import Secret"),
        ("oci_client.testing.server", "import replication"),
        ("replication.glob", "from oci_client import digest"),
        ("service_kit.run", "from oci_client.digest import Digest"),
        ("service_kit.testing", "from transship.type.v1 import error_reason_pb2"),
        ("transship.sdk.calls", "from transship.cli import render"),
        ("transship.sdk.calls", "from registry_svc import domain"),
        ("transship.local.state", "from transship.sdk import Endpoints"),
        ("transship.local.services", "from jobservice import app"),
        ("transship.cli.copy", "from registry_svc.domain import rules"),
        ("jobservice.engine.blobs", "from service_kit.secret import Secret"),
        ("jobservice.engine.blobs", "import grpc"),
        ("jobservice.engine.blobs", "import psycopg"),
        ("jobservice.engine.blobs", "from transship.job.v1 import job_pb2"),
        ("jobservice.engine.blobs", "from jobservice.store import JobStore"),
        ("policy_svc.domain.policy", "import grpc"),
        ("policy_svc.domain.policy", "from psycopg import sql"),
        ("policy_svc.domain.policy", "from transship.policy.v1 import policy_pb2"),
        ("policy_svc.domain.policy", "from policy_svc.store import PolicyStore"),
        ("jobservice.domain", "from jobservice.service import Jobs"),
        ("policy_svc.service", "from policy_svc.servicer import PolicyServicer"),
        ("policy_svc.service", "from policy_svc.postgres import PostgresPolicies"),
        ("registry_svc.service.registries", "from transship.registry.v1 import registry_pb2"),
        ("execution_svc.store", "from execution_svc.postgres.rows import Row"),
        ("execution_svc.postgres.rows", "from execution_svc.service import Executions"),
        ("registry_svc.servicer", "import psycopg"),
        ("registry_svc.gateways", "from registry_svc import app"),
        ("registry_svc.adapters.native", "import httpx"),
        ("jobservice.engine.connections", "from aiohttp import web"),
        ("oci_client.exchange", "import httpx_aiohttp"),
        ("policy_svc.service", "from . import domain"),
        ("policy_svc.events.service", "from aiohttp import web"),
        ("policy_svc.events.service", "from policy_svc.events.servicer import EventServicer"),
        ("policy_svc.events.service", "from policy_svc.postgres import PostgresPolicyStore"),
        ("policy_svc.events.domain.event", "from policy_svc.events.store import EventStore"),
        ("policy_svc.events.store", "from policy_svc.events.postgres.rows import to_event"),
        ("policy_svc.events.dispatcher", "from policy_svc.events.app import open_events"),
    ],
)
def test_an_import_against_an_arrow_is_seen(module: str, line: str) -> None:
    [arrow] = broken_arrows(Source(module=module, path="there.py", text=f"if True:\n    {line}\n"))
    assert arrow.startswith("there.py imports ")


@pytest.mark.parametrize(
    ("module", "line"),
    [
        ("registry_svc.gateways", "from transship.policy.v1 import policy_pb2"),
        ("policy_svc.domain.rules", "from replication.glob import GlobInvalid"),
        ("policy_svc.app", "from policy_svc import postgres, servicer"),
        ("policy_svc.app", "from policy_svc.events.app import open_events"),
        ("policy_svc.events.endpoint", "from aiohttp import web"),
        ("jobservice.engine.blobs", "from jobservice.transfer import Progress"),
        ("oci_client.http", "import httpx"),
        ("oci_client.testing.server", "from aiohttp import web"),
    ],
)
def test_an_import_along_an_arrow_is_fine(module: str, line: str) -> None:
    assert broken_arrows(Source(module=module, path="there.py", text=line)) == []
