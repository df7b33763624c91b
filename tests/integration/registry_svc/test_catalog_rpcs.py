"""CatalogService over gRPC with everything that a policy may ask, on a Harbor and a Docker Hub."""

from collections.abc import AsyncIterator

import pytest

from registry_svc.adapters.docker_hub import DOCKER_HUB_HOSTS
from service_kit.errors import Kind
from tests.fakes.docker_hub import FakeDockerHub
from tests.fakes.harbor import FakeHarbor
from tests.integration.registry_svc.registry_service import Services, fields, refusal, registry_services
from tests.postgres import Database
from transship.registry.v1 import access_pb2, catalog_pb2, registry_pb2
from transship.type.v1.artifact_pb2 import ArtifactReference, Resource
from transship.type.v1.filter_pb2 import Filter, Newest
from transship.type.v1.selection_pb2 import Rejection

HUB = "registries/hub"


@pytest.fixture
async def services(database: Database) -> AsyncIterator[Services]:
    async with registry_services(await database("registry_svc")) as services:
        yield services


@pytest.fixture
async def harbor(services: Services) -> AsyncIterator[FakeHarbor]:
    async with FakeHarbor() as harbor:
        await services.create(harbor.url, type="harbor", username=harbor.username, password=harbor.password)
        yield harbor


async def _list(services: Services, **request: object) -> catalog_pb2.ListResourcesResponse:
    """All batches as one."""
    whole = catalog_pb2.ListResourcesResponse()
    async for batch in services.catalog.ListResources(catalog_pb2.ListResourcesRequest(registry=HUB, **request)):  # type: ignore[arg-type]
        whole.MergeFrom(batch)
    return whole


async def test_what_a_harbor_can_is_told(services: Services, harbor: FakeHarbor) -> None:
    info = await services.registries.GetRegistryInfo(registry_pb2.GetRegistryInfoRequest(name=HUB))

    assert list(info.filter_dimensions) == [
        Filter.DIMENSION_NAME,
        Filter.DIMENSION_TAG,
        Filter.DIMENSION_LABEL,
        Filter.DIMENSION_RESOURCE_TYPE,
    ]
    assert (info.sends_events, info.lists_digests, info.min_path_components) == (True, True, 2)


async def test_resources_and_rejections_come_in_one_stream(services: Services, harbor: FakeHarbor) -> None:
    harbor.add_project("cache", registry_id=1)
    digest = harbor.push_image("team/app", "new", labels=["prod"], days=2)
    harbor.push_image("team/app", "old", seed=1, labels=["prod"])
    harbor.push_image("team/app", "dev", seed=2)
    harbor.push_image("other/app", "1")

    found = await _list(
        services,
        filters=[
            Filter(dimension=Filter.DIMENSION_NAME, glob="{team,cache}/**"),
            Filter(dimension=Filter.DIMENSION_LABEL, glob="prod"),
        ],
        newest=Newest(order=Newest.ORDER_CREATE_TIME, count=1),
        include_rejected=True,
    )

    [resource] = found.resources
    assert resource == Resource(
        repository="team/app", references=[ArtifactReference(tag="new", digest=digest)], public=False
    )
    assert sorted((each.repository, each.tag, each.cause) for each in found.rejections) == [
        ("cache", "", Rejection.CAUSE_NOT_REPLICATED),
        ("team/app", "dev", Rejection.CAUSE_NOT_INCLUDED),
        ("team/app", "old", Rejection.CAUSE_NOT_NEWEST),
    ]
    by_label = next(each for each in found.rejections if each.tag == "dev")
    assert (by_label.HasField("filter_index"), by_label.filter_index) == (True, 1)
    assert all(each.message for each in found.rejections)


async def test_nothing_that_is_left_out_is_told_unasked(services: Services, harbor: FakeHarbor) -> None:
    harbor.push_image("team/app", "1")

    found = await _list(services, filters=[Filter(dimension=Filter.DIMENSION_TAG, glob="2")])

    assert found == catalog_pb2.ListResourcesResponse()


