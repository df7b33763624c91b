"""The registry service's catalog, as trials of policies need it."""

from collections.abc import AsyncGenerator
from typing import TYPE_CHECKING

import grpc

from policy_svc.convert.selection import newest_to_pb, rule_to_pb
from policy_svc.convert.trials import problem_from_pb, rejected_from_pb
from policy_svc.domain.policy import PolicySpec
from policy_svc.domain.trial import Artifact, Listing
from service_kit.channel import open_call
from service_kit.status import remote_errors
from transship.registry.v1 import catalog_pb2 as pb
from transship.registry.v1.catalog_pb2_grpc import CatalogServiceStub

if TYPE_CHECKING:  # it is in the stubs only
    from transship.registry.v1.catalog_pb2_grpc import CatalogServiceAsyncStub


class GrpcCatalogGateway:
    def __init__(self, channel: grpc.aio.Channel) -> None:
        self._catalog: CatalogServiceAsyncStub = CatalogServiceStub(channel)

    async def list(self, spec: PolicySpec, *, include_rejected: bool) -> AsyncGenerator[Listing, None]:
        request = pb.ListResourcesRequest(
            registry=spec.source_registry,
            filters=[rule_to_pb(each) for each in spec.filters],
            newest=newest_to_pb(spec.newest) if spec.newest else None,
            include_rejected=include_rejected,
        )
        async with remote_errors("registry"):
            with open_call(self._catalog.ListResources(request)) as call:
                async for response in call:
                    yield _listing(response)


def _listing(response: pb.ListResourcesResponse) -> Listing:
    return Listing(
        passed=tuple(
            Artifact(resource.repository, reference.tag)
            for resource in response.resources
            for reference in resource.references
        ),
        rejected=tuple(map(rejected_from_pb, response.rejections)),
        problems=tuple(problem_from_pb(each.repository, each.failure) for each in response.failures),
    )
