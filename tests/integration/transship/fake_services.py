"""Small working services in memory, behind the same protos, for the tests of the SDK and the command line."""

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, NoReturn

from google.protobuf.empty_pb2 import Empty
from google.protobuf.message import Message

from service_kit.errors import Kind, RemoteError, ServiceError
from service_kit.server import GrpcServer
from transship.execution.v1 import execution_pb2, execution_pb2_grpc, task_pb2
from transship.policy.v1 import event_pb2, event_pb2_grpc, policy_pb2, policy_pb2_grpc
from transship.registry.v1 import registry_pb2, registry_pb2_grpc
from transship.sdk import TransshipClient
from transship.type.v1.transfer_pb2 import LogEntry

PAGE = 2
SECRET = "s3cret-of-the-source"
Execution = execution_pb2.Execution
Task = task_pb2.Task


def refuse(kind: Kind, reason: str, message: str, **metadata: str) -> NoReturn:
    raise RemoteError.of(kind, reason=reason, domain="transship", message=message, metadata=metadata)


@dataclass
class Calls:
    """What was asked, and what goes wrong next."""

    requests: defaultdict[str, list[Any]] = field(default_factory=lambda: defaultdict(list))
    failures: defaultdict[str, list[ServiceError]] = field(default_factory=lambda: defaultdict(list))

    def fail_next(self, method: str, *errors: ServiceError) -> None:
        self.failures[method] += errors

    def note(self, method: str, request: Message) -> None:
        copy = type(request)()
        copy.CopyFrom(request)
        self.requests[method].append(copy)
        if self.failures[method]:
            raise self.failures[method].pop(0)


def page_of(items: list[Any], token: str) -> tuple[list[Any], str]:
    begin = int(token or 0)
    return items[begin : begin + PAGE], str(begin + PAGE) if len(items) > begin + PAGE else ""


class FakeRegistries(registry_pb2_grpc.RegistryServiceServicer):
    def __init__(self, calls: Calls) -> None:
        self._calls = calls
        self.stored: dict[str, registry_pb2.Registry] = {}

    def _get(self, name: str) -> registry_pb2.Registry:
        if name not in self.stored:
            refuse(Kind.NOT_FOUND, "REGISTRY_NOT_FOUND", f"There is no registry {name}.", registry=name)
        return self.stored[name]

    async def CreateRegistry(self, request: registry_pb2.CreateRegistryRequest, context: Any) -> registry_pb2.Registry:
        self._calls.note("CreateRegistry", request)
        name = f"registries/{request.registry_id}"
        registry = registry_pb2.Registry(name=name, uid="u-1", etag="1")
        registry.MergeFrom(request.registry)
        registry.credential.ClearField("password")
        self.stored[name] = registry
        return registry

    async def GetRegistry(self, request: registry_pb2.GetRegistryRequest, context: Any) -> registry_pb2.Registry:
        self._calls.note("GetRegistry", request)
        return self._get(request.name)

    async def ListRegistries(
        self, request: registry_pb2.ListRegistriesRequest, context: Any
    ) -> registry_pb2.ListRegistriesResponse:
        self._calls.note("ListRegistries", request)
        found = [each for _, each in sorted(self.stored.items()) if request.type in ("", each.type)]
        registries, token = page_of(found, request.page_token)
        return registry_pb2.ListRegistriesResponse(registries=registries, next_page_token=token)

    async def UpdateRegistry(self, request: registry_pb2.UpdateRegistryRequest, context: Any) -> registry_pb2.Registry:
        self._calls.note("UpdateRegistry", request)
        stored = self._get(request.registry.name)
        for path in request.update_mask.paths:
            stored.ClearField(path)
        request.update_mask.MergeMessage(request.registry, stored)
        return stored

    async def DeleteRegistry(self, request: registry_pb2.DeleteRegistryRequest, context: Any) -> Empty:
        self._calls.note("DeleteRegistry", request)
        self._get(request.name)
        del self.stored[request.name]
        return Empty()

    async def PingRegistry(
        self, request: registry_pb2.PingRegistryRequest, context: Any
    ) -> registry_pb2.PingRegistryResponse:
        self._calls.note("PingRegistry", request)
        return registry_pb2.PingRegistryResponse(elapsed_ms=12)

    async def GetRegistryInfo(
        self, request: registry_pb2.GetRegistryInfoRequest, context: Any
    ) -> registry_pb2.RegistryInfo:
        return registry_pb2.RegistryInfo(type=self._get(request.name).type, lists_repositories=True)

    async def ListAdapters(
        self, request: registry_pb2.ListAdaptersRequest, context: Any
    ) -> registry_pb2.ListAdaptersResponse:
        adapter = registry_pb2.Adapter(type="docker-registry", description="Any registry.", url_pattern="https://host")
        return registry_pb2.ListAdaptersResponse(adapters=[adapter])


