"""A registry as the engine works with it: its client, its gate, its connections, and what is on the way to it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import TypeVar

from jobservice.engine.backoff import REQUESTS, raise_if_final, retry_after_s
from jobservice.engine.chunks import ChunkSizes
from jobservice.engine.connections import STALL_TIMEOUT_S, Connections
from jobservice.engine.exchange import Origin
from jobservice.engine.flights import Flights
from jobservice.engine.inhabited import Inhabited
from jobservice.engine.window import RegistryGate
from oci_client.auth import Authorizer
from oci_client.client import RegistryClient
from oci_client.digest import Digest
from oci_client.errors import OciError
from oci_client.http import HttpClient, TlsOptions, make_ssl_context
from oci_client.network import OURS, Network

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoint:
    """One registry. All jobs of a process share it, so that its limits and what is known of it hold for them all.

    `uid` names it among all registries.
    """

    uid: str
    url: str
    client: RegistryClient
    gate: RegistryGate
    authorizer: Authorizer
    connections: Connections
    http: HttpClient
    # Bytes a second that all workers together may read from it, and write to it; 0 for no limit.
    max_bytes_per_second: int = 0
    flights: Flights = field(default_factory=Flights)
    chunks: ChunkSizes = field(default_factory=ChunkSizes)
    inhabited: Inhabited = field(default_factory=Inhabited)

    @classmethod
    def open(
        cls,
        *,
        uid: str,
        url: str,
        tls: TlsOptions,
        authorizer: Authorizer,
        on_hold: Callable[[float], None] = lambda _: None,
        max_bytes_per_second: int = 0,
        stall_timeout_s: float = STALL_TIMEOUT_S,
        network: Network = OURS,
    ) -> Endpoint:
        """Return the endpoint of a registry; nothing is sent yet. `close` it.

        `on_hold` is told the seconds for which the registry asks to be left alone.
        """
        gate = RegistryGate(on_hold=on_hold)
        http = HttpClient(tls, home=url, network=network)
        context = make_ssl_context(tls)
        return cls(
            uid=uid,
            url=url.rstrip("/"),
            client=RegistryClient(url, http=http, authorizer=authorizer, gate=gate),
            gate=gate,
            authorizer=authorizer,
            connections=Connections(context, Origin.of(url), network=network, stall_timeout_s=stall_timeout_s),
            http=http,
            max_bytes_per_second=max_bytes_per_second,
        )

    @property
    def origin(self) -> Origin:
        """Where its authorization may be sent."""
        return Origin.of(self.url)

    def blob_url(self, repository: str, digest: Digest) -> str:
        """Return where a blob is read."""
        return f"{self.url}/v2/{repository}/blobs/{digest}"

    async def close(self) -> None:
        """Close its connections."""
        self.connections.close()
        await self.http.aclose()


async def retried(request: Callable[[], Awaitable[T]]) -> T:
    """Send a small request, and again while its failure may pass. Raises the last error."""
    failures = 0
    while True:
        try:
            return await request()
        except OciError as error:
            failures += 1
            raise_if_final(error, failures, REQUESTS)
            await asyncio.sleep(REQUESTS.delay_s(failures, retry_after_s(error)))
