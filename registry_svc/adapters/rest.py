"""The JSON API that a product has beside its registry."""

import json
from collections.abc import Mapping, Sequence
from typing import Any, Final, Protocol
from urllib.parse import quote, urlencode

from oci_client.answers import MAX_TEXT_CHARS, registry_error, without_query
from oci_client.digest import Digest
from oci_client.errors import ErrorDetail, InvalidDigest, RegistryError, UnexpectedAnswer
from oci_client.http import Answer, HttpClient

MAX_PAGES: Final = 10_000  # a million items; a list beyond that is broken or hostile

# Where products write what they have to say, when it is not in the form of the distribution specification.
_MESSAGE_FIELDS: Final = ("message", "detail")


class Authorization(Protocol):
    """Decides what to send to the API as Authorization."""

    async def value(self, *, rejected: str | None = None) -> str | None:
        """The header's value, None for no header. After a refusal, another one than was `rejected` if there is one."""
        ...


class JsonApi:
    """Sends requests below one base URL. Whatever is not a success is raised as an error of oci_client."""

    def __init__(self, http: HttpClient, base_url: str, authorization: Authorization) -> None:
        self._http = http
        self._base_url = base_url.rstrip("/")
        self._authorization = authorization

    async def get(self, path: str, **query: str | int) -> Answer:
        return await self.send("GET", path, query=query)

    async def send(
        self, method: str, path: str, *, query: Mapping[str, str | int] | None = None, document: object = None
    ) -> Answer:
        """Sends the document as JSON, once more with another authorization when the first is refused.

        Raises:
            RegistryError: the answer is a refusal.
            UnexpectedAnswer: it is a redirect or the like.
        """
        url = self._base_url + path + (f"?{urlencode(query, quote_via=quote)}" if query else "")
        value = await self._authorization.value()
        answer = await self._send(method, url, value, document)
        if answer.status == 401 and value is not None:
            renewed = await self._authorization.value(rejected=value)
            if renewed not in (None, value):
                answer = await self._send(method, url, renewed, document)
        if answer.status >= 400:
            raise _refused(method, url, answer)
        if answer.status >= 300:
            raise UnexpectedAnswer(f"{method} {without_query(url)}: did not expect status {answer.status}")
        return answer

    async def _send(self, method: str, url: str, authorization: str | None, document: object) -> Answer:
        headers = {"Accept": "application/json"}
        if authorization is not None:
            headers["Authorization"] = authorization
        content = None
        if document is not None:
            headers["Content-Type"] = "application/json"
            content = json.dumps(document).encode()
        return await self._http.request(method, url, headers=headers, content=content)


def objects(value: Any, answer: Answer) -> Sequence[Mapping[str, Any]]:
    """A list of JSON objects; null is how Go writes an empty one. Raises UnexpectedAnswer."""
    items = [] if value is None else value
    if not isinstance(items, list) or not all(isinstance(item, dict) for item in items):
        raise _unexpected(answer, "not a list of objects")
    return items


def text(item: Mapping[str, Any], name: str, answer: Answer) -> str:
    """A field that must be there and hold text. Raises UnexpectedAnswer."""
    value = item.get(name)
    if not isinstance(value, str) or not value:
        raise _unexpected(answer, f"{name} is not a text")
    return value


def known_digest(value: object) -> str:
    """A digest that a listing tells; "" when it tells none, or what is none."""
    try:
        return str(Digest.parse(value)) if isinstance(value, str) else ""
    except InvalidDigest:
        return ""


def document(answer: Answer) -> Any:
    """The JSON in the body. Raises UnexpectedAnswer."""
    try:
        return json.loads(answer.body)
    except (ValueError, RecursionError) as error:
        raise _unexpected(answer, "not JSON") from error


def _refused(method: str, url: str, answer: Answer) -> RegistryError:
    error = registry_error(method, url, answer.status, answer.headers, answer.body)
    if not error.errors and (said := _said(answer)):
        error.errors = (ErrorDetail(code="UNKNOWN", message=said),)
    return error


def _said(answer: Answer) -> str:
    try:
        found = json.loads(answer.body)
    except (ValueError, RecursionError):
        return ""
    texts = [found.get(name) for name in _MESSAGE_FIELDS] if isinstance(found, dict) else []
    return next((each[:MAX_TEXT_CHARS] for each in texts if isinstance(each, str) and each), "")


def _unexpected(answer: Answer, problem: str) -> UnexpectedAnswer:
    return UnexpectedAnswer(f"{without_query(answer.url)}: the answer is {problem}")