class FakePolicies(policy_pb2_grpc.PolicyServiceServicer):
    def __init__(self, calls: Calls) -> None:
        self._calls = calls
        self.stored: dict[str, policy_pb2.Policy] = {}
        self.tests: list[policy_pb2.TestPolicyResponse] = []
        self.preview = policy_pb2.PreviewScheduleResponse()

    async def CreatePolicy(self, request: policy_pb2.CreatePolicyRequest, context: Any) -> policy_pb2.Policy:
        """As the real one: manual is the default of triggers, and what is only validated is not stored."""
        self._calls.note("CreatePolicy", request)
        policy = policy_pb2.Policy(trigger=policy_pb2.Trigger(manual=policy_pb2.ManualTrigger()))
        policy.MergeFrom(request.policy)
        if not request.validate_only:
            policy.name, policy.uid, policy.etag = f"policies/{request.policy_id}", "u-2", "1"
            self.stored[policy.name] = policy
        return policy

    async def GetPolicy(self, request: policy_pb2.GetPolicyRequest, context: Any) -> policy_pb2.Policy:
        self._calls.note("GetPolicy", request)
        if request.name not in self.stored:
            refuse(Kind.NOT_FOUND, "POLICY_NOT_FOUND", f"There is no policy {request.name}.", policy=request.name)
        return self.stored[request.name]

    async def ListPolicies(
        self, request: policy_pb2.ListPoliciesRequest, context: Any
    ) -> policy_pb2.ListPoliciesResponse:
        policies, token = page_of(sorted(self.stored.values(), key=lambda each: each.name), request.page_token)
        return policy_pb2.ListPoliciesResponse(policies=policies, next_page_token=token)

    async def UpdatePolicy(self, request: policy_pb2.UpdatePolicyRequest, context: Any) -> policy_pb2.Policy:
        self._calls.note("UpdatePolicy", request)
        stored = self.stored[request.policy.name]
        if request.policy.etag not in ("", stored.etag):
            refuse(Kind.ABORTED, "ETAG_MISMATCH", "Somebody else has changed it since; read it again.")
        for path in request.update_mask.paths:
            stored.ClearField(path)
        request.update_mask.MergeMessage(request.policy, stored)
        stored.etag = str(int(stored.etag) + 1)
        return stored

    async def DeletePolicy(self, request: policy_pb2.DeletePolicyRequest, context: Any) -> Empty:
        del self.stored[request.name]
        return Empty()

    async def TestPolicy(
        self, request: policy_pb2.TestPolicyRequest, context: Any
    ) -> AsyncIterator[policy_pb2.TestPolicyResponse]:
        self._calls.note("TestPolicy", request)
        for answer in self.tests:
            yield answer

    async def PreviewSchedule(
        self, request: policy_pb2.PreviewScheduleRequest, context: Any
    ) -> policy_pb2.PreviewScheduleResponse:
        self._calls.note("PreviewSchedule", request)
        return self.preview


