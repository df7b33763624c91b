"""Requests that pass through the caller's gate."""

import time
from collections.abc import Mapping
from contextlib import AbstractAsyncContextManager
from types import TracebackType

from oci_client.gate import Action, Gate, OpenGate, Outcome
from oci_client.http import MAX_JSON_BYTES, Answer, Content, HttpClient, StreamedAnswer, read_answer


class GatedHttp:
    """An HttpClient that waits for a slot before each request and tells the gate how it went."""

    def __init__(self, http: HttpClient, gate: Gate | None = None) -> None:
        self._http = http
        self._gate = gate or OpenGate()

    async def request(
        self,
        action: Action,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str] | None = None,
        content: Content | None = None,
        max_body: int = MAX_JSON_BYTES,
    ) -> Answer:
        """Send a request and return its whole answer."""
        async with self.stream(action, method, url, headers=headers, content=content) as answer:
            return await read_answer(answer, max_body)

    def stream(
        self,
        action: Action,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str] | None = None,
        content: Content | None = None,
    ) -> AbstractAsyncContextManager[StreamedAnswer]:
        """Send a request and hand out its answer; the slot is held until the context ends."""
        answer = self._http.stream(method, url, headers=headers, content=content)
        return _GatedAnswer(self._gate, action, answer)


class _GatedAnswer(AbstractAsyncContextManager[StreamedAnswer]):
    """A class, because there is one for every request, and a generator costs three times as much."""

    def __init__(self, gate: Gate, action: Action, answer: AbstractAsyncContextManager[StreamedAnswer]) -> None:
        self._gate = gate
        self._action = action
        self._slot = gate.slot(action)
        self._answer = answer

    async def __aenter__(self) -> StreamedAnswer:
        await self._slot.__aenter__()
        started = time.monotonic()
        try:
            answer = await self._answer.__aenter__()
        except BaseException as error:
            if isinstance(error, Exception):
                self._gate.observe(self._action, Outcome(status=None, elapsed_s=time.monotonic() - started))
            await self._slot.__aexit__(type(error), error, error.__traceback__)
            raise
        elapsed_s = time.monotonic() - started
        self._gate.observe(self._action, Outcome.of_answer(answer.status, answer.headers, elapsed_s))
        return answer

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        try:
            await self._answer.__aexit__(kind, error, traceback)
        finally:
            await self._slot.__aexit__(kind, error, traceback)
