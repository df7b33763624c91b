"""The service as a process, and its logs."""

import asyncio
import base64
import os
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc  # type: ignore[import-untyped]

from oci_client.testing import BasicAuth, FakeRegistry, an_image
from service_kit.channel import open_channel
from tests.integration.registry_svc.registry_service import NOBODY
from tests.postgres import Database
from transship.registry.v1 import (
    access_pb2,
    access_pb2_grpc,
    catalog_pb2,
    catalog_pb2_grpc,
    registry_pb2,
    registry_pb2_grpc,
)
from transship.type.v1.filter_pb2 import Newest

START_TIMEOUT_S = 30.0
MAX_BYTES = 150 * 1024 * 1024
PASSWORD = "Tr0ub4dor&3"


@asynccontextmanager
async def _process(directory: Path, database_url: str) -> AsyncIterator[tuple[str, int]]:
    """Gives the address and the process id; ends the process by SIGTERM and expects that it ends well."""
    keys, port_file = directory / "keys", directory / "address"
    keys.write_text("k1:" + base64.b64encode(os.urandom(32)).decode())
    settings = {
        "DATABASE_URL": database_url,
        "CREDENTIAL_KEYS_FILE": str(keys),
        "POLICY_TARGET": NOBODY,
        "PORT_FILE": str(port_file),
    }
    environment = os.environ | {f"TRANSSHIP_REGISTRY_{name}": value for name, value in settings.items()}
    with (directory / "log").open("wb") as log:
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "registry_svc", env=environment, stdout=log, stderr=log
        )
    try:
        async with asyncio.timeout(START_TIMEOUT_S):
            while not port_file.exists():
                assert process.returncode is None, (directory / "log").read_text()
                await asyncio.sleep(0.05)
        yield port_file.read_text().strip(), process.pid
        process.send_signal(signal.SIGTERM)
        assert await asyncio.wait_for(process.wait(), START_TIMEOUT_S) == 0
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


async def test_it_serves_without_its_peers_and_logs_no_secret(database: Database, tmp_path: Path) -> None:
    async with (
        FakeRegistry(auth=BasicAuth(username="robot", password=PASSWORD)) as hub,
        _process(tmp_path, await database("registry_svc")) as (address, _),
        open_channel(address) as channel,
    ):
        health = await health_pb2_grpc.HealthStub(channel).Check(
            health_pb2.HealthCheckRequest(service="transship.registry.v1.RegistryService")
        )
        credential = registry_pb2.Credential(username="robot", password=PASSWORD)
        registry = registry_pb2.Registry(type="docker-registry", url=hub.url, credential=credential)
        request = registry_pb2.CreateRegistryRequest(registry_id="hub", registry=registry)
        await registry_pb2_grpc.RegistryServiceStub(channel).CreateRegistry(request)
        scope = access_pb2.RepositoryScope(repository="a/x", actions=[access_pb2.RepositoryScope.ACTION_PULL])
        access = await access_pb2_grpc.AccessServiceStub(channel).IssueAccess(
            access_pb2.IssueAccessRequest(registry="registries/hub", scopes=[scope])
        )

    assert health.status == health_pb2.HealthCheckResponse.SERVING
    log = (tmp_path / "log").read_text()
    assert "CreateRegistry" in log
    assert PASSWORD not in log
    assert access.authorization.removeprefix("Basic ") not in log


async def test_ten_thousand_repositories_and_a_hundred_thousand_tags_fit_into_little_memory(
    database: Database, tmp_path: Path
) -> None:
    async with (
        FakeRegistry() as hub,
        _process(tmp_path, await database("registry_svc")) as (address, pid),
        open_channel(address) as channel,
    ):
        built = an_image((16,))
        for number in range(10_000):
            hub.push(f"team-{number % 100}/service-{number}", built, "1.0.0")
        hub.push("large/app", built, *(f"1.{number}.0" for number in range(100_000)))
        registry = registry_pb2.Registry(type="docker-registry", url=hub.url)
        request = registry_pb2.CreateRegistryRequest(registry_id="hub", registry=registry)
        await registry_pb2_grpc.RegistryServiceStub(channel).CreateRegistry(request)
        catalog = catalog_pb2_grpc.CatalogServiceStub(channel)

        assert await _listed(catalog, catalog_pb2.ListResourcesRequest(registry="registries/hub")) == (110_000, 0)
        newest = Newest(order=Newest.ORDER_SEMVER, count=10)
        ranked = catalog_pb2.ListResourcesRequest(registry="registries/hub", newest=newest, include_rejected=True)
        assert await _listed(catalog, ranked) == (10_010, 99_990)

        peak = _peak_bytes(pid)
        assert peak < MAX_BYTES, f"{peak >> 20} MiB"


def _peak_bytes(pid: int) -> int:
    status = Path(f"/proc/{pid}/status").read_text()
    [peak_kb] = [int(line.split()[1]) for line in status.splitlines() if line.startswith("VmHWM:")]
    return peak_kb * 1024


async def _listed(
    catalog: "catalog_pb2_grpc.CatalogServiceAsyncStub", request: catalog_pb2.ListResourcesRequest
) -> tuple[int, int]:
    """How many references and rejections came."""
    references = rejections = 0
    async for batch in catalog.ListResources(request):
        references += sum(len(resource.references) for resource in batch.resources)
        rejections += len(batch.rejections)
    return references, rejections


@pytest.mark.parametrize("content", ["", "k1:short"])
async def test_bad_keys_end_it_at_once(database: Database, tmp_path: Path, content: str) -> None:
    keys = tmp_path / "keys"
    keys.write_text(content)
    settings = {
        "DATABASE_URL": await database("registry_svc"),
        "CREDENTIAL_KEYS_FILE": str(keys),
        "POLICY_TARGET": NOBODY,
    }
    environment = os.environ | {f"TRANSSHIP_REGISTRY_{name}": value for name, value in settings.items()}

    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "registry_svc", env=environment, stderr=asyncio.subprocess.PIPE
    )
    _, errors = await process.communicate()

    assert process.returncode == 2
    assert errors.startswith(b"TRANSSHIP_REGISTRY_CREDENTIAL_KEYS_FILE: ")