class FakeEvents(event_pb2_grpc.EventServiceServicer):
    def __init__(self, calls: Calls) -> None:
        self._calls = calls
        self.stored: dict[str, event_pb2.Event] = {}
        self.sources: dict[str, event_pb2.EventSource] = {}

    async def PublishEvents(
        self, request: event_pb2.PublishEventsRequest, context: Any
    ) -> event_pb2.PublishEventsResponse:
        """As the real one: stored before the answer that may get lost."""
        new = [each for each in request.events if f"events/{each.id}" not in self.stored]
        for each in new:
            stored = self.stored[f"events/{each.id}"] = event_pb2.Event(state=event_pb2.Event.STATE_PENDING)
            stored.MergeFrom(each)
            stored.name = f"events/{each.id}"
        self._calls.note("PublishEvents", request)
        return event_pb2.PublishEventsResponse(stored_count=len(new), known_count=len(request.events) - len(new))

    async def GetEvent(self, request: event_pb2.GetEventRequest, context: Any) -> event_pb2.Event:
        return self.stored[request.name]

    async def ListEvents(self, request: event_pb2.ListEventsRequest, context: Any) -> event_pb2.ListEventsResponse:
        self._calls.note("ListEvents", request)
        events, token = page_of(list(self.stored.values()), request.page_token)
        return event_pb2.ListEventsResponse(events=events, next_page_token=token)

    async def CreateEventSource(
        self, request: event_pb2.CreateEventSourceRequest, context: Any
    ) -> event_pb2.EventSource:
        name = request.registry.removeprefix("registries/")
        source = event_pb2.EventSource(
            name=f"eventSources/{name}", registry=request.registry, path=f"/v1/events/{name}"
        )
        self.sources[source.name] = source
        return event_pb2.EventSource(**{field.name: value for field, value in source.ListFields()}, secret=SECRET)

    async def ListEventSources(
        self, request: event_pb2.ListEventSourcesRequest, context: Any
    ) -> event_pb2.ListEventSourcesResponse:
        sources, token = page_of(list(self.sources.values()), request.page_token)
        return event_pb2.ListEventSourcesResponse(event_sources=sources, next_page_token=token)

    async def DeleteEventSource(self, request: event_pb2.DeleteEventSourceRequest, context: Any) -> Empty:
        if request.name not in self.sources:
            refuse(Kind.NOT_FOUND, "EVENT_SOURCE_NOT_FOUND", f"There is no event source {request.name}.")
        del self.sources[request.name]
        return Empty()


