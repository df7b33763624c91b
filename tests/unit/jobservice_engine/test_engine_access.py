"""One value for a repository, fetched once, renewed ahead of its end."""

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime

import pytest

from jobservice.access import RENEW_AHEAD_S, SHARED_VALUE_TTL_S, AccessAuthorizer
from jobservice.engine.backoff import AccessRefused
from jobservice.gateways import Access, AccessKind, RepositoryScope
from jobservice.registries import Registries
from oci_client.auth import pull_scope, push_scope
from oci_client.gate import Action
from service_kit.errors import DOMAIN, Kind, RemoteError, ServiceError
from service_kit.secret import Secret

PULL = frozenset({pull_scope("library/app")})
PUSH = frozenset({push_scope("library/app")})


class Issuer:
    """Gives out `Bearer 1`, `Bearer 2` and so on."""

    def __init__(self, kind: AccessKind = AccessKind.BEARER, expires_at: float = 1000.0) -> None:
        self.kind = kind
        self.expires_at = expires_at
        self.asked: list[tuple[list[RepositoryScope], str]] = []
        self.failure: ServiceError | None = None

    async def issue_access(self, registry: str, scopes: Sequence[RepositoryScope], rejected: str = "") -> Access:
        self.asked.append((list(scopes), rejected))
        await asyncio.sleep(0)
        if self.failure is not None:
            raise self.failure
        return Access(
            registry_uid="uid",
            type="native",
            max_bytes_per_second=0,
            url="http://127.0.0.1:1",
            insecure=False,
            ca_certificate="",
            kind=self.kind,
            authorization=Secret(f"Bearer {len(self.asked)}"),
            expires_at=datetime.fromtimestamp(self.expires_at, UTC),
        )


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


async def test_many_askers_share_one_value(clock: Clock) -> None:
    issuer = Issuer()
    authorizer = AccessAuthorizer("registries/r", issuer, clock=clock)

    values = await asyncio.gather(*(authorizer.authorize(PULL) for _ in range(50)))

    assert set(values) == {"Bearer 1"}
    assert len(issuer.asked) == 1


async def test_one_value_serves_all_that_the_job_does_in_a_repository(clock: Clock) -> None:
    issuer = Issuer()
    authorizer = AccessAuthorizer("registries/r", issuer, clock=clock)
    authorizer.widen("library/app", ["pull", "push"])

    assert await authorizer.authorize(PULL) == await authorizer.authorize(PUSH) == "Bearer 1"


async def test_a_value_is_renewed_ahead_of_its_end(clock: Clock) -> None:
    authorizer = AccessAuthorizer("registries/r", Issuer(expires_at=1000), clock=clock)
    await authorizer.authorize(PULL)

    clock.now = 1000 - RENEW_AHEAD_S - 1
    assert await authorizer.authorize(PULL) == "Bearer 1"
    clock.now = 1000 - RENEW_AHEAD_S
    assert await authorizer.authorize(PULL) == "Bearer 2"


async def test_a_rejected_value_is_replaced_once_for_all(clock: Clock) -> None:
    issuer = Issuer()
    authorizer = AccessAuthorizer("registries/r", issuer, clock=clock)
    await authorizer.authorize(PULL)

    values = [await authorizer.authorize(PULL, rejected="Bearer 1") for _ in range(5)]

    assert set(values) == {"Bearer 2"}
    assert [rejected for _, rejected in issuer.asked] == ["", "Bearer 1"]


async def test_a_value_for_everything_is_shared_by_all_repositories(clock: Clock) -> None:
    issuer = Issuer(AccessKind.BASIC)
    authorizer = AccessAuthorizer("registries/r", issuer, clock=clock)
    for name in ("a", "b", "c"):
        assert await authorizer.authorize(frozenset({pull_scope(name)})) == "Bearer 1"

    clock.now = SHARED_VALUE_TTL_S
    assert await authorizer.authorize(PULL) == "Bearer 2"


async def test_a_refusal_keeps_its_reason(clock: Clock) -> None:
    issuer = Issuer()
    issuer.failure = RemoteError.of(
        Kind.UNAVAILABLE, message="The registry does not answer.", reason="REGISTRY_UNREACHABLE", domain=DOMAIN
    )
    with pytest.raises(AccessRefused) as caught:
        await AccessAuthorizer("registries/r", issuer, clock=clock).authorize(PULL)

    assert (caught.value.reason, caught.value.retryable) == ("REGISTRY_UNREACHABLE", True)


async def test_a_registry_has_one_endpoint_and_hears_of_holds() -> None:
    told: list[tuple[str, float]] = []
    registries = Registries(Issuer(), on_hold=lambda uid, seconds: told.append((uid, seconds)))
    async with registries.use("registries/r", "a", "pull") as one, registries.use("registries/r", "b", "pull") as two:
        assert one is two
        registries.hold("another", 60)
        async with asyncio.timeout(1), one.gate.slot(Action.PING):
            pass
        registries.hold("uid", 60)
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.05), one.gate.slot(Action.PING):
                pass
    assert told == []
    await registries.close()
