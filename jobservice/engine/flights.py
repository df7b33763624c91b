"""Each digest once: who wants a blob that is on its way already waits for it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from oci_client.digest import Digest


@dataclass(slots=True)
class Flight:
    """A blob on its way into a registry. `landed_in` is the repository that has it now, None if it did not arrive."""

    landed_in: str | None = None
    _over: asyncio.Event = field(default_factory=asyncio.Event)

    async def wait(self) -> str | None:
        """Wait for its end, and return the repository that has the blob now."""
        await self._over.wait()
        return self.landed_in

    def end(self) -> None:
        """Let those who wait go on."""
        self._over.set()


class Flights:
    """The blobs on their way into one registry, from this process."""

    def __init__(self) -> None:
        self._flights: dict[Digest, Flight] = {}

    def get(self, digest: Digest) -> Flight | None:
        """Return the flight of a blob that is under way."""
        return self._flights.get(digest)

    @asynccontextmanager
    async def lead(self, digest: Digest) -> AsyncIterator[Flight]:
        """Send a blob that nobody else is sending; set `landed_in` when it has arrived."""
        flight = self._flights[digest] = Flight()
        try:
            yield flight
        finally:
            del self._flights[digest]
            flight.end()
