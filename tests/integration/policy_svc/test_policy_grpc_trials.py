"""Policies are tried over gRPC: what they pick, and where that goes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from service_kit.errors import Kind
from tests.integration.policy_svc.policy_peers import Catalog, a_filter, a_policy, create
from tests.refusals import refused
from transship.policy.v1 import policy_pb2 as pb
from transship.registry.v1 import catalog_pb2
from transship.type.v1.artifact_pb2 import ArtifactReference, Resource
from transship.type.v1.filter_pb2 import Newest
from transship.type.v1.selection_pb2 import Rejection
from transship.type.v1.transfer_pb2 import Failure

if TYPE_CHECKING:  # it is in the stubs only
    from transship.policy.v1.policy_pb2_grpc import PolicyServiceAsyncStub


async def tried(stub: PolicyServiceAsyncStub, request: pb.TestPolicyRequest) -> pb.TestPolicyResponse:
    """All the answers in one."""
    answer = pb.TestPolicyResponse()
    async for each in stub.TestPolicy(request):
        answer.MergeFrom(each)
    return answer


async def test_a_stored_policy_is_tried_on_what_its_source_has(stub: PolicyServiceAsyncStub, catalog: Catalog) -> None:
    newest = Newest(order=Newest.ORDER_SEMVER, count=3)
    await stub.CreatePolicy(create(a_policy(filters=[a_filter("a/**")], newest=newest)))
    failure = Failure(reason="ACCESS_DENIED", message="no", side=Failure.SIDE_SOURCE, http_status=403)
    rejection = Rejection(repository="b", cause=Rejection.CAUSE_NOT_INCLUDED, filter_index=0, message="not a/**")
    catalog.batches = [
        catalog_pb2.ListResourcesResponse(
            resources=[Resource(repository="a/x", references=[ArtifactReference(tag="1"), ArtifactReference()])],
            rejections=[rejection],
        ),
        catalog_pb2.ListResourcesResponse(
            resources=[Resource(repository="a/b/c/d", references=[ArtifactReference(tag="2")])],
            failures=[catalog_pb2.RepositoryFailure(repository="a/z", failure=failure)],
        ),
    ]

    answer = await tried(stub, pb.TestPolicyRequest(policy="policies/nightly", include_rejected=True))

    assert [(each.repository, each.tag) for each in answer.matches] == [("a/x", "1"), ("a/x", ""), ("a/b/c/d", "2")]
    assert answer.matches[0].targets == [pb.Target(registry="registries/backup", repository="a/x", tag="1")]
    assert answer.matches[2].targets[0].failure.reason == "PATH_RULE_VIOLATED"
    assert answer.rejections == [rejection]
    assert answer.problems == [pb.RepositoryProblem(repository="a/z", failure=failure)]
    [asked] = catalog.asked
    assert (asked.registry, asked.newest, asked.include_rejected) == ("registries/hub", newest, True)
    assert asked.filters[0].glob == "a/**"

    answer = await tried(stub, pb.TestPolicyRequest(policy="policies/nightly"))
    assert not answer.rejections
    assert not catalog.asked[1].include_rejected


async def test_candidates_are_tried_without_any_registry(stub: PolicyServiceAsyncStub, catalog: Catalog) -> None:
    policy = pb.Policy(
        source_registry="registries/not-there-yet",
        destinations=[pb.Destination(registry="registries/neither", namespace="mirror")],
        filters=[a_filter("a/**")],
    )
    candidates = [pb.Candidate(repository="a/x", tag="1"), pb.Candidate(repository="b", tag="1")]
    request = pb.TestPolicyRequest(inline_policy=policy, candidates=candidates, include_rejected=True)

    answer = await tried(stub, request)

    [match] = answer.matches
    assert match.targets == [pb.Target(registry="registries/neither", repository="mirror/x", tag="1")]
    assert [(each.repository, each.tag, each.filter_index) for each in answer.rejections] == [("b", "", 0)]
    assert not catalog.asked


async def test_many_matches_come_in_messages_that_clients_take(stub: PolicyServiceAsyncStub, catalog: Catalog) -> None:
    many = [pb.Destination(registry="registries/backup", namespace=f"{'n' * 200}/{number}") for number in range(20)]
    await stub.CreatePolicy(create(a_policy(destinations=many)))
    references = [ArtifactReference(tag=f"{number:0128}") for number in range(1000)]
    catalog.batches = [catalog_pb2.ListResourcesResponse(resources=[Resource(repository="a", references=references)])]

    answers = [each async for each in stub.TestPolicy(pb.TestPolicyRequest(policy="policies/nightly"))]

    assert sum(len(each.matches) for each in answers) == 1000
    assert max(each.ByteSize() for each in answers) < 2 * 1024 * 1024 < sum(each.ByteSize() for each in answers)


@pytest.mark.parametrize("candidates", [[], [pb.Candidate(repository="a", tag="1")]])
async def test_a_policy_that_is_tried_is_held_to_the_rules(
    stub: PolicyServiceAsyncStub, candidates: list[pb.Candidate]
) -> None:
    """Its fields are told as the request has them."""
    for policy, field in (
        (a_policy(filters=[a_filter("{")]), "inline_policy.filters[0].glob"),
        (a_policy(description="x" * 1001), "inline_policy.description"),
        (
            a_policy(destinations=[pb.Destination(registry="registries/hub")]),
            "inline_policy.destinations[0].registry",
        ),
    ):
        with refused(Kind.INVALID_ARGUMENT, "INVALID_REQUEST") as refusal:
            await tried(stub, pb.TestPolicyRequest(inline_policy=policy, candidates=candidates))
        assert refusal.fields == [field]
    with refused(Kind.NOT_FOUND, "POLICY_NOT_FOUND"):
        await tried(stub, pb.TestPolicyRequest(policy="policies/nobody", candidates=candidates))


async def test_registries_of_a_tried_policy_are_there_when_the_source_is_listed(stub: PolicyServiceAsyncStub) -> None:
    with refused(Kind.NOT_FOUND, "REGISTRY_NOT_FOUND") as refusal:
        await tried(stub, pb.TestPolicyRequest(inline_policy=a_policy(source_registry="registries/gone")))
    assert refusal.fields == ["inline_policy.source_registry"]
