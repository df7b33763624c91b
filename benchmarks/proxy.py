"""A reverse proxy before a registry: it counts, delays and cuts.

Run as a process of its own, `python -m benchmarks.proxy --upstream HOST:PORT [...]`, so that its CPU is nobody else's.
It prints the port it listens on, then serves until it is ended. `GET /-/counts` tells the counts, `POST /-/reset`
begins anew, cuts included.
"""

import argparse
import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Final

from benchmarks.counts import Counts, Tally, kind_of
from benchmarks.http1 import BrokenMessage, Head, Stream, body_of_request, body_of_response, read_head

_CONTROL: Final = "/-/"
_CONTINUE: Final = b"HTTP/1.1 100 Continue\r\n\r\n"
# Some clients try TLS first, and fall back at once only when they are refused in plain text.
_REFUSAL: Final = b"HTTP/1.1 400 Bad Request\r\nContent-Type: text/plain\r\nConnection: close\r\n\r\n400 Bad Request"
# Whole bodies pass through, so a small window would cost many turns of the loop.
_BUFFER_BYTES: Final = 1024 * 1024
# An upstream that refuses may do so before it has read the body, and connections where bytes are left are of no use.
_FIRST_ERROR: Final = 400


@dataclass(frozen=True, slots=True, kw_only=True)
class Cuts:
    """The first `count` downloads of a blob end after `after` bytes with a reset connection."""

    after: int = 0
    count: int = 0


@dataclass(slots=True)
class Ledger:
    """Counts that grow."""

    tallies: dict[str, Tally] = field(default_factory=dict)
    in_flight: int = 0
    peak_in_flight: int = 0
    cuts: int = 0

    def add(self, key: str, tally: Tally) -> None:
        self.tallies[key] = self.tallies.get(key, Tally()).plus(tally)

    def counts(self) -> Counts:
        return Counts(tallies=self.tallies, peak_in_flight=self.peak_in_flight, cuts=self.cuts)


class Cut(Exception):
    """The connection is to be reset."""


class Proxy:
    """Serves one upstream. delay_s is the round trip that each request and each new connection costs in addition."""

    def __init__(self, host: str, port: int, *, delay_s: float = 0.0, cuts: Cuts | None = None) -> None:
        self._upstream = (host, port)
        self._delay_s = delay_s
        self._cuts = cuts or Cuts()
        self._ledger = Ledger()

    @asynccontextmanager
    async def serving(self) -> AsyncIterator[int]:
        """Yields the port."""
        server = await asyncio.start_server(self._accept, "127.0.0.1", 0, limit=_BUFFER_BYTES)
        async with server:
            yield server.sockets[0].getsockname()[1]

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        client = Stream(reader, writer)
        try:
            await self._serve(client)
        except Cut:
            writer.transport.abort()
        except BrokenMessage:
            writer.write(_REFUSAL)
        except (OSError, EOFError):
            pass  # Either side has gone; the other learns it by the close below.
        finally:
            client.close()

    async def _serve(self, client: Stream) -> None:
        upstream: Stream | None = None
        is_new = True
        try:
            while (head := await read_head(client)) is not None:
                if head.target.startswith(_CONTROL):
                    await self._control(head, client)
                    continue
                await asyncio.sleep(self._delay_s * (2 if is_new else 1))
                is_new = False
                if upstream is None:
                    upstream = Stream(*await asyncio.open_connection(*self._upstream, limit=_BUFFER_BYTES))
                if not await self._exchange(head, client, upstream):
                    return
        finally:
            if upstream is not None:
                upstream.close()

    async def _control(self, head: Head, client: Stream) -> None:
        if head.target == f"{_CONTROL}reset":
            self._ledger = Ledger(in_flight=self._ledger.in_flight)
        body = json.dumps(self._ledger.counts().to_json()).encode()
        await client.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body))

    async def _exchange(self, head: Head, client: Stream, upstream: Stream) -> bool:
        """One request and its answer; whether the connections can be used again."""
        ledger = self._ledger
        ledger.in_flight += 1
        ledger.peak_in_flight = max(ledger.peak_in_flight, ledger.in_flight)
        sending = asyncio.create_task(_send_request(head, client, upstream))
        status, sent = 0, 0
        try:
            answer = await _final_head(upstream)
            status = answer.status
            await client.write(answer.raw)
            async for piece in body_of_response(head, answer, upstream):
                sent += len(piece)
                self._cut_if_due(ledger, head, sent)
                await client.write(piece)
            return answer.keeps_alive and (status < _FIRST_ERROR or not head.has_body)
        finally:
            ledger.in_flight -= 1
            received = await _count_of(sending, answered=0 < status < _FIRST_ERROR or not head.has_body)
            tally = Tally(requests=1, bytes_in=received, bytes_out=sent)
            ledger.add(f"{head.method} {kind_of(head.method, head.target, status)}", tally)

    def _cut_if_due(self, ledger: Ledger, head: Head, sent: int) -> None:
        if ledger.cuts >= self._cuts.count or head.method != "GET" or sent < self._cuts.after:
            return
        if kind_of(head.method, head.target, 0) == "blob":
            ledger.cuts += 1
            raise Cut


async def _send_request(head: Head, client: Stream, upstream: Stream) -> int:
    """Passes the request on; how many bytes its body had."""
    if head.expects_continue:
        await client.write(_CONTINUE)
    await upstream.write(head.raw_without_expect)
    received = 0
    async for piece in body_of_request(head, client):
        received += len(piece)
        await upstream.write(piece)
    return received


async def _final_head(upstream: Stream) -> Head:
    while (answer := await read_head(upstream)) is not None:
        if answer.status >= 200:
            return answer
    raise EOFError("the upstream closed without an answer")


async def _count_of(sending: asyncio.Task[int], *, answered: bool) -> int:
    """What was sent; an upload that was refused before its end counts as nothing and ends here."""
    if not answered:
        sending.cancel()
    with suppress(asyncio.CancelledError, OSError, EOFError, BrokenMessage):
        return await sending
    return 0


async def _main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--upstream", required=True)
    parser.add_argument("--delay-s", type=float, default=0.0)
    parser.add_argument("--cut-after", type=int, default=0)
    parser.add_argument("--cut-count", type=int, default=0)
    arguments = parser.parse_args()
    host, _, port = arguments.upstream.partition(":")
    cuts = Cuts(after=arguments.cut_after, count=arguments.cut_count)
    async with Proxy(host, int(port), delay_s=arguments.delay_s, cuts=cuts).serving() as listening:
        print(listening, flush=True)
        await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(_main())