async def test_what_an_event_tells_of_is_looked_at(services: Services, harbor: FakeHarbor) -> None:
    harbor.push_image("team/app", "1", "2")

    within = [Resource(repository="team/app", references=[ArtifactReference(tag="1")])]
    [resource] = (await _list(services, within=within)).resources

    assert [each.tag for each in resource.references] == ["1"]


async def test_filters_on_what_a_registry_does_not_tell_are_refused(services: Services) -> None:
    await services.create("https://x", skip_check=True)
    filters = [
        Filter(dimension=Filter.DIMENSION_NAME, glob="a"),
        Filter(dimension=Filter.DIMENSION_LABEL, glob="prod"),
        Filter(dimension=Filter.DIMENSION_RESOURCE_TYPE, glob="image"),
    ]

    error = await refusal(
        services.catalog.ListResources(catalog_pb2.ListResourcesRequest(registry=HUB, filters=filters))
    )

    assert (error.kind, error.reason) == (Kind.INVALID_ARGUMENT, "INVALID_REQUEST")
    assert fields(error) == ["filters[1].dimension", "filters[2].dimension"]


@pytest.mark.parametrize(
    ("request_", "field"),
    [
        ({"newest": Newest(order=Newest.ORDER_SEMVER)}, "newest.count"),
        ({"newest": Newest(order=Newest.ORDER_CREATE_TIME, count=1, min_count=2)}, "newest.min_count"),
        ({"newest": Newest(count=1)}, "newest.order"),
        ({"within": [Resource(repository="No Repository")]}, "within[0].repository"),
        ({"filters": [Filter(dimension=Filter.DIMENSION_TAG, regex="(")]}, "filters[0].regex"),
    ],
)
async def test_what_cannot_be_is_refused_with_its_field(
    services: Services, request_: dict[str, object], field: str
) -> None:
    await services.create("https://x", skip_check=True)

    request = catalog_pb2.ListResourcesRequest(registry=HUB, **request_)  # type: ignore[arg-type]
    error = await refusal(services.catalog.ListResources(request))

    assert (error.reason, fields(error)) == ("INVALID_REQUEST", [field])


async def test_projects_are_made_public_when_that_is_asked_for(services: Services, harbor: FakeHarbor) -> None:
    harbor.add_project("cache", registry_id=1)
    request = catalog_pb2.PrepareRepositoriesRequest(
        registry=HUB, repositories=["new/app", "cache/app", "nginx"], public=True, validate_only=True
    )

    told = await services.catalog.PrepareRepositories(request)
    assert "new" not in harbor.projects
    request.validate_only = False
    done = await services.catalog.PrepareRepositories(request)

    assert told == done
    assert list(done.created_namespaces) == ["new"]
    assert [(each.repository, each.failure.reason) for each in done.excluded] == [("cache/app", "PROXY_CACHE_PROJECT")]
    assert [(each.repository, each.failure.reason) for each in done.failures] == [("nginx", "PATH_RULE_VIOLATED")]
    assert harbor.projects["new"].public


async def test_a_stand_in_for_docker_hub_plays_both_hosts(services: Services) -> None:
    async with FakeDockerHub() as hub:
        digest = hub.push_image("team/app", "1")
        await services.create(hub.registry.url, type="docker-hub", username=hub.username, password=hub.password)

        [resource] = (
            await _list(services, filters=[Filter(dimension=Filter.DIMENSION_NAME, glob="team/**")])
        ).resources
        access = await services.access.IssueAccess(_access("team/app"))

    assert (resource.repository, resource.references[0].digest, resource.public) == ("team/app", digest, True)
    assert (access.url, access.kind) == (hub.registry.url, access_pb2.IssueAccessResponse.KIND_BEARER)


async def test_access_to_docker_hub_is_to_its_registry(services: Services) -> None:
    await services.create("https://hub.docker.com", type="docker-hub", skip_check=True)

    access = await services.access.IssueAccess(access_pb2.IssueAccessRequest(registry=HUB))

    assert access.url == DOCKER_HUB_HOSTS.registry


def _access(repository: str) -> access_pb2.IssueAccessRequest:
    pull = access_pb2.RepositoryScope(repository=repository, actions=[access_pb2.RepositoryScope.ACTION_PULL])
    return access_pb2.IssueAccessRequest(registry=HUB, scopes=[pull])
