"""Each digest once: who wants a blob that is on its way already waits for it."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Final

from oci_client.digest import Digest

MAX_LANDINGS: Final = 10_000  # kept; about 2 MB


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
    """The blobs on their way into one registry, from this process, and where the latest of them landed."""

    def __init__(self) -> None:
        self._flights: dict[Digest, Flight] = {}
        self._landings: OrderedDict[Digest, str] = OrderedDict()

    def get(self, digest: Digest) -> Flight | None:
        """Return the flight of a blob that is under way."""
        return self._flights.get(digest)

    def landed(self, digest: Digest) -> str | None:
        """Return the repository in which the blob landed a while ago.

        Who asked where the blob is before it landed, and goes on after that, would otherwise send it again.
        """
        return self._landings.get(digest)

    def forget(self, digest: Digest) -> None:
        """Forget where the blob landed: it is not there any more."""
        self._landings.pop(digest, None)

    @asynccontextmanager
    async def lead(self, digest: Digest) -> AsyncIterator[Flight]:
        """Send a blob that nobody else is sending; set `landed_in` when it has arrived."""
        flight = self._flights[digest] = Flight()
        try:
            yield flight
        finally:
            del self._flights[digest]
            self._note(digest, flight.landed_in)
            flight.end()

    def _note(self, digest: Digest, repository: str | None) -> None:
        if repository is not None:
            self._landings[digest] = repository
            self._landings.move_to_end(digest)
            if len(self._landings) > MAX_LANDINGS:
                self._landings.popitem(last=False)
