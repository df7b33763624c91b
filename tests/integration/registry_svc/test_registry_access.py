"""AccessService over gRPC."""

import asyncio
import base64
from collections.abc import AsyncIterator
from typing import Any

import pytest
from google.protobuf.field_mask_pb2 import FieldMask

from oci_client.testing import Action, BasicAuth, BearerAuth, FakeRegistry
from oci_client.testing.effects import answer_with
from oci_client.testing.faults import Match
from service_kit.errors import Kind
from tests.integration.registry_svc.registry_service import NOBODY, Services, fields, refusal, registry_services
from tests.postgres import Database
from transship.registry.v1 import access_pb2 as pb
from transship.registry.v1 import registry_pb2

ROBOT: dict[str, Any] = {"username": "robot", "password": "pa55word"}
BASIC = "Basic " + base64.b64encode(b"robot:pa55word").decode()


@pytest.fixture
async def services(database: Database) -> AsyncIterator[Services]:
    async with registry_services(await database("registry_svc")) as services:
        yield services


@pytest.fixture
async def hub() -> AsyncIterator[FakeRegistry]:
    async with FakeRegistry(auth=BearerAuth(**ROBOT)) as registry:
        registry.push_image("a/x", "1")
        yield registry


async def _issue(services: Services, *repositories: str, rejected: str = "") -> pb.IssueAccessResponse:
    scopes = [pb.RepositoryScope(repository=each, actions=[pb.RepositoryScope.ACTION_PULL]) for each in repositories]
    request = pb.IssueAccessRequest(registry="registries/hub", scopes=scopes, rejected_authorization=rejected)
    return await services.access.IssueAccess(request)


async def test_a_bearer_token_is_issued_with_its_expiry(services: Services, hub: FakeRegistry) -> None:
    created = await services.create(hub.url, **ROBOT)

    access = await _issue(services, "a/x")

    assert access.kind == pb.IssueAccessResponse.KIND_BEARER
    assert access.authorization.startswith("Bearer ")
    assert access.HasField("expire_time")
    assert (access.url, access.registry_uid, access.type) == (hub.url, created.uid, "docker-registry")
    assert "pa55word" not in str(access)


async def test_many_askers_cost_one_token(services: Services, hub: FakeRegistry) -> None:
    await services.create(hub.url, **ROBOT)
    hub.log.reset()
    hub.latency_s = 0.05

    issued = await asyncio.gather(*(_issue(services, "a/x") for _ in range(20)))
    issued.append(await _issue(services, "a/x"))

    assert len({access.authorization for access in issued}) == 1
    assert hub.log.count(action=Action.TOKEN) == 1


async def test_a_rejected_token_is_not_handed_out_again(services: Services, hub: FakeRegistry) -> None:
    await services.create(hub.url, **ROBOT)
    first = await _issue(services, "a/x")

    second = await _issue(services, "a/x", rejected=first.authorization)

    assert second.authorization != first.authorization


async def test_a_basic_value_is_marked_so_and_never_expires(services: Services) -> None:
    async with FakeRegistry(auth=BasicAuth(**ROBOT)) as registry:
        await services.create(registry.url, **ROBOT)
        access = await _issue(services, "a/x")
        error = await refusal(_issue(services, "a/x", rejected=BASIC))

    assert (access.kind, access.authorization) == (pb.IssueAccessResponse.KIND_BASIC, BASIC)
    assert not access.HasField("expire_time")
    assert error.reason == "REGISTRY_CREDENTIAL_REJECTED"
    assert BASIC not in f"{error.message}{error.metadata}"


async def test_an_open_registry_needs_none(services: Services) -> None:
    async with FakeRegistry() as registry:
        await services.create(registry.url)
        access = await _issue(services, "a/x")

    assert (access.kind, access.authorization) == (pb.IssueAccessResponse.KIND_UNSPECIFIED, "")


async def test_without_scopes_only_the_endpoint_is_told(services: Services) -> None:
    await services.create(f"http://{NOBODY}", skip_check=True, max_bytes_per_second=7, **ROBOT)

    access = await _issue(services)

    assert (access.url, access.authorization, access.max_bytes_per_second) == (f"http://{NOBODY}", "", 7)


async def test_a_registry_that_challenges_only_at_the_repository_is_learned(
    services: Services, hub: FakeRegistry
) -> None:
    await services.create(hub.url, skip_check=True, **ROBOT)
    challenge = f'Bearer realm="{hub.url}/token",service="fake-registry"'
    hub.auth = BearerAuth(**ROBOT)
    async with FakeRegistry() as lazy:
        await _move(services, lazy.url)
        lazy.misbehave(answer_with(401, headers={"WWW-Authenticate": challenge}), match=Match(action=Action.MANIFEST))
        access = await _issue(services, "a/x")

    assert access.kind == pb.IssueAccessResponse.KIND_BEARER


async def _move(services: Services, url: str) -> None:
    registry = registry_pb2.Registry(name="registries/hub", url=url, credential=registry_pb2.Credential(**ROBOT))
    mask = FieldMask(paths=["url", "credential"])
    await services.registries.UpdateRegistry(registry_pb2.UpdateRegistryRequest(registry=registry, update_mask=mask))


async def test_a_changed_registry_is_asked_anew(services: Services, hub: FakeRegistry) -> None:
    await services.create(hub.url, **ROBOT)
    first = await _issue(services, "a/x")
    async with FakeRegistry(auth=BearerAuth(**ROBOT)) as other:
        await _move(services, other.url)
        second = await _issue(services, "a/x")

    assert (second.url, second.registry_uid) == (other.url, first.registry_uid)
    assert second.authorization != first.authorization


async def test_problems_of_the_registry_are_told(services: Services, hub: FakeRegistry) -> None:
    await services.create(hub.url, skip_check=True, username="robot", password="wrong")

    error = await refusal(_issue(services, "a/x"))

    assert (error.kind, error.reason) == (Kind.FAILED_PRECONDITION, "REGISTRY_CREDENTIAL_REJECTED")


async def test_unknown_registries_and_impossible_names_are_refused(services: Services) -> None:
    assert (await refusal(_issue(services, "a/x"))).reason == "REGISTRY_NOT_FOUND"
    error = await refusal(_issue(services, "a/x", "No Repository"))
    assert (error.reason, fields(error)) == ("INVALID_REQUEST", ["scopes[1].repository"])
