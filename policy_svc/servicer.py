"""Speaks protobuf for the policy service."""
# ruff: noqa: ARG002  (gRPC passes a context to every method)

from collections.abc import AsyncGenerator, Iterator
from contextlib import aclosing, contextmanager
from dataclasses import replace
from typing import Final

import grpc
from google.protobuf.empty_pb2 import Empty

from policy_svc import convert
from policy_svc.service import PolicyService
from policy_svc.trials import Trials
from service_kit.errors import FieldViolation, InvalidRequest, ServiceError
from service_kit.paging import page_size
from transship.policy.v1 import policy_pb2 as pb
from transship.policy.v1.policy_pb2_grpc import PolicyServiceServicer

PREVIEW_RUNS: Final = 5

_Context = grpc.aio.ServicerContext[object, object]


class PolicyServicer(PolicyServiceServicer):
    def __init__(self, policies: PolicyService, trials: Trials) -> None:
        self._policies = policies
        self._trials = trials

    async def CreatePolicy(self, request: pb.CreatePolicyRequest, context: _Context) -> pb.Policy:
        spec = convert.spec_from_pb(request.policy)
        if request.validate_only:
            checked = await self._policies.check(request.policy_id, spec)
            return convert.spec_to_pb(checked, name=f"policies/{request.policy_id}" if request.policy_id else "")
        if not request.policy_id:
            raise InvalidRequest(violations=[FieldViolation("policy_id", "is needed to store the policy", "required")])
        return convert.policy_to_pb(await self._policies.create(request.policy_id, spec))

    async def GetPolicy(self, request: pb.GetPolicyRequest, context: _Context) -> pb.Policy:
        return convert.policy_to_pb(await self._policies.get(convert.key_from_name(request.name)))

    async def ListPolicies(self, request: pb.ListPoliciesRequest, context: _Context) -> pb.ListPoliciesResponse:
        size = page_size(request.page_size)
        after = convert.cursor_from_pb(request)
        found = await self._policies.page(after=after, limit=size + 1, registry=request.registry or None)
        return convert.page_to_pb(found, size=size, registry=request.registry)

    async def UpdatePolicy(self, request: pb.UpdatePolicyRequest, context: _Context) -> pb.Policy:
        key, change = convert.update_from_pb(request)
        return convert.policy_to_pb(await self._policies.update(key, etag=request.policy.etag, change=change))

    async def DeletePolicy(self, request: pb.DeletePolicyRequest, context: _Context) -> Empty:
        await self._policies.delete(convert.key_from_name(request.name))
        return Empty()

    async def TestPolicy(
        self, request: pb.TestPolicyRequest, context: _Context
    ) -> AsyncGenerator[pb.TestPolicyResponse, None]:
        subject, candidates = convert.subject_from_pb(request), convert.candidates_from_pb(request)
        trials = self._trials.run(subject, candidates, include_rejected=request.include_rejected)
        with violations_below("policy", "inline_policy"):
            async with aclosing(trials):
                async for trial in trials:
                    for message in convert.trial_to_pb(trial):
                        yield message

    async def PreviewSchedule(
        self, request: pb.PreviewScheduleRequest, context: _Context
    ) -> pb.PreviewScheduleResponse:
        count = request.count or PREVIEW_RUNS
        if request.WhichOneof("subject") == "policy":
            runs = await self._policies.next_runs(convert.key_from_name(request.policy), count)
        else:
            runs = self._policies.preview(convert.scheduled_from_pb(request.schedule), count)
        return pb.PreviewScheduleResponse(run_times=map(convert.timestamp, runs))


@contextmanager
def violations_below(field: str, other: str) -> Iterator[None]:
    """Names the fields of errors raised inside of the block as the request does: `other` in the place of `field`."""
    try:
        yield
    except ServiceError as error:
        error.violations = tuple(
            replace(each, field=other + each.field.removeprefix(field)) for each in error.violations
        )
        raise
