"""The services around the execution service, small and working, and able to misbehave."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from execution_svc.app import build
from execution_svc.config import ExecutionConfig
from service_kit.channel import open_channel
from service_kit.errors import DOMAIN, Kind, RemoteError, ServiceError, ServiceUnavailable
from service_kit.server import GrpcServer
from transship.execution.v1 import execution_pb2_grpc
from transship.job.v1 import job_pb2, job_pb2_grpc
from transship.policy.v1 import policy_pb2, policy_pb2_grpc
from transship.registry.v1 import catalog_pb2, catalog_pb2_grpc, registry_pb2, registry_pb2_grpc
from transship.type.v1 import artifact_pb2, transfer_pb2

FINAL = {job_pb2.Job.STATE_SUCCEEDED, job_pb2.Job.STATE_FAILED, job_pb2.Job.STATE_STOPPED}


def no_such(reason: str) -> RemoteError:
    """What a fake answers when it does not know a name. The classes are those of the services that we do not run."""
    return RemoteError.of(Kind.NOT_FOUND, message="The fake has no such thing.", reason=reason, domain=DOMAIN)


def a_policy(**changes: Any) -> policy_pb2.Policy:
    given = {
        "name": "policies/nightly",
        "source_registry": "registries/hub",
        "destinations": [policy_pb2.Destination(registry="registries/mirror")],
    }
    return policy_pb2.Policy(**{**given, **changes})


def a_resource(repository: str, *tags: str) -> artifact_pb2.Resource:
    return artifact_pb2.Resource(
        repository=repository, references=[artifact_pb2.ArtifactReference(tag=tag) for tag in tags]
    )


class FakePolicies(policy_pb2_grpc.PolicyServiceServicer):
    def __init__(self) -> None:
        self.stored = {"policies/nightly": a_policy()}
        self.checked: list[policy_pb2.CreatePolicyRequest] = []

    async def GetPolicy(self, request: policy_pb2.GetPolicyRequest, context: object) -> policy_pb2.Policy:
        if request.name not in self.stored:
            raise no_such("POLICY_NOT_FOUND")
        return self.stored[request.name]

    async def CreatePolicy(self, request: policy_pb2.CreatePolicyRequest, context: object) -> policy_pb2.Policy:
        self.checked.append(request)
        return request.policy


class FakeRegistries(registry_pb2_grpc.RegistryServiceServicer):
    def __init__(self) -> None:
        self.max_path_components = 0
        self.type = "docker-registry"

    async def GetRegistryInfo(
        self, request: registry_pb2.GetRegistryInfoRequest, context: object
    ) -> registry_pb2.RegistryInfo:
        return registry_pb2.RegistryInfo(
            type=self.type, min_path_components=1, max_path_components=self.max_path_components
        )


class FakeCatalog(catalog_pb2_grpc.CatalogServiceServicer):
    """Lists `resources`, one a message; `failing` says how the next listings go wrong, after a message each."""

    def __init__(self) -> None:
        self.resources: list[artifact_pb2.Resource] = [a_resource("library/nginx", "1", "2")]
        self.unlistable: list[str] = []
        self.unpreparable: set[str] = set()
        self.excluded: set[str] = set()
        self.failing: list[ServiceError] = []
        self.hold = asyncio.Event()
        self.hold.set()
        self.prepared: Counter[str] = Counter()
        self.public: set[str] = set()  # of what was prepared
        self.previewed: Counter[str] = Counter()
        self.listings = 0  # that are open

    async def ListResources(
        self, request: catalog_pb2.ListResourcesRequest, context: object
    ) -> AsyncIterator[catalog_pb2.ListResourcesResponse]:
        self.listings += 1
        try:
            for resource in self.resources:
                yield catalog_pb2.ListResourcesResponse(resources=[resource])
                await self.hold.wait()
                if self.failing:
                    raise self.failing.pop(0)
            yield catalog_pb2.ListResourcesResponse(failures=[_failure(name) for name in self.unlistable])
        finally:
            self.listings -= 1

    async def PrepareRepositories(
        self, request: catalog_pb2.PrepareRepositoriesRequest, context: object
    ) -> catalog_pb2.PrepareRepositoriesResponse:
        (self.previewed if request.validate_only else self.prepared).update(request.repositories)
        self.public.update(request.repositories if request.public else ())
        bad = self.unpreparable.intersection(request.repositories)
        cached = self.excluded.intersection(request.repositories)
        return catalog_pb2.PrepareRepositoriesResponse(
            failures=[_failure(name) for name in bad],
            excluded=[_failure(name, "PROXY_CACHE_PROJECT") for name in cached],
            created_namespaces={name.partition("/")[0] for name in request.repositories if "/" in name},
        )


def _failure(repository: str, reason: str = "ACCESS_DENIED") -> catalog_pb2.RepositoryFailure:
    failure = transfer_pb2.Failure(reason=reason, message="not\0allowed")
    return catalog_pb2.RepositoryFailure(repository=repository, failure=failure)


@dataclass(eq=False)
class _Stream:
    """One open Delegate call; breaks after so many messages, counted both ways."""

    messages_left: float
    responses: asyncio.Queue[job_pb2.DelegateResponse | None] = field(default_factory=asyncio.Queue)
    following: set[str] = field(default_factory=set)

    def spend(self) -> None:
        if self.messages_left <= 0:
            raise ServiceUnavailable(service="fake jobservice")
        self.messages_left -= 1


Work = Callable[[job_pb2.JobSpec], Iterable[job_pb2.JobStatus]]


def succeeds(spec: job_pb2.JobSpec) -> Iterable[job_pb2.JobStatus]:
    """A job that begins, and copies all."""
    count = len(spec.replicate.references)
    progress = transfer_pb2.TransferProgress(references_total=count, references_copied=count, bytes_copied=10 * count)
    yield job_pb2.JobStatus(state=job_pb2.Job.STATE_RUNNING, attempt=1)
    yield job_pb2.JobStatus(state=job_pb2.Job.STATE_SUCCEEDED, attempt=1, progress=progress)


def fails(spec: job_pb2.JobSpec) -> Iterable[job_pb2.JobStatus]:
    failure = transfer_pb2.Failure(reason="MANIFEST_UNKNOWN", message="gone")
    yield job_pb2.JobStatus(state=job_pb2.Job.STATE_RUNNING, attempt=1)
    yield job_pb2.JobStatus(state=job_pb2.Job.STATE_FAILED, attempt=1, failure=failure)


def hangs(spec: job_pb2.JobSpec) -> Iterable[job_pb2.JobStatus]:
    yield job_pb2.JobStatus(state=job_pb2.Job.STATE_RUNNING, attempt=1)


class FakeJobs(job_pb2_grpc.JobServiceServicer):
    """Keeps jobs by key, does their work at once, and tells every follower each state."""

    def __init__(self) -> None:
        self.work: Work = succeeds
        self.jobs: dict[str, job_pb2.JobSpec] = {}
        self.statuses: dict[str, job_pb2.JobStatus] = {}
        self.submissions: Counter[str] = Counter()
        self.breaks: list[int] = []  # messages that the next streams live for
        self.rejected = False
        self.stale_again = False  # each state is followed by the one before
        self.streams = 0
        self.plans = 0  # that are open
        self.plan_breaks: list[int] = []  # references that the next plans live for
        self.hold_plans = asyncio.Event()
        self.hold_plans.set()
        self._open: set[_Stream] = set()

    def copies(self) -> Counter[tuple[str, str, str]]:
        """How many jobs have each reference, by destination."""
        works = [job.replicate for job in self.jobs.values()]
        return Counter(
            (work.destination_registry, work.destination_repository, each.tag or each.digest)
            for work in works
            for each in work.references
        )

    def forget(self) -> None:
        """Loses every job, as a restored database would."""
        self.jobs.clear()
        self.statuses.clear()

    def finish(self, work: Work = succeeds) -> None:
        """Ends the jobs that hang."""
        for key, status in list(self.statuses.items()):
            if status.state not in FINAL:
                self._do(self.jobs[key], work)

    def break_streams(self) -> None:
        for stream in self._open:
            stream.messages_left = 0
            stream.responses.put_nowait(None)

    async def Delegate(
        self, request_iterator: AsyncIterator[job_pb2.DelegateRequest], context: object
    ) -> AsyncIterator[job_pb2.DelegateResponse]:
        stream = _Stream(messages_left=self.breaks.pop(0) if self.breaks else float("inf"))
        self.streams += 1
        self._open.add(stream)
        reader = asyncio.create_task(self._read(request_iterator, stream))
        try:
            while response := await stream.responses.get():
                stream.spend()
                yield response
            raise ServiceUnavailable(service="fake jobservice")
        finally:
            reader.cancel()
            self._open.discard(stream)

    async def PlanReplication(
        self, request: job_pb2.PlanReplicationRequest, context: object
    ) -> AsyncIterator[job_pb2.PlanReplicationResponse]:
        """Would copy everything, at ten bytes each."""
        lives = self.plan_breaks.pop(0) if self.plan_breaks else float("inf")
        self.plans += 1
        try:
            for count, each in enumerate(request.replicate.references):
                if count >= lives:
                    raise ServiceUnavailable(service="fake jobservice")
                planned = transfer_pb2.PlannedReference(
                    tag=each.tag, digest=each.digest, action=transfer_pb2.PlannedReference.ACTION_COPY, bytes_to_move=10
                )
                yield job_pb2.PlanReplicationResponse(references=[planned])
                await self.hold_plans.wait()
        finally:
            self.plans -= 1

    async def ReadJobLog(
        self, request: job_pb2.ReadJobLogRequest, context: object
    ) -> AsyncIterator[job_pb2.ReadJobLogResponse]:
        if request.name.removeprefix("jobs/") not in self.jobs:
            raise no_such("JOB_NOT_FOUND")
        for sequence in range(request.after_sequence + 1, 4):
            entry = transfer_pb2.LogEntry(sequence=sequence, message=f"line {sequence}")
            yield job_pb2.ReadJobLogResponse(entries=[entry])

    async def _read(self, requests: AsyncIterator[job_pb2.DelegateRequest], stream: _Stream) -> None:
        try:
            async for request in requests:
                stream.spend()
                self._take(request, stream)
        finally:
            stream.responses.put_nowait(None)

    def _take(self, request: job_pb2.DelegateRequest, stream: _Stream) -> None:
        match request.WhichOneof("kind"):
            case "submit":
                for job in request.submit.jobs:
                    self._submit(job, stream)
            case "follow":
                self._follow(list(request.follow.keys), stream)
            case "stop":
                for key in request.stop.keys:
                    if key in self.statuses and self.statuses[key].state not in FINAL:
                        self._tell(key, job_pb2.JobStatus(state=job_pb2.Job.STATE_STOPPED))

    def _submit(self, job: job_pb2.JobSpec, stream: _Stream) -> None:
        self.submissions[job.key] += 1
        if self.rejected:
            failure = transfer_pb2.Failure(reason="JOB_KEY_REUSED", message="no")
            rejected = job_pb2.JobRejected(key=job.key, failure=failure)
            stream.responses.put_nowait(job_pb2.DelegateResponse(rejected=rejected))
            return
        stream.following.add(job.key)
        accepted = job_pb2.DelegateResponse(accepted=job_pb2.JobsAccepted(keys=[job.key]))
        stream.responses.put_nowait(accepted)
        if job.key in self.jobs:
            self._follow([job.key], stream)
        else:
            self.jobs[job.key] = job
            self._do(job, self.work)

    def _do(self, job: job_pb2.JobSpec, work: Work) -> None:
        for status in work(job):
            self._tell(job.key, status)

    def _follow(self, keys: list[str], stream: _Stream) -> None:
        unknown = [key for key in keys if key not in self.statuses]
        if unknown:
            stream.responses.put_nowait(job_pb2.DelegateResponse(unknown=job_pb2.JobsUnknown(keys=unknown)))
        for key in set(keys) - set(unknown):
            stream.following.add(key)
            self._send(stream, self.statuses[key])

    def _tell(self, key: str, status: job_pb2.JobStatus) -> None:
        before = self.statuses.get(key)
        status.key = key
        status.revision = before.revision + 1 if before else 1
        self.statuses[key] = status
        for stream in self._open:
            if key in stream.following:
                self._send(stream, status)
                if self.stale_again and before:
                    self._send(stream, before)

    def _send(self, stream: _Stream, status: job_pb2.JobStatus) -> None:
        stream.responses.put_nowait(job_pb2.DelegateResponse(changed=job_pb2.JobsChanged(statuses=[status])))


class Peers:
    """policy_svc, registry_svc and jobservice on one loopback port, which can be closed and opened again."""

    def __init__(self) -> None:
        self.policies = FakePolicies()  # type: ignore[abstract]  # what nobody calls is left out
        self.registries = FakeRegistries()  # type: ignore[abstract]  # what nobody calls is left out
        self.catalog = FakeCatalog()  # type: ignore[abstract]  # what nobody calls is left out
        self.jobs = FakeJobs()  # type: ignore[abstract]  # what nobody calls is left out
        self.address = "127.0.0.1:0"
        self._server: GrpcServer | None = None

    async def start(self) -> None:
        """On the port of the first time."""
        self._server = GrpcServer(self.address)
        add = self._server.add
        add(policy_pb2_grpc.add_PolicyServiceServicer_to_server, self.policies, "policies")
        add(registry_pb2_grpc.add_RegistryServiceServicer_to_server, self.registries, "registries")
        add(catalog_pb2_grpc.add_CatalogServiceServicer_to_server, self.catalog, "catalog")
        add(job_pb2_grpc.add_JobServiceServicer_to_server, self.jobs, "jobs")
        await self._server.start()
        self.address = self._server.address

    async def stop(self) -> None:
        assert self._server is not None
        await self._server.drain(0.0)


@asynccontextmanager
async def running_peers() -> AsyncIterator[Peers]:
    peers = Peers()
    await peers.start()
    try:
        yield peers
    finally:
        await peers.stop()


@asynccontextmanager
async def running_server(url: str, peers: Peers) -> AsyncIterator[GrpcServer]:
    """The execution service as it is in production, in this process."""
    targets = dict.fromkeys(("registry_target", "policy_target", "job_targets"), peers.address)
    config = ExecutionConfig.model_validate({"database_url": url, **targets})
    async with AsyncExitStack() as stack:
        server = await build(config, stack)
        await server.start()
        try:
            yield server
        finally:
            await server.drain(0.0)


@asynccontextmanager
async def running_service(url: str, peers: Peers) -> AsyncIterator["execution_pb2_grpc.ExecutionServiceAsyncStub"]:
    async with running_server(url, peers) as server, open_channel(server.address) as channel:
        yield execution_pb2_grpc.ExecutionServiceStub(channel)
