"""The fake registry asks who is there: challenges, tokens, scopes, and their end."""

import re
from collections.abc import AsyncIterator
from functools import partial

import aiohttp
import pytest

from oci_client.testing import Action, BasicAuth, BearerAuth, FakeRegistry, Match, an_image
from tests.integration.oci_testing.whole_replies import http_client

USER = {"Authorization": aiohttp.encode_basic_auth("robot", "secret")}
bearer = partial(BearerAuth, username="robot", password="secret")


@pytest.fixture
async def http() -> AsyncIterator[aiohttp.ClientSession]:
    async with http_client() as session:
        yield session


async def token_for(
    http: aiohttp.ClientSession, registry: FakeRegistry, *scopes: str, caller: dict[str, str] = USER
) -> dict[str, str]:
    """An Authorization header with a token for the scopes."""
    params = [("service", "fake-registry"), *(("scope", scope) for scope in scopes)]
    response = await http.get(f"{registry.url}/token", params=params, headers=caller)
    return {"Authorization": f"Bearer {(await response.json())['token']}"}


def challenge_of(response: aiohttp.ClientResponse) -> dict[str, str]:
    return dict(re.findall(r'(\w+)="([^"]*)"', response.headers["WWW-Authenticate"]))


async def test_basic_asks_for_the_password(http: aiohttp.ClientSession) -> None:
    async with FakeRegistry(auth=BasicAuth(username="robot", password="secret")) as registry:
        refused = await http.get(f"{registry.url}/v2/")
        assert (refused.status, refused.headers["WWW-Authenticate"]) == (401, 'Basic realm="fake registry"')
        assert (await http.get(f"{registry.url}/v2/", headers=USER)).status == 200


async def test_a_challenge_names_all_that_a_mount_needs(http: aiohttp.ClientSession) -> None:
    async with FakeRegistry(auth=bearer()) as registry:
        response = await http.post(f"{registry.url}/v2/app/blobs/uploads/?mount=sha256:0&from=base")
        challenge = challenge_of(response)
        assert challenge["realm"] == f"{registry.url}/token"
        assert challenge["scope"] == "repository:app:pull,push repository:base:pull"


async def test_a_token_opens_what_it_was_issued_for(http: aiohttp.ClientSession) -> None:
    async with FakeRegistry(auth=bearer()) as registry:
        registry.push_image("app", "v1")
        registry.push_image("other", "v1")
        headers = await token_for(http, registry, "repository:app:pull")
        assert (await http.get(f"{registry.url}/v2/app/tags/list", headers=headers)).status == 200
        refused = await http.get(f"{registry.url}/v2/other/tags/list", headers=headers)
        assert (refused.status, challenge_of(refused)["error"]) == (401, "insufficient_scope")


async def test_a_mount_needs_to_read_where_it_mounts_from(http: aiohttp.ClientSession) -> None:
    async with FakeRegistry(auth=bearer()) as registry:
        image = an_image()
        registry.push("base", image, "v1")
        url = f"{registry.url}/v2/app/blobs/uploads/?mount={image.layers[0]}&from=base"
        some = await token_for(http, registry, "repository:app:pull,push")
        both = await token_for(http, registry, "repository:app:pull,push", "repository:base:pull")
        assert [(await http.post(url, headers=headers)).status for headers in (some, both)] == [401, 201]


@pytest.mark.parametrize("auth", [bearer(uses_per_token=1), bearer(expires_in_s=0)])
async def test_a_token_comes_to_its_end(http: aiohttp.ClientSession, auth: BearerAuth) -> None:
    async with FakeRegistry(auth=auth) as registry:
        headers = await token_for(http, registry)
        await http.get(f"{registry.url}/v2/", headers=headers)
        refused = await http.get(f"{registry.url}/v2/", headers=headers)
        assert (refused.status, challenge_of(refused)["error"]) == (401, "invalid_token")


async def test_revoked_tokens_open_nothing(http: aiohttp.ClientSession) -> None:
    auth = bearer()
    async with FakeRegistry(auth=auth) as registry:
        headers = await token_for(http, registry)
        auth.revoke_tokens()
        assert (await http.get(f"{registry.url}/v2/", headers=headers)).status == 401


async def test_strangers_may_pull_when_allowed(http: aiohttp.ClientSession) -> None:
    async with FakeRegistry(auth=bearer(anonymous_pull=True)) as registry:
        registry.push_image("app", "v1")
        headers = await token_for(http, registry, "repository:app:pull,push", caller={})
        assert (await http.get(f"{registry.url}/v2/app/tags/list", headers=headers)).status == 200
        assert (await http.post(f"{registry.url}/v2/app/blobs/uploads/", headers=headers)).status == 401


async def test_nothing_is_granted_for_a_forbidden_repository(http: aiohttp.ClientSession) -> None:
    async with FakeRegistry(auth=bearer(forbidden=frozenset({"app"}))) as registry:
        headers = await token_for(http, registry, "repository:app:pull")
        assert (await http.get(f"{registry.url}/v2/app/tags/list", headers=headers)).status == 401


async def test_a_wrong_password_gets_no_token(http: aiohttp.ClientSession) -> None:
    async with FakeRegistry(auth=bearer()) as registry:
        wrong = {"Authorization": aiohttp.encode_basic_auth("robot", "wrong")}
        response = await http.get(f"{registry.url}/token", headers=wrong)
        assert response.status == 401


async def test_oauth2_is_for_refresh_tokens_only(http: aiohttp.ClientSession) -> None:
    form = {"grant_type": "refresh_token", "refresh_token": "r", "scope": "repository:app:pull"}
    async with FakeRegistry(auth=bearer(refresh_token="r")) as knows, FakeRegistry(auth=bearer()) as does_not:
        statuses = [(await http.post(f"{one.url}/token", data=form)).status for one in (knows, does_not)]
        assert statuses == [200, 405]


async def test_a_refused_request_counts_for_no_rule(http: aiohttp.ClientSession) -> None:
    async with FakeRegistry(auth=bearer()) as registry:
        registry.fail_next(503, match=Match(action=Action.PING))
        assert (await http.get(f"{registry.url}/v2/")).status == 401
        headers = await token_for(http, registry)
        assert (await http.get(f"{registry.url}/v2/", headers=headers)).status == 503
