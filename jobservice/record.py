"""What one job has done at the destination, over all its attempts."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence

from jobservice.transfer import ArtifactReference, ReferenceResult, newest_by_place


class Record:
    """Takes down what an attempt does, so that the next one takes it for done and not for found.

    The runner stores the notes with the signs of life. Only of what the job names is taken note: a signature that comes
    along has no result of its own.
    """

    def __init__(
        self,
        references: Sequence[ArtifactReference],
        earlier: Sequence[ReferenceResult] = (),
        *,
        hurry: Callable[[], None] = lambda: None,
    ) -> None:
        self._places = frozenset(each.place for each in references)
        self._earlier = newest_by_place(earlier)
        self._hurry = hurry
        self._noted: dict[str, ReferenceResult] = {}
        self._taken: dict[str, ReferenceResult] = {}
        self._awaited: list[asyncio.Future[None]] = []  # by those who wait for what is noted
        self._awaited_taken: list[asyncio.Future[None]] = []

    def earlier(self, reference: ArtifactReference) -> ReferenceResult | None:
        """What an earlier attempt has noted last of the reference."""
        return self._earlier.get(reference.place)

    def note(self, result: ReferenceResult) -> None:
        """Takes down what was done or, as STOPPED, what is about to be done. Never waits; it is stored soon."""
        if result.reference.place in self._places:
            self._noted[result.reference.place] = result

    async def stored(self) -> None:
        """Returns when everything is stored that was noted until now."""
        if self._noted or self._taken:
            self._awaited.append(asyncio.get_running_loop().create_future())
            self._hurry()
            await self._awaited[-1]

    def __bool__(self) -> bool:
        """Whether there is something to take."""
        return bool(self._noted or self._awaited)

    def take(self) -> tuple[ReferenceResult, ...]:
        """What was noted since the last time. Say then what became of it: `confirm` or `put_back`."""
        self._taken, self._noted = self._noted, {}
        self._awaited_taken, self._awaited = self._awaited, []
        return tuple(self._taken.values())

    def confirm(self) -> None:
        """What was taken is stored."""
        for awaited in self._awaited_taken:
            if not awaited.done():  # its waiter may be cancelled
                awaited.set_result(None)
        self._taken, self._awaited_taken = {}, []

    def put_back(self) -> None:
        """What was taken could not be stored; it is to be taken again."""
        self._noted = self._taken | self._noted
        self._awaited = self._awaited_taken + self._awaited
        self._taken, self._awaited_taken = {}, []
