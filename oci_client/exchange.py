"""One request to a registry: authorized, let through the gate, and tried once more with a fresh token."""

import json
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import quote, urlencode, urlsplit, urlunsplit

from oci_client.answers import registry_error, without_query
from oci_client.auth import Authorizer, ChallengeTaker, Scope
from oci_client.challenge import parse_challenges
from oci_client.digest import Digest
from oci_client.errors import InvalidDigest, OciError, UnexpectedAnswer
from oci_client.gate import Action, Gate
from oci_client.gated_http import GatedHttp
from oci_client.headers import Headers
from oci_client.http import MAX_JSON_BYTES, Answer, Content, HttpClient, StreamedAnswer, join, read_answer, same_origin
from oci_client.reference import RepositoryName

NO_SCOPES: frozenset[Scope] = frozenset()


class Exchange:
    """Sends requests to one registry. Every status but 401 comes back to the caller."""

    def __init__(self, base_url: str, *, http: HttpClient, authorizer: Authorizer, gate: Gate | None) -> None:
        self._base_url = base_url.rstrip("/")
        self._http = GatedHttp(http, gate)
        self._authorizer = authorizer

    def url(self, path: str, **query: str | int) -> str:
        """Return the URL of `path` below `/v2/`; a path prefix of the registry's own URL is kept."""
        return with_query(f"{self._base_url}/v2/{path}", query.items())

    def repository_url(self, repository: str, path: str, **query: str | int) -> str:
        """Return the URL of something in a repository; raises InvalidReference for a name that is none."""
        return self.url(f"{RepositoryName.parse(repository)}/{path}", **query)

    async def request(
        self,
        action: Action,
        method: str,
        url: str,
        *,
        scopes: Iterable[Scope] = NO_SCOPES,
        headers: Mapping[str, str] | None = None,
        content: Content | None = None,
        max_body: int = MAX_JSON_BYTES,
    ) -> Answer:
        """Send a request and return its whole answer. Raises Unauthorized."""
        async with self.stream(action, method, url, scopes=scopes, headers=headers, content=content) as answer:
            return await read_answer(answer, max_body)

    @asynccontextmanager
    async def stream(
        self,
        action: Action,
        method: str,
        url: str,
        *,
        scopes: Iterable[Scope] = NO_SCOPES,
        headers: Mapping[str, str] | None = None,
        content: Content | None = None,
    ) -> AsyncIterator[StreamedAnswer]:
        """Send a request and hand out its answer. Raises Unauthorized."""
        wanted = frozenset(scopes)
        # Locations may lead to another host, such as object storage, that must not see our token.
        is_ours = same_origin(url, self._base_url)
        value = await self._authorizer.authorize(wanted) if is_ours else None
        async with self._http.stream(action, method, url, headers=_headers(headers, value), content=content) as answer:
            if answer.status != 401:
                yield answer
                return
            refusal = await read_answer(answer, 0)
        # Also for a stream that cannot be sent again: the caller's next try must not meet the refused token.
        renewed = await self._renew(refusal, wanted, value) if is_ours else None
        if renewed is None or renewed == value or not _is_replayable(content):
            raise refused(method, refusal)
        async with self._http.stream(
            action, method, url, headers=_headers(headers, renewed), content=content
        ) as answer:
            if answer.status == 401:
                raise refused(method, await read_answer(answer, 0))
            yield answer

    async def _renew(self, refusal: Answer, scopes: frozenset[Scope], rejected: str | None) -> str | None:
        if isinstance(self._authorizer, ChallengeTaker):
            self._authorizer.challenged(parse_challenges(refusal.headers.all("www-authenticate")))
        return await self._authorizer.authorize(scopes, rejected=rejected)


def refused(method: str, answer: Answer) -> OciError:
    """Return the error for an answer that is not what the caller can use."""
    if answer.status < 400:
        return UnexpectedAnswer(f"{method} {without_query(answer.url)}: did not expect status {answer.status}")
    return registry_error(method, answer.url, answer.status, answer.headers, answer.body)


def json_object(answer: Answer) -> Mapping[str, Any]:
    """Return the JSON object in an answer, or raise UnexpectedAnswer."""
    try:
        document = json.loads(answer.body)
    except (ValueError, RecursionError) as exc:
        raise UnexpectedAnswer(f"{without_query(answer.url)}: the answer is not JSON") from exc
    if not isinstance(document, dict):
        raise UnexpectedAnswer(f"{without_query(answer.url)}: the answer is not a JSON object")
    return document


def content_digest(headers: Headers) -> Digest | None:
    """Return the Docker-Content-Digest, None when it is missing or unusable; old servers leave it out."""
    try:
        return Digest.parse(headers.get("docker-content-digest"))
    except InvalidDigest:
        return None


def location(answer: Answer) -> str:
    """Return the Location of an answer as an absolute URL, its query untouched. Raises UnexpectedAnswer."""
    value = answer.headers.get("location")
    if not value:
        raise UnexpectedAnswer(f"{without_query(answer.url)}: the answer has no Location")
    return resolve(answer.url, value)


def resolve(request_url: str, target: str) -> str:
    """Resolve `target`. A registry behind a TLS proxy may write http for its own host: we stay on TLS."""
    resolved, request = urlsplit(join(request_url, target)), urlsplit(request_url)
    if request.scheme == "https" and resolved.scheme == "http" and request.hostname == resolved.hostname:
        resolved = resolved._replace(scheme=request.scheme, netloc=request.netloc)
    return urlunsplit(resolved)


def with_query(url: str, items: Iterable[tuple[str, str | int]]) -> str:
    """Append parameters; what is there stays byte for byte."""
    added = urlencode(list(items), quote_via=quote)
    if not added:
        return url
    return f"{url}{'&' if '?' in url else '?'}{added}"


def _headers(headers: Mapping[str, str] | None, authorization: str | None) -> dict[str, str]:
    return {**(headers or {}), **({"Authorization": authorization} if authorization else {})}


def _is_replayable(content: Content | None) -> bool:
    return content is None or isinstance(content, bytes)
