"""What every adapter does alike beside listing: health, preparing, deleting a tag, access."""

from base64 import b64encode
from dataclasses import dataclass

import pytest

from oci_client.client import RegistryClient
from oci_client.digest import Digest
from oci_client.http import HttpClient
from oci_client.manifest import parse_manifest
from oci_client.testing import an_image
from oci_client.testing.effects import answer_with
from registry_svc.adapters.base import Access, AccessKind, Action, Adapter, RepositoryScope
from registry_svc.domain.errors import RegistryCredentialRejected, TagDeletionUnsupported, TagNotFound
from service_kit.errors import ServiceError
from tests.contract.adapter_listing import listed
from tests.contract.adapter_stages import FAKES, Stage

on_fakes = pytest.mark.parametrize("product", FAKES)


# Health


async def test_a_product_that_takes_the_credential_is_healthy(adapter: Adapter) -> None:
    await adapter.health_check()


async def test_a_wrong_password_is_told_and_not_repeated(stage: Stage) -> None:
    adapter = stage.adapter_with("wrong-pa55word")

    with pytest.raises(RegistryCredentialRejected) as caught:
        await adapter.health_check()
    await adapter.aclose()

    assert "wrong-pa55word" not in str(caught.value) + repr(caught.value.metadata)


@on_fakes
@pytest.mark.parametrize("status", [429, 500, 403])
async def test_no_error_holds_a_secret(stage: Stage, adapter: Adapter, status: int) -> None:
    assert stage.faults is not None
    await stage.push("team/app", "1")
    stage.faults.misbehave(answer_with(status))
    basic = b64encode(f"{stage.credential.username}:{stage.credential.password.reveal()}".encode()).decode()

    texts = [repr(adapter), repr(adapter.info())]
    for work in (
        adapter.health_check,
        lambda: listed(adapter),
        lambda: adapter.delete_tag("team/app", "1"),
        lambda: adapter.prepare(["other/app"], public=False, validate_only=False),
    ):
        try:
            texts.append(repr(await work()))
        except ServiceError as error:
            texts += [error.message, repr(error.metadata), repr(error)]

    assert len(texts) >= 6
    for text in texts:
        assert stage.credential.password.reveal() not in text
        assert basic not in text


# Preparing


async def test_a_prepared_repository_is_ready_and_stays_so(stage: Stage, adapter: Adapter) -> None:
    names = ["team/new", "team/other"]
    await adapter.prepare(names, public=False, validate_only=False)
    before = stage.namespaces()

    again = await adapter.prepare(names, public=False, validate_only=False)

    assert (again.failures, again.created_namespaces, again.excluded) == ((), (), ())
    assert stage.namespaces() == before
    await _pushed(stage, adapter, "team/new")


async def test_nothing_is_made_when_it_is_only_asked_what_would_be(stage: Stage, adapter: Adapter) -> None:
    before = stage.namespaces()

    told = await adapter.prepare(["made/app", "team/made"], public=False, validate_only=True)
    assert stage.namespaces() == before
    done = await adapter.prepare(["made/app", "team/made"], public=False, validate_only=False)

    assert told == done


# Deleting a tag


async def test_a_deleted_tag_leaves_its_siblings(stage: Stage, adapter: Adapter) -> None:
    """Parity 19: where only digests can be deleted, nothing is."""
    await stage.push("team/app", "1", "same")
    await stage.push("team/app", "2", seed=1)
    names = {("team/app", tag) for tag in ("1", "same", "2")}

    try:
        await adapter.delete_tag("team/app", "1")
    except TagDeletionUnsupported:
        left = names
    else:
        left = names - {("team/app", "1")}

    assert (await listed(adapter)).names == left


async def test_a_tag_that_is_not_there_is_not_found(stage: Stage, adapter: Adapter) -> None:
    await stage.push("team/app", "1")

    with pytest.raises(TagNotFound):
        await adapter.delete_tag("team/app", "2")


# Access


async def test_access_opens_what_it_is_for(stage: Stage, adapter: Adapter) -> None:
    digest = await stage.push("team/app", "1")

    access = await adapter.issue_access(_scopes("team/app", Action.PULL))

    async with HttpClient() as http:
        client = RegistryClient(_url(stage, access), http=http, authorizer=_Given(access))
        found = await client.head_manifest("team/app", "1")
    assert found is not None
    assert str(found.digest) == digest


async def test_access_tells_the_way_even_without_scopes(stage: Stage, adapter: Adapter) -> None:
    assert _url(stage, await adapter.issue_access([])) == stage.registry_url


async def test_refused_access_is_not_handed_out_again(stage: Stage, adapter: Adapter) -> None:
    first = await adapter.issue_access(_scopes("team/app", Action.PULL))

    if first.kind is AccessKind.BASIC:
        with pytest.raises(RegistryCredentialRejected):
            await adapter.issue_access(_scopes("team/app", Action.PULL), rejected=first.authorization)
    else:
        second = await adapter.issue_access(_scopes("team/app", Action.PULL), rejected=first.authorization)
        assert second.authorization not in ("", first.authorization)
        assert (await adapter.issue_access(_scopes("team/app", Action.PULL))).authorization == second.authorization


@dataclass
class _Given:
    """Authorizes with what was handed out, as a worker does."""

    access: Access

    async def authorize(self, scopes: object, *, rejected: str | None = None) -> str:
        return self.access.authorization


async def _pushed(stage: Stage, adapter: Adapter, repository: str) -> None:
    access = await adapter.issue_access(_scopes(repository, Action.PULL, Action.PUSH))
    built = an_image((16,), seed=9)
    async with HttpClient() as http:
        client = RegistryClient(_url(stage, access), http=http, authorizer=_Given(access))
        for digest, blob in built.blobs.items():
            session = await client.start_upload(repository)
            await client.put_blob(session, Digest.parse(digest), b"".join(blob.pieces()))
        await client.put_manifest(repository, "pushed", parse_manifest(built.manifest, built.media_type))
        assert await client.head_manifest(repository, "pushed")


def _url(stage: Stage, access: Access) -> str:
    return access.url or stage.endpoint.url


def _scopes(repository: str, *actions: Action) -> list[RepositoryScope]:
    return [RepositoryScope(repository=repository, actions=frozenset(actions))]
