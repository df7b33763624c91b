"""The part of Docker Hub's API that replication needs, at https://hub.docker.com.

It is another host than the registry's, with tokens and limits of its own.
"""

import time
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import aclosing
from typing import Any, Final
from urllib.parse import quote

from oci_client.answers import without_query
from oci_client.auth import Credential
from oci_client.errors import EndlessPaging, NotFound, UnexpectedAnswer
from oci_client.exchange import json_object
from oci_client.headers import whole_number
from oci_client.http import Answer, HttpClient
from oci_client.singleflight import SingleFlight
from registry_svc.adapters.rest import MAX_PAGES, JsonApi, known_digest, objects, text
from registry_svc.adapters.retries import MAX_DELAY_S, Sleep
from registry_svc.adapters.source import Artifact, Repository
from registry_svc.adapters.times import parse_time

PAGE_SIZE: Final = 100  # more is cut to that
TOKEN_LIFETIME_S: Final = 540.0  # the API does not tell; they are good for ten minutes and renewed a minute before


_TOKEN_PATH: Final = "/v2/auth/token"  # noqa: S105 - where tokens come from


class NoAuthorization:
    """Sends none."""

    async def value(self, *, rejected: str | None = None) -> str | None:  # noqa: ARG002 - an Authorization
        return None


class HubTokens:
    """Tokens of the API, made of the credential. Many askers at once cost one request."""

    def __init__(self, http: HttpClient, url: str, credential: Credential | None) -> None:
        self._api = JsonApi(http, url, NoAuthorization())
        self._credential = credential
        self._value = ""
        self._renew_at = 0.0
        self._logins: SingleFlight[str, str] = SingleFlight()

    async def value(self, *, rejected: str | None = None) -> str | None:
        """The value of the header; None without a credential, which is enough for what is public.

        Raises:
            Unauthorized: Hub refuses the credential.
        """
        credential = self._credential
        if credential is None:
            return None
        if self._value not in ("", rejected) and time.monotonic() < self._renew_at:
            return self._value
        return await self._logins.run(credential.username, lambda: self._log_in(credential))

    async def _log_in(self, credential: Credential) -> str:
        asked_at = time.monotonic()
        document = {"identifier": credential.username, "secret": credential.password}
        token = json_object(await self._api.send("POST", _TOKEN_PATH, document=document)).get("access_token")
        # A line break in it would let the answer write headers of ours.
        if not isinstance(token, str) or not token or not token.isascii() or not token.isprintable():
            raise UnexpectedAnswer(f"{_TOKEN_PATH} answers without a token")
        self._value, self._renew_at = f"Bearer {token}", asked_at + TOKEN_LIFETIME_S
        return self._value


