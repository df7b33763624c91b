"""Challenges and tokens, against a registry with a token service that counts."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import pytest
from aiohttp import web

from oci_client.auth import AuthorizationKind, Credential, Scope, catalog_scope, pull_scope, push_scope
from oci_client.challenge_authorizer import ChallengeAuthorizer
from oci_client.client import RegistryClient
from oci_client.digest import Digest
from oci_client.errors import RegistryError, ServerFault, Unauthorized, UnexpectedAnswer
from oci_client.http import HttpClient
from oci_client.tokens import MAX_TOKENS
from oci_client.uploads import UploadSession
from tests.integration.oci_client.small_servers import serving

PULL = frozenset({pull_scope("some/repo")})
CREDENTIAL = Credential(username="user", password="pa:ss")


@dataclass
class Clock:
    now: float = 1_000_000.0

    def __call__(self) -> float:
        return self.now


@dataclass
class TokenRegistry:
    """Takes the newest token only. The fields say how it behaves."""

    open_ping: bool = False
    answer: dict[str, object] = field(default_factory=dict)
    status: int = 200
    ping_status: int | None = None
    realm: str = "/token?own=1"
    pings: int = 0
    fetches: list[web.BaseRequest] = field(default_factory=list)
    valid: set[str] = field(default_factory=set)
    release: asyncio.Event = field(default_factory=asyncio.Event)
    asked: asyncio.Event = field(default_factory=asyncio.Event)
    url: str = ""

    def __post_init__(self) -> None:
        self.release.set()

    async def handle(self, request: web.BaseRequest) -> web.Response:
        if request.path == "/token":
            return await self._issue(request)
        if request.path == "/v2/":
            self.pings += 1
            if self.ping_status or self.open_ping:
                return web.Response(status=self.ping_status or 200)
        if request.headers.get("Authorization") in self.valid:
            await request.read()
            return web.json_response({"tags": []}, status=201 if request.method == "PUT" else 200)
        challenge = f'Basic realm="x", Bearer realm="{self.realm}",service="a, b"'
        return web.Response(status=401, headers={"WWW-Authenticate": challenge})

    async def _issue(self, request: web.BaseRequest) -> web.Response:
        self.fetches.append(request)
        self.asked.set()
        await self.release.wait()
        token = f"t{len(self.fetches)}"
        self.valid = {f"Bearer {token}"}
        return web.json_response({"token": token, **self.answer}, status=self.status)


@asynccontextmanager
async def running(registry: TokenRegistry) -> AsyncIterator[TokenRegistry]:
    async with serving(registry.handle) as server:
        registry.url = server.url
        yield registry


@pytest.fixture
async def http() -> AsyncIterator[HttpClient]:
    async with HttpClient() as client:
        yield client


@pytest.fixture
async def registry() -> AsyncIterator[TokenRegistry]:
    async with running(TokenRegistry()) as registry:
        yield registry


async def test_a_token_is_asked_for_as_the_challenge_says(http: HttpClient, registry: TokenRegistry) -> None:
    authorizer = ChallengeAuthorizer(http, registry.url, CREDENTIAL)
    scopes = frozenset({push_scope("b/to"), pull_scope("a/from")})

    assert await authorizer.authorize(scopes) == "Bearer t1"

    (fetch,) = registry.fetches
    assert fetch.query.getall("scope") == ["repository:a/from:pull", "repository:b/to:pull,push"]
    assert (fetch.query["own"], fetch.query["service"]) == ("1", "a, b")
    assert fetch.headers["Authorization"] == CREDENTIAL.basic


async def test_without_a_credential_the_token_is_anonymous(http: HttpClient, registry: TokenRegistry) -> None:
    await ChallengeAuthorizer(http, registry.url).authorize(PULL)

    assert "Authorization" not in registry.fetches[0].headers


async def test_a_token_is_kept_a_scope_set_until_shortly_before_it_expires(
    http: HttpClient, registry: TokenRegistry
) -> None:
    clock = Clock()
    registry.answer = {"expires_in": 300, "issued_at": "1999-01-01T00:00:00Z"}
    authorizer = ChallengeAuthorizer(http, registry.url, clock=clock)

    first = await authorizer.issue(PULL)
    clock.now += 289
    assert await authorizer.issue(PULL) == first
    await authorizer.issue(frozenset({catalog_scope()}))
    clock.now += 2
    await authorizer.issue(PULL)

    assert first is not None
    assert (first.kind, first.expires_at) == (AuthorizationKind.BEARER, 1_000_300.0)
    assert (registry.pings, len(registry.fetches)) == (1, 3)


@pytest.mark.parametrize(
    ("answer", "lifetime"),
    [
        ({}, 60),
        ({"expires_in": 5}, 5),
        ({"expires_in": 0}, 60),
        ({"expires_in": "?"}, 60),
        ({"expires_in": None}, 60),
        ({"expires_in": float("nan")}, 60),
    ],
)
async def test_how_long_a_token_lives(
    http: HttpClient, registry: TokenRegistry, answer: dict[str, object], lifetime: float
) -> None:
    registry.answer = answer
    issued = await ChallengeAuthorizer(http, registry.url, clock=Clock()).issue(PULL)

    assert issued is not None
    assert issued.expires_at == 1_000_000.0 + lifetime


async def test_a_token_by_its_other_name(http: HttpClient, registry: TokenRegistry) -> None:
    registry.answer = {"token": "", "access_token": "other"}

    assert await ChallengeAuthorizer(http, registry.url).authorize(PULL) == "Bearer other"


@pytest.mark.parametrize("token", [None, "", 7, "a\r\nX-Evil: 1"])
async def test_no_usable_token(http: HttpClient, registry: TokenRegistry, token: object) -> None:
    registry.answer = {"token": token}

    with pytest.raises(UnexpectedAnswer):
        await ChallengeAuthorizer(http, registry.url).authorize(PULL)


async def test_a_refusal_of_the_token_service_is_told_and_not_remembered(
    http: HttpClient, registry: TokenRegistry
) -> None:
    authorizer = ChallengeAuthorizer(http, registry.url, CREDENTIAL)
    registry.status = 401
    with pytest.raises(Unauthorized) as caught:
        await authorizer.authorize(PULL)
    registry.status = 200

    assert await authorizer.authorize(PULL) == "Bearer t2"
    assert "scope" not in caught.value.url


async def test_many_askers_share_one_ping_and_one_fetch(http: HttpClient, registry: TokenRegistry) -> None:
    authorizer = ChallengeAuthorizer(http, registry.url)

    values = await asyncio.gather(*[authorizer.authorize(PULL) for _ in range(20)])

    assert set(values) == {"Bearer t1"}
    assert (registry.pings, len(registry.fetches)) == (1, 1)


async def test_an_asker_that_is_cancelled_leaves_the_others_alone(http: HttpClient, registry: TokenRegistry) -> None:
    authorizer = ChallengeAuthorizer(http, registry.url)
    registry.release.clear()
    first, second = [asyncio.create_task(authorizer.authorize(PULL)) for _ in range(2)]
    await registry.asked.wait()

    first.cancel()
    registry.release.set()

    assert await second == "Bearer t1"
    assert first.cancelled()


async def test_many_scopes_do_not_grow_the_memory_without_end(http: HttpClient, registry: TokenRegistry) -> None:
    authorizer = ChallengeAuthorizer(http, registry.url)
    for number in range(MAX_TOKENS + 1):
        await authorizer.authorize(frozenset({Scope(name=f"r{number}", actions=frozenset({"pull"}))}))

    await authorizer.authorize(frozenset({Scope(name="r0", actions=frozenset({"pull"}))}))

    assert len(registry.fetches) == MAX_TOKENS + 2


async def test_a_revoked_token_is_replaced_once(http: HttpClient, registry: TokenRegistry) -> None:
    client = RegistryClient(registry.url, http=http, authorizer=ChallengeAuthorizer(http, registry.url))
    assert [page async for page in client.tags("some/repo")] == [[]]
    registry.valid.clear()

    assert [page async for page in client.tags("some/repo")] == [[]]
    assert len(registry.fetches) == 2


async def test_a_registry_that_challenges_only_at_the_repository(http: HttpClient) -> None:
    async with running(TokenRegistry(open_ping=True)) as registry:
        client = RegistryClient(registry.url, http=http, authorizer=ChallengeAuthorizer(http, registry.url))

        assert [page async for page in client.tags("some/repo")] == [[]]
        assert [page async for page in client.tags("some/repo")] == [[]]

    assert (registry.pings, len(registry.fetches)) == (1, 1)


async def test_a_failed_ping_decides_nothing(http: HttpClient, registry: TokenRegistry) -> None:
    authorizer = ChallengeAuthorizer(http, registry.url)
    registry.ping_status = 503
    with pytest.raises(ServerFault):
        await authorizer.authorize(PULL)
    registry.ping_status = None

    assert await authorizer.authorize(PULL) == "Bearer t1"


async def test_no_ping_to_be_found_means_no_authorization_yet(http: HttpClient, registry: TokenRegistry) -> None:
    registry.ping_status = 404

    assert await ChallengeAuthorizer(http, registry.url, CREDENTIAL).issue(PULL) is None


async def test_a_token_service_elsewhere(http: HttpClient) -> None:
    async with running(TokenRegistry()) as service, running(TokenRegistry(realm=f"{service.url}/token")) as registry:
        assert await ChallengeAuthorizer(http, registry.url).authorize(PULL) == "Bearer t1"

    assert (len(service.fetches), len(registry.fetches)) == (1, 0)


@pytest.mark.parametrize("realm", ["", "file:///etc/passwd", "http://host:notaport/"])
async def test_a_realm_that_is_none(http: HttpClient, realm: str) -> None:
    async with running(TokenRegistry(realm=realm)) as registry:
        with pytest.raises(UnexpectedAnswer):
            await ChallengeAuthorizer(http, registry.url).authorize(PULL)


async def test_insufficient_rights_end_after_one_more_try(http: HttpClient) -> None:
    async with running(TokenRegistry(answer={"token": "powerless"})) as registry:
        client = RegistryClient(registry.url, http=http, authorizer=ChallengeAuthorizer(http, registry.url))
        with pytest.raises(RegistryError) as caught:
            await client.get_manifest("some/repo", "v1")

    assert caught.value.status == 401
    assert len(registry.fetches) == 2


async def test_a_stream_is_not_sent_again_but_the_next_one_has_a_new_token(
    http: HttpClient, registry: TokenRegistry
) -> None:
    async def content() -> AsyncIterator[bytes]:
        yield b"{}"

    client = RegistryClient(registry.url, http=http, authorizer=ChallengeAuthorizer(http, registry.url))
    session = UploadSession(repository="some/repo", url=f"{registry.url}/session")
    await client.put_blob(session, Digest.of(b"{}"), content(), size=2)
    registry.valid.clear()

    with pytest.raises(Unauthorized):
        await client.put_blob(session, Digest.of(b"{}"), content(), size=2)
    await client.put_blob(session, Digest.of(b"{}"), content(), size=2)

    assert len(registry.fetches) == 2