class FakeExecutions(execution_pb2_grpc.ExecutionServiceServicer):
    """Runs nothing: an execution goes through the states of `script`, one a message of the watch."""

    def __init__(self, calls: Calls) -> None:
        self._calls = calls
        self.stored: dict[str, Execution] = {}
        self.script: list[Execution] = [Execution(state=Execution.STATE_SUCCEEDED)]
        self.breaks_after: dict[int, ServiceError] = {}
        self.hangs = False  # whether a watch stays open after the script
        self.plan: list[execution_pb2.PlanExecutionResponse] = []
        self.tasks: list[Task] = []
        self.log: list[LogEntry] = []

    def _get(self, name: str) -> Execution:
        if name not in self.stored:
            refuse(Kind.NOT_FOUND, "EXECUTION_NOT_FOUND", f"There is no execution {name}.", execution=name)
        return self.stored[name]

    async def StartExecution(self, request: execution_pb2.StartExecutionRequest, context: Any) -> Execution:
        """As the real one: the execution is made before the answer that may get lost."""
        if request.validate_only:
            self._calls.note("StartExecution", request)
            return Execution(policy=request.policy, state=Execution.STATE_PENDING)
        name = f"executions/{request.request_id}"
        self.stored.setdefault(name, Execution(name=name, policy=request.policy, state=Execution.STATE_PENDING))
        self._calls.note("StartExecution", request)
        return self.stored[name]

    async def PlanExecution(
        self, request: execution_pb2.PlanExecutionRequest, context: Any
    ) -> AsyncIterator[execution_pb2.PlanExecutionResponse]:
        self._calls.note("PlanExecution", request)
        for answer in self.plan:
            yield answer

    async def GetExecution(self, request: execution_pb2.GetExecutionRequest, context: Any) -> Execution:
        self._calls.note("GetExecution", request)
        return self._get(request.name)

    async def ListExecutions(
        self, request: execution_pb2.ListExecutionsRequest, context: Any
    ) -> execution_pb2.ListExecutionsResponse:
        self._calls.note("ListExecutions", request)
        executions, token = page_of(list(self.stored.values()), request.page_token)
        return execution_pb2.ListExecutionsResponse(executions=executions, next_page_token=token)

    async def StopExecution(self, request: execution_pb2.StopExecutionRequest, context: Any) -> Execution:
        self._calls.note("StopExecution", request)
        stored = self._get(request.name)
        stored.state = Execution.STATE_STOPPING
        return stored

    async def RetryExecution(self, request: execution_pb2.RetryExecutionRequest, context: Any) -> Execution:
        self._calls.note("RetryExecution", request)
        return self._get(request.name)

    async def WatchExecution(
        self, request: execution_pb2.WatchExecutionRequest, context: Any
    ) -> AsyncIterator[execution_pb2.WatchExecutionResponse]:
        self._calls.note("WatchExecution", request)
        stored = self._get(request.name)
        for number, step in enumerate(list(self.script)):
            if error := self.breaks_after.pop(number, None):
                self.script = self.script[number - 1 :]
                raise error
            stored.MergeFrom(step)
            yield execution_pb2.WatchExecutionResponse(execution=stored)
        if self.hangs:
            await asyncio.Event().wait()

    async def ListTasks(self, request: task_pb2.ListTasksRequest, context: Any) -> task_pb2.ListTasksResponse:
        self._calls.note("ListTasks", request)
        found = [each for each in self.tasks if not request.states or each.state in request.states]
        tasks, token = page_of(found, request.page_token)
        return task_pb2.ListTasksResponse(tasks=tasks, next_page_token=token)

    async def GetTask(self, request: task_pb2.GetTaskRequest, context: Any) -> Task:
        return next(each for each in self.tasks if each.name == request.name)

    async def ReadTaskLog(
        self, request: task_pb2.ReadTaskLogRequest, context: Any
    ) -> AsyncIterator[task_pb2.ReadTaskLogResponse]:
        self._calls.note("ReadTaskLog", request)
        for entry in self.log:
            if error := self.breaks_after.pop(entry.sequence, None):
                raise error
            if entry.sequence > request.after_sequence:
                yield task_pb2.ReadTaskLogResponse(entries=[entry])


class FakeServices:
    """All of them behind one port."""

    def __init__(self) -> None:
        self.calls = Calls()
        self.registries = FakeRegistries(self.calls)
        self.policies = FakePolicies(self.calls)
        self.events = FakeEvents(self.calls)
        self.executions = FakeExecutions(self.calls)
        self.address = ""

    def client(self) -> TransshipClient:
        return TransshipClient.connect(registry=self.address, policy=self.address, execution=self.address)


@asynccontextmanager
async def fake_services() -> AsyncIterator[FakeServices]:
    """Served on loopback until the block ends."""
    fakes = FakeServices()
    server = GrpcServer("127.0.0.1:0")
    server.add(registry_pb2_grpc.add_RegistryServiceServicer_to_server, fakes.registries, "transship.registry.v1")
    server.add(policy_pb2_grpc.add_PolicyServiceServicer_to_server, fakes.policies, "transship.policy.v1")
    server.add(event_pb2_grpc.add_EventServiceServicer_to_server, fakes.events, "transship.policy.v1")
    server.add(execution_pb2_grpc.add_ExecutionServiceServicer_to_server, fakes.executions, "transship.execution.v1")
    await server.start()
    fakes.address = server.address
    try:
        yield fakes
    finally:
        await server.drain(grace_s=0.0)
