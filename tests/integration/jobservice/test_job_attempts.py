"""Real workers, killed in the middle of a job: what the first one has done is told as done, by whoever ends the job."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from google.protobuf.empty_pb2 import Empty

from jobservice.postgres.runs import PostgresRunStore
from oci_client.testing import Action, BuiltManifest, FakeRegistry, Match, Stall, an_image
from oci_client.testing.messages import Handler, Reply, Request
from service_kit.channel import open_channel
from service_kit.database import open_pool
from service_kit.server import GrpcServer
from tests.engine_kit import content
from tests.postgres import Database
from transship.job.v1 import job_pb2 as pb
from transship.job.v1 import job_pb2_grpc
from transship.registry.v1 import access_pb2, access_pb2_grpc, catalog_pb2, catalog_pb2_grpc
from transship.type.v1.transfer_pb2 import ReferenceResult

PATIENCE_S = 60.0  # generous: it is here to end a test that hangs
REPOSITORY = "library/app"
IMAGES = {str(number): an_image([b"layer %d" % number], seed=number) for number in (1, 2, 3)}
OLD, NEWER = an_image([b"old"], seed=8), an_image([b"newer"], seed=9)


class RegistryService(access_pb2_grpc.AccessServiceServicer, catalog_pb2_grpc.CatalogServiceServicer):
    """Knows two registries and needs no credential for them. Deletions of a tag in `held` wait until it is released."""

    def __init__(self, registries: dict[str, FakeRegistry]) -> None:
        self._registries = registries
        self.held: dict[str, asyncio.Event] = {}

    async def IssueAccess(self, request: access_pb2.IssueAccessRequest, context: Any) -> access_pb2.IssueAccessResponse:
        registry = self._registries[request.registry]
        return access_pb2.IssueAccessResponse(
            url=registry.url, insecure=True, registry_uid=request.registry, type="docker-registry"
        )

    async def DeleteTag(self, request: catalog_pb2.DeleteTagRequest, context: Any) -> Empty:
        if request.tag in self.held:
            await self.held[request.tag].wait()
        del self._registries[request.registry].store.repository(request.repository).tags[request.tag]
        return Empty()

    def ListResources(self, request: Any, context: Any) -> Any:
        raise NotImplementedError

    async def PrepareRepositories(self, request: Any, context: Any) -> Any:
        raise NotImplementedError


class World:
    """Two registries, a registry_svc that knows them, and the database of the workers."""

    def __init__(self, source: FakeRegistry, destination: FakeRegistry, url: str, directory: Path) -> None:
        self.source = source
        self.destination = destination
        self.service = RegistryService({"registries/a": source, "registries/b": destination})
        self.address = ""
        self._url = url
        self._directory = directory

    @asynccontextmanager
    async def worker(self, end: signal.Signals) -> AsyncIterator[job_pb2_grpc.JobServiceAsyncStub]:
        """Runs `python -m jobservice`, and sends it the signal at last."""
        port_file = self._directory / "port"
        port_file.unlink(missing_ok=True)
        settings = {"DATABASE_URL": self._url, "REGISTRY_TARGET": self.address, "PORT_FILE": str(port_file)}
        environment = os.environ | {f"TRANSSHIP_JOB_{name}": value for name, value in settings.items()}
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "jobservice", env=environment, stderr=subprocess.DEVNULL
        )
        try:
            async with asyncio.timeout(PATIENCE_S):
                while not port_file.exists():  # noqa: ASYNC110 - a file notifies nobody
                    await asyncio.sleep(0.05)
                async with open_channel(port_file.read_text().strip()) as channel:
                    yield job_pb2_grpc.JobServiceStub(channel)
        finally:
            process.send_signal(end)
            await process.wait()

    async def give_back(self) -> None:
        """Spares the test the seconds that a worker must have been silent for."""
        async with open_pool(self._url, schema="job") as pool:
            assert (await PostgresRunStore(pool).reap(silent_s=0, max_lost=5)).returned == ("a",)

    async def ended(self) -> pb.JobStatus:
        """How another worker ends the job of a killed one."""
        await self.give_back()
        async with self.worker(signal.SIGTERM) as stub, asyncio.timeout(PATIENCE_S):
            async for each in stub.WatchJob(pb.WatchJobRequest(name="jobs/a")):
                status = each.status
        assert status.attempt == 2
        return status

    @property
    def tags(self) -> dict[str, str]:
        return content(self.destination, REPOSITORY)[2]


@pytest.fixture
async def world(database: Database, tmp_path: Path) -> AsyncIterator[World]:
    async with FakeRegistry() as source, FakeRegistry() as destination:
        world = World(source, destination, await database("jobservice"), tmp_path)
        server = GrpcServer("127.0.0.1:0")
        server.add(
            access_pb2_grpc.add_AccessServiceServicer_to_server, world.service, "transship.registry.v1.AccessService"
        )
        server.add(
            catalog_pb2_grpc.add_CatalogServiceServicer_to_server, world.service, "transship.registry.v1.CatalogService"
        )
        await server.start()
        world.address = server.address
        yield world
        await server.drain(0)


async def submit(stub: job_pb2_grpc.JobServiceAsyncStub, **work: Any) -> None:
    call: Any = stub.Delegate()
    await call.write(
        pb.DelegateRequest(submit=pb.SubmitJobs(jobs=[pb.JobSpec(key="a", fairness_group="policies/p", **work)]))
    )
    assert list((await call.read()).accepted.keys) == ["a"]
    call.cancel()


def a_copy(*tags: str, backup_tag: str = "") -> pb.ReplicateWork:
    return pb.ReplicateWork(
        source_registry="registries/a",
        source_repository=REPOSITORY,
        destination_registry="registries/b",
        destination_repository=REPOSITORY,
        references=[pb.ReplicateReference(tag=tag) for tag in tags],
        override=True,
        backup_tag=backup_tag,
    )


def outcomes(status: pb.JobStatus) -> dict[str, tuple[str, str, str]]:
    return {
        each.tag: (ReferenceResult.Outcome.Name(each.outcome).removeprefix("OUTCOME_"), each.digest, each.backup_tag)
        for each in status.results
    }


def bytes_of_blobs(*images: BuiltManifest) -> int:
    return sum({digest: blob.size for image in images for digest, blob in image.blobs.items()}.values())


async def test_what_a_killed_worker_has_copied_is_told_as_copied(world: World) -> None:
    for tag, image in IMAGES.items():
        world.source.push(REPOSITORY, image, tag)
    world.destination.push(REPOSITORY, OLD, "1")
    stall = Stall()
    last = Match(action=Action.MANIFEST, method="GET", where=lambda request: request.reference == "3")
    world.source.misbehave(stall, match=last)
    async with world.worker(signal.SIGKILL) as stub:
        await submit(stub, replicate=a_copy(*IMAGES, backup_tag="{tag}-old"))
        async for each in stub.WatchJob(pb.WatchJobRequest(name="jobs/a")):
            if each.status.progress.references_copied == 2:
                break
    stall.release()

    status = await world.ended()

    assert status.state == pb.Job.STATE_SUCCEEDED
    assert outcomes(status) == {
        "1": ("COPIED", IMAGES["1"].digest, "1-old"),
        "2": ("COPIED", IMAGES["2"].digest, ""),
        "3": ("COPIED", IMAGES["3"].digest, ""),
    }
    assert (status.progress.references_total, status.progress.references_copied) == (3, 3)
    assert status.progress.bytes_copied == status.progress.bytes_total == bytes_of_blobs(*IMAGES.values())
    assert world.tags == {"1-old": OLD.digest, **{tag: image.digest for tag, image in IMAGES.items()}}


@pytest.mark.parametrize("at_source", [IMAGES["1"], NEWER], ids=["the same", "moved"])
async def test_a_worker_that_is_killed_while_it_overwrites_knows_its_write(
    world: World, at_source: BuiltManifest
) -> None:
    """The registry has taken the manifest, and nobody has heard its answer."""
    world.source.push(REPOSITORY, IMAGES["1"], "1")
    world.destination.push(REPOSITORY, OLD, "1")
    taken, killed = asyncio.Event(), asyncio.Event()

    async def answer_late(request: Request, handler: Handler) -> Reply:
        reply = await handler(request)
        taken.set()
        await killed.wait()
        return reply

    write = Match(action=Action.MANIFEST, method="PUT", where=lambda request: request.reference == "1")
    world.destination.misbehave(answer_late, match=write)
    async with world.worker(signal.SIGKILL) as stub:
        await submit(stub, replicate=a_copy("1", backup_tag="{tag}-old"))
        async with asyncio.timeout(PATIENCE_S):
            await taken.wait()
    killed.set()
    world.source.push(REPOSITORY, at_source, "1")

    status = await world.ended()

    assert outcomes(status) == {"1": ("COPIED", at_source.digest, "1-old")}
    assert world.tags == {"1": at_source.digest, "1-old": OLD.digest}


async def test_what_a_killed_worker_has_deleted_is_told_as_deleted(world: World) -> None:
    for tag, image in IMAGES.items():
        world.destination.push(REPOSITORY, image, tag)
    world.service.held["3"] = asyncio.Event()
    tags = [pb.DeleteReference(tag=tag) for tag in IMAGES]
    async with world.worker(signal.SIGKILL) as stub:
        await submit(stub, delete=pb.DeleteWork(registry="registries/b", repository=REPOSITORY, references=tags))
        deleted = 0
        async for part in stub.ReadJobLog(pb.ReadJobLogRequest(name="jobs/a", follow=True)):
            deleted += sum(entry.message == "tag deleted" for entry in part.entries)
            if deleted == 2:
                break
    world.service.held.pop("3")

    status = await world.ended()

    assert {tag: outcome for tag, (outcome, _, _) in outcomes(status).items()} == dict.fromkeys(IMAGES, "DELETED")
    assert world.tags == {}
