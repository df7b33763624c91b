"""RegistryService over gRPC: what it does, and how it says no."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from google.protobuf.field_mask_pb2 import FieldMask

from oci_client.testing import Action, BasicAuth, BearerAuth, FakeRegistry
from oci_client.testing.effects import answer_with
from oci_client.testing.faults import Match
from service_kit.errors import Kind
from service_kit.paging import PageToken
from tests.integration.registry_svc.registry_service import NOBODY, Services, fields, refusal, registry_services
from tests.postgres import Database
from tests.registries import PASSWORD, USERNAME, DockerRegistry
from transship.registry.v1 import registry_pb2 as pb

ROBOT: dict[str, Any] = {"username": "robot", "password": "pa55word"}


@pytest.fixture
async def services(database: Database) -> AsyncIterator[Services]:
    async with registry_services(await database("registry_svc")) as services:
        yield services


@pytest.fixture
async def hub() -> AsyncIterator[FakeRegistry]:
    async with FakeRegistry(auth=BearerAuth(**ROBOT)) as registry:
        yield registry


def _update(etag: str = "", mask: str = "description", **values: Any) -> pb.UpdateRegistryRequest:
    registry = pb.Registry(name="registries/hub", etag=etag, **values)
    return pb.UpdateRegistryRequest(registry=registry, update_mask=FieldMask(paths=mask.split(",")))


async def test_a_registry_with_a_password_file_is_registered_changed_and_deleted(
    services: Services, tmp_path: Path
) -> None:
    """The real thing, with Basic."""
    with DockerRegistry(tmp_path, htpasswd=True) as docker:
        created = await services.create(f" {docker.url}/ ", username=USERNAME, password=PASSWORD, description="d")
        by_uid = await services.registries.GetRegistry(pb.GetRegistryRequest(name=f"registries/{created.uid}"))
        updated = await services.registries.UpdateRegistry(_update(created.etag, description="e"))
        pinged = await services.registries.PingRegistry(pb.PingRegistryRequest(name="registries/hub"))
        await services.registries.DeleteRegistry(pb.DeleteRegistryRequest(name="registries/hub"))

    assert (created.name, created.url, created.state) == ("registries/hub", docker.url, pb.Registry.STATE_HEALTHY)
    assert created.HasField("check_time")
    assert by_uid == created
    assert (updated.description, updated.credential.username) == ("e", USERNAME)
    assert updated.etag != created.etag
    assert pinged.elapsed_ms >= 0
    gone = await refusal(services.registries.GetRegistry(pb.GetRegistryRequest(name="registries/hub")))
    assert (gone.kind, gone.reason) == (Kind.NOT_FOUND, "REGISTRY_NOT_FOUND")


async def test_a_password_never_comes_back(services: Services, hub: FakeRegistry) -> None:
    created = await services.create(hub.url, **ROBOT)
    listed = await services.registries.ListRegistries(pb.ListRegistriesRequest())

    for message in (created, *listed.registries):
        assert (message.credential.username, message.credential.password) == ("robot", "")


@pytest.mark.parametrize(
    "url",
    [
        "registry.example.com",
        "ftp://registry.example.com",
        "https://a:b@registry.example.com",
        "https://x?y",
        "https:///",
    ],
)
async def test_a_bad_url_names_its_field(services: Services, url: str) -> None:
    error = await refusal(services.create(url))

    assert (error.kind, error.reason, fields(error)) == (Kind.INVALID_ARGUMENT, "INVALID_REQUEST", ["registry.url"])


async def test_a_missing_scheme_is_told_with_what_to_write(services: Services) -> None:
    error = await refusal(services.create("registry.example.com"))

    assert "write https:// before it" in error.violations[0].description


async def test_a_bad_certificate_names_its_field(services: Services) -> None:
    error = await refusal(services.create("https://x", ca_certificate="no pem"))

    assert (error.reason, fields(error)) == ("INVALID_REQUEST", ["registry.ca_certificate"])


async def test_an_unknown_adapter_tells_which_there_are(services: Services) -> None:
    error = await refusal(services.create("https://x", type="nonesuch"))

    assert (error.kind, error.reason) == (Kind.INVALID_ARGUMENT, "ADAPTER_UNKNOWN")
    assert error.metadata == {"type": "nonesuch", "known": "docker-hub, docker-registry, harbor"}


async def test_a_duplicate_name_is_refused(services: Services, hub: FakeRegistry) -> None:
    await services.create(hub.url, **ROBOT)

    error = await refusal(services.create(hub.url, **ROBOT))

    assert (error.kind, error.reason) == (Kind.ALREADY_EXISTS, "REGISTRY_ALREADY_EXISTS")


async def test_an_unreachable_registry_is_told_with_its_cause_and_not_stored(services: Services) -> None:
    error = await refusal(services.create(f"http://{NOBODY}"))

    assert (error.kind, error.reason) == (Kind.FAILED_PRECONDITION, "REGISTRY_UNREACHABLE")
    assert error.metadata["url"] == f"http://{NOBODY}"
    assert error.metadata["cause"]
    assert not (await services.registries.ListRegistries(pb.ListRegistriesRequest())).registries


async def test_an_unreachable_registry_can_be_stored_untried(services: Services) -> None:
    created = await services.create(f"http://{NOBODY}", skip_check=True)

    assert created.state == pb.Registry.STATE_UNSPECIFIED
    assert not created.HasField("check_time")


@pytest.mark.parametrize("auth", [BasicAuth(**ROBOT), BearerAuth(**ROBOT)])
async def test_wrong_credentials_are_told(services: Services, auth: Any) -> None:
    async with FakeRegistry(auth=auth) as registry:
        error = await refusal(services.create(registry.url, username="robot", password="wr0ng"))

    assert (error.kind, error.reason) == (Kind.FAILED_PRECONDITION, "REGISTRY_CREDENTIAL_REJECTED")
    assert "wr0ng" not in f"{error.message}{error.metadata}"


async def test_wrong_credentials_of_the_real_registry_are_told(services: Services, tmp_path: Path) -> None:
    with DockerRegistry(tmp_path, htpasswd=True) as docker:
        error = await refusal(services.create(docker.url, username=USERNAME, password="wrong"))

    assert error.reason == "REGISTRY_CREDENTIAL_REJECTED"


async def test_without_a_credential_a_registry_that_wants_one_is_healthy(services: Services, hub: FakeRegistry) -> None:
    assert (await services.create(hub.url)).state == pb.Registry.STATE_HEALTHY


@pytest.mark.parametrize("status", [200, 404])
async def test_a_web_page_in_place_of_json_is_no_registry(services: Services, status: int) -> None:
    async with FakeRegistry() as registry:
        registry.misbehave(answer_with(status, html=True))
        error = await refusal(services.create(registry.url))

    assert (error.kind, error.reason) == (Kind.FAILED_PRECONDITION, "REGISTRY_MISBEHAVED")


async def test_a_token_service_that_answers_with_a_page_is_told(services: Services, hub: FakeRegistry) -> None:
    hub.misbehave(answer_with(200, html=True), match=Match(action=Action.TOKEN))

    assert (await refusal(services.create(hub.url, **ROBOT))).reason == "REGISTRY_MISBEHAVED"


async def test_a_registry_can_be_tried_before_it_is_stored(services: Services, hub: FakeRegistry) -> None:
    credential = pb.Credential(username="robot", password="wrong")
    registry = pb.Registry(type="docker-registry", url=hub.url, credential=credential)

    error = await refusal(services.registries.PingRegistry(pb.PingRegistryRequest(registry=registry)))
    registry.credential.password = "pa55word"
    await services.registries.PingRegistry(pb.PingRegistryRequest(registry=registry))

    assert error.reason == "REGISTRY_CREDENTIAL_REJECTED"


@pytest.mark.parametrize("size", [-1, 1001])
async def test_an_oversized_page_is_refused(services: Services, size: int) -> None:
    error = await refusal(services.registries.ListRegistries(pb.ListRegistriesRequest(page_size=size)))

    assert (error.kind, error.reason, fields(error)) == (Kind.INVALID_ARGUMENT, "INVALID_REQUEST", ["page_size"])


async def test_a_page_token_is_good_for_its_own_list_only(services: Services) -> None:
    registry = pb.Registry(type="docker-registry", url="https://x")
    for id_ in ("a", "b", "c"):
        request = pb.CreateRegistryRequest(registry_id=id_, registry=registry, skip_check=True)
        await services.registries.CreateRegistry(request)
    first = await services.registries.ListRegistries(pb.ListRegistriesRequest(page_size=2))
    token = first.next_page_token
    second = await services.registries.ListRegistries(pb.ListRegistriesRequest(page_size=2, page_token=token))

    assert [each.name for each in first.registries] == ["registries/a", "registries/b"]
    assert ([each.name for each in second.registries], second.next_page_token) == (["registries/c"], "")
    for bad in (pb.ListRegistriesRequest(page_token="x"), pb.ListRegistriesRequest(page_token=token, type="t")):
        error = await refusal(services.registries.ListRegistries(bad))
        assert (error.kind, error.reason) == (Kind.INVALID_ARGUMENT, "INVALID_PAGE_TOKEN")


@pytest.mark.parametrize("path", ["nonesuch", "type", "state", "credential.password", "name"])
async def test_what_cannot_be_changed_is_refused_in_the_mask(services: Services, path: str) -> None:
    await services.create("https://x", skip_check=True)

    error = await refusal(services.registries.UpdateRegistry(_update(mask=path)))

    assert (error.kind, error.reason, fields(error)) == (
        Kind.INVALID_ARGUMENT,
        "UNKNOWN_FIELD_IN_MASK",
        ["update_mask"],
    )


@pytest.mark.parametrize(
    ("mask", "values", "field"),
    [
        ("url", {"url": ""}, "registry.url"),
        ("url", {"url": "x.example.com"}, "registry.url"),
        ("description", {"description": "x" * 1001}, "registry.description"),
        ("credential", {"credential": pb.Credential(password="x")}, "registry.credential.username"),
        ("ca_certificate", {"ca_certificate": "x"}, "registry.ca_certificate"),
        ("max_bytes_per_second", {"max_bytes_per_second": -1}, "registry.max_bytes_per_second"),
    ],
)
async def test_the_masked_fields_keep_their_rules(services: Services, mask: str, values: Any, field: str) -> None:
    await services.create("https://x", skip_check=True)

    error = await refusal(services.registries.UpdateRegistry(_update(mask=mask, **values)))

    assert (error.reason, fields(error)) == ("INVALID_REQUEST", [field])


async def test_a_change_without_a_name_is_refused(services: Services) -> None:
    request = pb.UpdateRegistryRequest(update_mask=FieldMask(paths=["description"]))

    error = await refusal(services.registries.UpdateRegistry(request))

    assert (error.reason, fields(error)) == ("INVALID_REQUEST", ["registry.name"])


async def test_characters_that_cannot_be_stored_name_their_field(services: Services) -> None:
    created = await refusal(services.create("https://x", username="a\0b", password="c", description="d\0"))
    await services.create("https://x", skip_check=True)
    updated = await refusal(services.registries.UpdateRegistry(_update(description="d\0")))
    listed = await refusal(services.registries.ListRegistries(pb.ListRegistriesRequest(type="t\0")))

    assert fields(created) == ["registry.description", "registry.credential.username"]
    assert (fields(updated), fields(listed)) == (["registry.description"], ["type"])


@pytest.mark.parametrize("cursor", [(), (1,), ("a", "b"), ("a\0",)])
async def test_a_forged_page_token_is_a_bad_one(services: Services, cursor: tuple[str | int, ...]) -> None:
    request = pb.ListRegistriesRequest(page_token=PageToken(cursor).encode(""))

    assert (await refusal(services.registries.ListRegistries(request))).reason == "INVALID_PAGE_TOKEN"


async def test_a_limit_of_bytes_is_set_and_lifted(services: Services) -> None:
    created = await services.create("https://x", skip_check=True, max_bytes_per_second=2**40)
    described = await services.registries.UpdateRegistry(_update(description="d"))
    lifted = await services.registries.UpdateRegistry(_update(mask="max_bytes_per_second"))

    limits = [registry.max_bytes_per_second for registry in (created, described, lifted)]
    assert limits == [2**40, 2**40, 0]
    error = await refusal(services.create("https://x", skip_check=True, max_bytes_per_second=-1))
    assert (error.reason, fields(error)) == ("INVALID_REQUEST", ["registry.max_bytes_per_second"])


async def test_an_old_etag_is_refused(services: Services) -> None:
    await services.create("https://x", skip_check=True)

    error = await refusal(services.registries.UpdateRegistry(_update("old", description="e")))

    assert (error.kind, error.reason) == (Kind.ABORTED, "ETAG_MISMATCH")


async def test_a_new_url_needs_the_password_again(services: Services, hub: FakeRegistry) -> None:
    await services.create(hub.url, **ROBOT)
    async with FakeRegistry() as other:
        error = await refusal(services.registries.UpdateRegistry(_update(mask="url", url=other.url)))

        assert (error.kind, error.reason) == (Kind.FAILED_PRECONDITION, "REGISTRY_PASSWORD_NEEDED")
        assert other.requests == []


async def test_a_credential_in_the_mask_without_a_value_is_removed(services: Services, hub: FakeRegistry) -> None:
    await services.create(hub.url, **ROBOT)

    updated = await services.registries.UpdateRegistry(_update(mask="credential"))

    assert not updated.HasField("credential")


async def test_an_adapter_tells_what_it_is_and_what_it_can(services: Services) -> None:
    await services.create("https://x", skip_check=True)

    adapters = (await services.registries.ListAdapters(pb.ListAdaptersRequest())).adapters
    info = await services.registries.GetRegistryInfo(pb.GetRegistryInfoRequest(name="registries/hub"))

    assert [adapter.type for adapter in adapters] == ["docker-hub", "docker-registry", "harbor"]
    assert all(each.username_hint and each.password_hint and each.url_pattern for each in adapters)
    assert (info.type, info.lists_repositories, info.min_path_components) == ("docker-registry", True, 1)
    assert len(info.filter_dimensions) == 2


async def test_a_registry_in_use_names_ten_of_its_policies(database: Database) -> None:
    async with registry_services(await database("registry_svc"), policies=12) as services:
        await services.create("https://x", skip_check=True)
        error = await refusal(services.registries.DeleteRegistry(pb.DeleteRegistryRequest(name="registries/hub")))

    assert (error.kind, error.reason) == (Kind.FAILED_PRECONDITION, "REGISTRY_IN_USE")
    assert error.metadata["policies"].split(", ") == [f"policies/p{number}" for number in range(10)]


async def test_nothing_is_deleted_while_the_policy_service_is_down(database: Database) -> None:
    async with registry_services(await database("registry_svc"), policies=None) as services:
        created = await services.create("https://x", skip_check=True)
        error = await refusal(services.registries.DeleteRegistry(pb.DeleteRegistryRequest(name="registries/hub")))

        assert (error.kind, error.reason) == (Kind.UNAVAILABLE, "SERVICE_UNAVAILABLE")
        assert await services.registries.GetRegistry(pb.GetRegistryRequest(name="registries/hub")) == created
