"""Requests that pass through the caller's gate."""

import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from datetime import UTC, datetime

from oci_client.gate import Action, Gate, OpenGate, Outcome
from oci_client.headers import RateLimit, retry_after
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

    @asynccontextmanager
    async def stream(
        self,
        action: Action,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str] | None = None,
        content: Content | None = None,
    ) -> AsyncIterator[StreamedAnswer]:
        """Send a request and hand out its answer; the slot is held until the context ends."""
        async with self._gate.slot(action):
            started = time.monotonic()
            answered = False
            try:
                async with self._http.stream(method, url, headers=headers, content=content) as answer:
                    answered = True
                    self._gate.observe(action, _outcome(answer, time.monotonic() - started))
                    yield answer
            except Exception:
                if not answered:
                    self._gate.observe(action, Outcome(status=None, elapsed_s=time.monotonic() - started))
                raise


def _outcome(answer: StreamedAnswer, elapsed_s: float) -> Outcome:
    return Outcome(
        status=answer.status,
        elapsed_s=elapsed_s,
        retry_after=retry_after(answer.headers, datetime.now(UTC)),
        rate_limit=RateLimit.from_headers(answer.headers),
    )
