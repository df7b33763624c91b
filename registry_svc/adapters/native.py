"""The adapter for any registry that speaks the distribution specification; others are made of the same parts."""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Collection, Sequence
from contextlib import aclosing, suppress
from datetime import UTC, datetime
from typing import Final

from oci_client.answers import registry_error
from oci_client.auth import Authorization, AuthorizationKind, Scope
from oci_client.challenge_authorizer import ChallengeAuthorizer
from oci_client.client import RegistryClient
from oci_client.errors import Denied, NotFound, RegistryError, Unauthorized, UnexpectedAnswer, Unsupported
from oci_client.media_types import essence
from registry_svc.adapters.base import (
    NO_ACCESS,
    Access,
    AccessKind,
    AdapterType,
    Info,
    Listing,
    Preparation,
    Query,
    RepositoryScope,
)
from registry_svc.adapters.border import registry_errors
from registry_svc.adapters.connection import credential_of, open_http
from registry_svc.adapters.creation import CreationTimes
from registry_svc.adapters.listing import RepositoryLister
from registry_svc.adapters.native_source import NativeSource
from registry_svc.adapters.retries import Retries, Sleep
from registry_svc.adapters.tag_deletion import TagDeletion
from registry_svc.domain.errors import CatalogUnsupported, RegistryCredentialRejected
from registry_svc.domain.registry import Endpoint

_PROBED_TAG: Final = "latest"  # whether it exists does not matter
_NO_SCOPES: Final[frozenset[Scope]] = frozenset()


class NativeAdapter:
    """Speaks to one registry by `oci_client`."""

    def __init__(self, endpoint: Endpoint, *, sleep: Sleep = asyncio.sleep) -> None:
        self._endpoint = endpoint
        self._sleep = sleep
        self._http = open_http(endpoint)
        self._authorizer = ChallengeAuthorizer(self._http, endpoint.url, credential_of(endpoint))
        self._client = RegistryClient(endpoint.url, http=self._http, authorizer=self._authorizer)
        self._times = CreationTimes(self._client)
        self._challenge_is_known = False
        self._tried: str | None = None

    def info(self) -> Info:
        # Distribution notifies, and what is not configured to do so merely stays silent.
        return Info(description="A registry that speaks the OCI distribution specification.", sends_events=True)

    async def health_check(self) -> None:
        await self._check(self._ping)

    async def prove_credential(self) -> None:
        """As health_check, with patience; for products whose own API takes a wrong credential for none."""
        await self._check(lambda: Retries(self._sleep).run(self._ping))

    async def list_artifacts(self, query: Query) -> AsyncGenerator[Listing, None]:
        source = NativeSource(self._client, self._times, Retries(self._sleep))
        lister = RepositoryLister(source, query, now=datetime.now(UTC))
        with registry_errors(self._endpoint):
            try:
                async with aclosing(lister.batches()) as batches:
                    async for batch in batches:
                        yield batch
            except (NotFound, Unsupported) as error:
                raise CatalogUnsupported(registry=self._endpoint.registry) from error
            except (Unauthorized, Denied) as error:
                # A wrong credential, or a good one that does not open the catalog: the check tells them apart.
                await self.health_check()
                raise CatalogUnsupported(registry=self._endpoint.registry) from error

    async def prepare(self, repositories: Sequence[str], *, public: bool, validate_only: bool) -> Preparation:  # noqa: ARG002 - an Adapter
        """All are ready: by the specification a repository begins with the first push into it."""
        return Preparation()

    async def delete_tag(self, repository: str, tag: str, *, along: Collection[str] = ()) -> None:
        with registry_errors(self._endpoint):
            await TagDeletion(self._client, repository, tag, Retries(self._sleep), along=along).run()

    async def issue_access(self, scopes: Sequence[RepositoryScope], *, rejected: str = "") -> Access:
        if not scopes:
            return NO_ACCESS
        wanted = frozenset(Scope(name=each.repository, actions=frozenset(each.actions)) for each in scopes)
        with registry_errors(self._endpoint):
            access = _access(await self._issue(wanted, scopes[0].repository, rejected or None))
        if rejected and access.authorization == rejected:
            # A password: there is no other to hand out.
            raise RegistryCredentialRejected(url=self._endpoint.url)
        return access

    async def aclose(self) -> None:
        await self._http.aclose()

    async def _issue(self, wanted: frozenset[Scope], repository: str, rejected: str | None) -> Authorization | None:
        authorization = await self._authorizer.issue(wanted, rejected=rejected)
        if authorization is None and not self._challenge_is_known:
            # Some let everybody see /v2/ and challenge at the repository: ask there, once, and let it be learned.
            with suppress(RegistryError):
                await self._client.head_manifest(repository, _PROBED_TAG)
            self._challenge_is_known = True
            authorization = await self._authorizer.issue(wanted, rejected=rejected)
        return authorization

    async def _check(self, ping: Callable[[], Awaitable[None]]) -> None:
        with registry_errors(self._endpoint):
            try:
                await ping()
            except (Unauthorized, Denied):
                # Without a credential that is how a registry speaks which wants one for everything.
                if self._endpoint.credential is not None:
                    raise

    async def _ping(self) -> None:
        url = f"{self._endpoint.url}/v2/"
        # A token from memory would say nothing of the credential.
        authorization = await self._authorizer.issue(_NO_SCOPES, rejected=self._tried)
        self._tried = authorization.value if authorization else None
        headers = {"Authorization": authorization.value} if authorization else {}
        answer = await self._http.request("GET", url, headers=headers)
        if answer.status >= 400:
            raise registry_error("GET", url, answer.status, answer.headers, answer.body)
        # Web servers and login pages answer anything with a page.
        if answer.status != 200 or essence(answer.headers.get("content-type")) == "text/html":
            raise UnexpectedAnswer(f"GET {url}: {answer.status} with something that is not a registry's answer")


def _access(authorization: Authorization | None) -> Access:
    if authorization is None:
        return NO_ACCESS
    kind = AccessKind.BASIC if authorization.kind is AuthorizationKind.BASIC else AccessKind.BEARER
    expires_at = authorization.expires_at
    return Access(
        kind=kind,
        authorization=authorization.value,
        expire_time=None if expires_at is None else datetime.fromtimestamp(expires_at, UTC),
    )


DOCKER_REGISTRY: Final = AdapterType(
    type="docker-registry",
    description="Any registry that speaks the OCI distribution specification, such as distribution or zot.",
    url_pattern="https://registry.example.com[:port][/path]",
    open=NativeAdapter,
    username_hint="User name, or the name of a robot or token.",
    password_hint="Password or token.",  # noqa: S106 - a hint, not a password
)
