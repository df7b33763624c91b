"""CatalogService over gRPC, against registries real and lying."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from oci_client.client import RegistryClient
from oci_client.digest import Digest
from oci_client.http import HttpClient
from oci_client.manifest import parse_manifest
from oci_client.testing import Action, BearerAuth, FakeRegistry, an_image
from oci_client.testing.effects import answer_with, endless_paging
from oci_client.testing.faults import Match
from oci_client.testing.products import distribution_2, ghcr
from registry_svc.adapters.listing import CONCURRENCY
from service_kit.errors import Kind
from tests.integration.registry_svc.registry_service import Services, fields, refusal, registry_services
from tests.postgres import Database
from tests.registries import DockerRegistry
from transship.registry.v1 import catalog_pb2 as pb
from transship.type.v1.filter_pb2 import Filter

HUB = "registries/hub"


@pytest.fixture
async def services(database: Database) -> AsyncIterator[Services]:
    async with registry_services(await database("registry_svc")) as services:
        yield services


@pytest.fixture
async def hub() -> AsyncIterator[FakeRegistry]:
    async with FakeRegistry() as registry:
        yield registry


def _request(*names: str, tags: str = "") -> pb.ListResourcesRequest:
    filters = [Filter(dimension=Filter.DIMENSION_NAME, glob=name) for name in names]
    if tags:
        filters.append(Filter(dimension=Filter.DIMENSION_TAG, glob=tags))
    return pb.ListResourcesRequest(registry=HUB, filters=filters)


async def _list(services: Services, *names: str, tags: str = "") -> tuple[dict[str, list[str]], dict[str, str]]:
    """Tags and the reasons of failures, by repository."""
    found: dict[str, list[str]] = {}
    failed: dict[str, str] = {}
    async for batch in services.catalog.ListResources(_request(*names, tags=tags)):
        for resource in batch.resources:
            found.setdefault(resource.repository, []).extend(each.tag for each in resource.references)
        failed |= {each.repository: each.failure.reason for each in batch.failures}
    return {name: sorted(tags_found) for name, tags_found in found.items()}, failed


async def _delete_tag(services: Services, tag: str, repository: str = "a/app") -> None:
    await services.catalog.DeleteTag(pb.DeleteTagRequest(registry=HUB, repository=repository, tag=tag))


async def test_the_real_registry_is_listed_and_a_tag_deleted(services: Services, tmp_path: Path) -> None:
    with DockerRegistry(tmp_path) as docker:
        async with HttpClient() as http:
            await _push(RegistryClient(docker.url, http=http))
        await services.create(docker.url)
        assert await _list(services) == ({"a/app": ["1", "2", "same"], "b/tool": ["1"]}, {})
        assert await _list(services, "a/{app,none}", tags="[0-9]") == (
            {"a/app": ["1", "2"]},
            {"a/none": "REPOSITORY_UNKNOWN"},
        )

        shared = await refusal(_delete_tag(services, "1"))
        await _delete_tag(services, "2")
        gone = await refusal(_delete_tag(services, "2"))
        assert (await _list(services, "a/app"))[0] == {"a/app": ["1", "same"]}

    assert (shared.kind, shared.reason) == (Kind.FAILED_PRECONDITION, "TAG_DELETION_UNSUPPORTED")
    assert (gone.kind, gone.reason) == (Kind.NOT_FOUND, "TAG_NOT_FOUND")


async def _push(client: RegistryClient) -> None:
    """`1` and `same` are one image, `2` is another."""
    for repository, tag, seed in (("a/app", "1", 1), ("a/app", "same", 1), ("a/app", "2", 2), ("b/tool", "1", 1)):
        built = an_image((16,), seed=seed)
        for digest, blob in built.blobs.items():
            session = await client.start_upload(repository)
            await client.put_blob(session, Digest.parse(digest), b"".join(blob.pieces()))
        await client.put_manifest(repository, tag, parse_manifest(built.manifest, built.media_type))


async def test_several_repositories_are_listed_at_once_and_not_too_many(services: Services, hub: FakeRegistry) -> None:
    for number in range(40):
        hub.push_image(f"r{number}", "1")
    await services.create(hub.url)
    hub.latency_s = 0.02

    found, _ = await _list(services)

    assert len(found) == 40
    assert 1 < hub.log.peak(Action.TAGS) <= CONCURRENCY


async def test_a_caller_that_leaves_ends_the_listing(services: Services, hub: FakeRegistry) -> None:
    for number in range(200):
        hub.push_image(f"r{number}", "1")
    await services.create(hub.url)
    hub.latency_s = 0.02
    call = services.catalog.ListResources(_request())

    await call.read()
    call.cancel()
    asked = [0]
    while hub.log.in_flight() or asked[-1] != hub.log.count(action=Action.TAGS):
        asked.append(hub.log.count(action=Action.TAGS))
        await asyncio.sleep(0.1)  # long enough for the next five lists of tags of each place

    assert asked[-1] < 200


async def test_named_repositories_ask_for_no_catalog(services: Services, hub: FakeRegistry) -> None:
    hub.push_image("a/x", "1")
    hub.push_image("a/y", "1")
    await services.create(hub.url)

    assert await _list(services, "a/{x,y}") == ({"a/x": ["1"], "a/y": ["1"]}, {})
    assert hub.log.count(action=Action.CATALOG) == 0


async def test_a_registry_without_a_catalog_wants_names(services: Services) -> None:
    async with FakeRegistry.like(ghcr()) as registry:
        registry.push_image("a/x", "1")
        await services.create(registry.url)

        error = await refusal(services.catalog.ListResources(_request("a/*")))
        assert (error.kind, error.reason) == (Kind.FAILED_PRECONDITION, "CATALOG_UNSUPPORTED")
        assert error.metadata == {"registry": HUB}
        assert await _list(services, "a/x") == ({"a/x": ["1"]}, {})


async def test_a_forbidden_catalog_is_no_wrong_credential(services: Services, hub: FakeRegistry) -> None:
    await services.create(hub.url)
    hub.misbehave(answer_with(403), match=Match(action=Action.CATALOG))

    assert (await refusal(services.catalog.ListResources(_request()))).reason == "CATALOG_UNSUPPORTED"


async def test_a_credential_that_is_no_longer_good_is_told(services: Services) -> None:
    auth = BearerAuth(username="robot", password="pa55word")
    async with FakeRegistry(auth=auth) as registry:
        await services.create(registry.url, username="robot", password="pa55word")
        auth.password = "changed"

        error = await refusal(services.catalog.ListResources(_request()))

    assert error.reason == "REGISTRY_CREDENTIAL_REJECTED"


@pytest.mark.parametrize("action", [Action.CATALOG, Action.TAGS])
async def test_endless_paging_ends(services: Services, hub: FakeRegistry, action: Action) -> None:
    hub.push_image("a/x", "1")
    await services.create(hub.url)
    hub.misbehave(endless_paging(), match=Match(action=action))

    if action is Action.CATALOG:
        error = await refusal(services.catalog.ListResources(_request()))
        assert (error.kind, error.reason) == (Kind.FAILED_PRECONDITION, "REGISTRY_MISBEHAVED")
    else:
        assert (await _list(services))[1] == {"a/x": "ENDLESS_PAGING"}
    assert hub.log.count(action=action) < 5


@pytest.mark.parametrize("action", [Action.CATALOG, Action.TAGS])
async def test_a_web_page_in_place_of_json_is_told(services: Services, hub: FakeRegistry, action: Action) -> None:
    hub.push_image("a/x", "1")
    await services.create(hub.url)
    hub.misbehave(answer_with(200, html=True), match=Match(action=action))

    if action is Action.CATALOG:
        assert (await refusal(services.catalog.ListResources(_request()))).reason == "REGISTRY_MISBEHAVED"
    else:
        assert (await _list(services))[1] == {"a/x": "UNEXPECTED_ANSWER"}


async def test_a_repository_that_is_not_for_us_fails_alone(services: Services) -> None:
    auth = BearerAuth(username="robot", password="pa55word", forbidden=frozenset({"a/secret"}))
    async with FakeRegistry(auth=auth) as registry:
        registry.push_image("a/secret", "1")
        registry.push_image("a/x", "1")
        await services.create(registry.url, username="robot", password="pa55word")

        assert await _list(services) == ({"a/x": ["1"]}, {"a/secret": "ACCESS_DENIED"})


async def test_a_passing_fault_is_not_noticed(services: Services, hub: FakeRegistry) -> None:
    hub.push_image("a/x", "1")
    await services.create(hub.url)
    hub.fail_next(503, match=Match(action=Action.TAGS), retry_after=0)
    hub.fail_next(429, match=Match(action=Action.CATALOG), retry_after=0)

    assert await _list(services) == ({"a/x": ["1"]}, {})


async def test_a_lasting_fault_is_told_with_what_the_registry_said(services: Services, hub: FakeRegistry) -> None:
    hub.push_image("a/x", "1")
    await services.create(hub.url)
    hub.misbehave(answer_with(429, retry_after=3600), match=Match(action=Action.TAGS))

    batches = [batch async for batch in services.catalog.ListResources(_request())]

    [failed] = batches[0].failures
    assert (failed.repository, failed.failure.reason) == ("a/x", "RATE_LIMITED")
    assert (failed.failure.http_status, failed.failure.registry_code) == (429, "TOOMANYREQUESTS")


async def test_bad_filters_are_named(services: Services) -> None:
    await services.create("https://x", skip_check=True)
    request = _request("good", "a/[")
    request.filters.add(dimension=Filter.DIMENSION_LABEL, regex="a(")
    request.filters.add(dimension=Filter.DIMENSION_TAG, semver=">=")

    error = await refusal(services.catalog.ListResources(request))

    assert (error.kind, error.reason) == (Kind.INVALID_ARGUMENT, "INVALID_REQUEST")
    assert fields(error) == ["filters[1].glob", "filters[2].regex", "filters[3].semver"]


async def test_tags_are_picked_by_expressions_and_by_versions(services: Services, hub: FakeRegistry) -> None:
    for tag in ("v1.2", "1.3.0", "1.4.0-rc.1", "2.0", "nightly-7", "latest"):
        hub.push_image("a/x", tag)
    await services.create(hub.url)
    request = _request()
    request.filters.add(dimension=Filter.DIMENSION_TAG, semver="1.x")
    request.filters.add(dimension=Filter.DIMENSION_TAG, regex=r"nightly-\d+")

    batches = [batch async for batch in services.catalog.ListResources(request)]

    [resource] = [each for batch in batches for each in batch.resources]
    assert sorted(each.tag for each in resource.references) == ["1.3.0", "nightly-7", "v1.2"]


async def test_an_unknown_registry_is_told_by_each_call(services: Services) -> None:
    calls = [
        services.catalog.ListResources(_request()),
        services.catalog.PrepareRepositories(pb.PrepareRepositoriesRequest(registry=HUB, repositories=["a"])),
        services.catalog.DeleteTag(pb.DeleteTagRequest(registry=HUB, repository="a", tag="1")),
    ]

    assert [(await refusal(call)).reason for call in calls] == ["REGISTRY_NOT_FOUND"] * 3


async def test_nothing_needs_to_be_prepared(services: Services, hub: FakeRegistry) -> None:
    await services.create(hub.url)

    request = pb.PrepareRepositoriesRequest(registry=HUB, repositories=["a/x", "b"])
    assert not (await services.catalog.PrepareRepositories(request)).failures


async def test_a_tag_is_deleted_by_its_name_where_that_is_possible(services: Services, hub: FakeRegistry) -> None:
    hub.push("a/app", an_image((16,)), "1", "same")
    await services.create(hub.url)

    await _delete_tag(services, "1")

    assert await _list(services, "a/app") == ({"a/app": ["same"]}, {})
    assert hub.log.count(action=Action.MANIFEST) == 1


async def test_a_shared_digest_stays(services: Services) -> None:
    async with FakeRegistry.like(distribution_2()) as registry:
        registry.push("a/app", an_image((16,)), "1", "same")
        registry.push("a/app", an_image((16,), seed=2), "2")
        await services.create(registry.url)

        error = await refusal(_delete_tag(services, "1"))
        await _delete_tag(services, "2")

        assert (error.kind, error.reason) == (Kind.FAILED_PRECONDITION, "TAG_DELETION_UNSUPPORTED")
        assert (await _list(services, "a/app"))[0] == {"a/app": ["1", "same"]}


async def test_a_name_that_no_repository_has_names_its_field(services: Services) -> None:
    await services.create("https://x", skip_check=True)

    error = await refusal(_delete_tag(services, "1", repository="Not A Repository"))

    assert (error.reason, fields(error)) == ("INVALID_REQUEST", ["repository"])