class DockerHubApi:
    """Asks Docker Hub. Nothing is retried here, but a quota that is used up is waited for."""

    def __init__(self, http: HttpClient, url: str, credential: Credential | None, sleep: Sleep) -> None:
        self._tokens = HubTokens(http, url, credential)
        self._api = JsonApi(http, url, self._tokens)
        self._sleep = sleep
        self._quota_returns_at = 0.0  # seconds since the epoch, as Hub tells it

    async def log_in(self) -> None:
        """Returns when Hub takes the credential, or there is none. Raises Unauthorized."""
        await self._tokens.value()

    async def own_namespaces(self) -> list[str]:
        """The user's own, and those of the organisations that it is a member of. Raises Unauthorized."""
        answer = await self._get("/v2/repositories/namespaces")
        names = json_object(answer).get("namespaces") or []
        if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
            raise UnexpectedAnswer(f"{without_query(answer.url)}: namespaces is not a list of names")
        return names

    async def has_organisation(self, name: str) -> bool:
        try:
            await self._get(f"/v2/orgs/{quote(name, safe='')}/")
        except NotFound:
            return False
        return True

    async def repositories(self, namespace: str) -> AsyncGenerator[list[Repository], None]:
        """Those that are shown to us. Raises NotFound for a namespace that does not exist."""
        async with aclosing(self._pages(_namespace(namespace))) as pages:
            async for items, answer in pages:
                yield [_repository(namespace, item, answer) for item in items]

    async def artifacts(self, repository: str) -> AsyncGenerator[list[Artifact], None]:
        """Raises NotFound when the repository is not there, or not shown to us."""
        async with aclosing(self._pages(f"{_path(repository)}/tags")) as pages:
            async for items, answer in pages:
                yield [_artifact(item, answer) for item in items]

    async def artifact(self, repository: str, tag: str) -> list[Artifact]:
        """What the tag stands for; nothing when it is not there."""
        try:
            answer = await self._get(f"{_path(repository)}/tags/{quote(tag, safe='')}")
        except NotFound:
            return []
        return [_artifact(json_object(answer), answer)]

    async def delete_tag(self, repository: str, tag: str) -> None:
        """Deletes the tag alone. Raises NotFound."""
        # The one request here that Hub's reference does not have; its own pages send it.
        await self._send("DELETE", f"/v2/repositories/{quote(repository)}/tags/{quote(tag, safe='')}/")

    async def has_repository(self, repository: str) -> bool:
        try:
            await self._get(_path(repository))
        except NotFound:
            return False
        return True

    async def create_repository(self, repository: str, *, public: bool) -> None:
        """Raises a RegistryError when Hub does not want it, such as for want of a plan with more private ones."""
        namespace, _, name = repository.partition("/")
        body = {"namespace": namespace, "name": name, "registry": "docker.io", "is_private": not public}
        await self._send("POST", _namespace(namespace), document=body)

    async def _pages(self, path: str) -> AsyncGenerator[tuple[Sequence[Mapping[str, Any]], Answer], None]:
        """Counted by ourselves: the address of the next page that Hub gives is not trusted with our token."""
        previous = b""
        for page in range(1, MAX_PAGES + 1):
            try:
                answer = await self._get(path, page=page, page_size=PAGE_SIZE)
            except NotFound:
                if page > 1:  # what was on it has been deleted meanwhile
                    return
                raise
            found = json_object(answer)
            items = objects(found.get("results"), answer)
            if items and answer.body == previous:
                raise EndlessPaging(f"{path}: page {page} is the page before it")
            yield items, answer
            if not items or not found.get("next"):
                return
            previous = answer.body
        raise EndlessPaging(f"{path}: more than {MAX_PAGES} pages")

    async def _get(self, path: str, **query: str | int) -> Answer:
        return await self._send("GET", path, **query)

    async def _send(self, method: str, path: str, *, document: object = None, **query: str | int) -> Answer:
        left_s = self._quota_returns_at - time.time()
        if 0 < left_s <= MAX_DELAY_S:
            await self._sleep(left_s)
        answer = await self._api.send(method, path, query=query, document=document)
        if whole_number(answer.headers.get("x-ratelimit-remaining")) == 0:
            self._quota_returns_at = float(whole_number(answer.headers.get("x-ratelimit-reset")) or 0)
        return answer


def _namespace(name: str) -> str:
    return f"/v2/namespaces/{quote(name, safe='')}/repositories"


def _path(repository: str) -> str:
    namespace, _, name = repository.partition("/")
    return f"{_namespace(namespace)}/{quote(name, safe='')}"


def _repository(namespace: str, item: Mapping[str, Any], answer: Answer) -> Repository:
    private = item.get("is_private")
    public = not private if isinstance(private, bool) else None
    return Repository(name=f"{namespace}/{text(item, 'name', answer)}", public=public)


def _artifact(item: Mapping[str, Any], answer: Answer) -> Artifact:
    """The digest is that of the tag alone: those of its images are other ones, also when there is just one image."""
    return Artifact(
        tag=text(item, "name", answer),
        digest=known_digest(item.get("digest")),
        create_time=parse_time(item.get("tag_last_pushed")) or parse_time(item.get("last_updated")),
    )
