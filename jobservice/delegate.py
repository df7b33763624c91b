"""One Delegate stream: takes submissions, and tells the newest states of the jobs that it follows.

Level-triggered: it keeps the last revision told of each followed job and reads what is above it. So it does not matter
how many changes there were between two readings, or whether a notification was lost.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Coroutine, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Final, assert_never

from jobservice.changes import Change, Changes, Subscription
from jobservice.destinations import reused_tag
from jobservice.domain import JobSpec, JobStatus
from jobservice.errors import JobKeyReused
from jobservice.service import COALESCE_S, POLL_S
from jobservice.store import JobStore
from service_kit.errors import FieldViolation, InvalidRequest, ServiceError

MAX_FOLLOWED: Final = 100_000  # of one stream: some 20 MB
READ_BATCH: Final = 200  # statuses of one reading: each may bring its results
POLL_BATCH: Final = 5_000  # followed keys read again at each poll, all in their turn

_GATHER_S: Final = 0.01  # states that change in the same moment travel together
_MAX_ANSWERS: Final = 8  # not yet taken by the client; then we neither read on nor look for changes


@dataclass(frozen=True, slots=True)
class Submit:
    """Store and follow these jobs."""

    specs: Sequence[JobSpec]


@dataclass(frozen=True, slots=True)
class Follow:
    """Follow jobs that were submitted before."""

    keys: Sequence[str]


@dataclass(frozen=True, slots=True)
class Stop:
    """Stop these jobs."""

    keys: Sequence[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Submitted:
    """Keys that are stored now, and those of jobs that will not be done, with the reason."""

    accepted: tuple[str, ...]
    rejected: Mapping[str, ServiceError]


@dataclass(frozen=True, slots=True)
class Changed:
    """Newest statuses."""

    statuses: Sequence[JobStatus]


@dataclass(frozen=True, slots=True)
class Unknown:
    """Followed keys that no job has."""

    keys: Sequence[str]


@dataclass(frozen=True, slots=True)
class _Ended:
    error: Exception | None = None


Message = Submit | Follow | Stop
Answer = Submitted | Changed | Unknown


class Delegation:
    """Serves one stream: a task reads its messages, a task watches the jobs that it follows, and both answer."""

    def __init__(self, store: JobStore, changes: Changes, *, on_submitted: Callable[[], None]) -> None:
        self._store = store
        self._changes = changes
        self._on_submitted = on_submitted
        self._followed: dict[str, int] = {}  # key to the last revision told
        self._to_poll: Iterator[str] = iter(())
        self._answers: asyncio.Queue[Answer | _Ended] = asyncio.Queue(_MAX_ANSWERS)
        self._all_read = False

    async def answers(self, messages: AsyncIterator[Message]) -> AsyncGenerator[Answer, None]:
        """Ends when there are no more messages and every followed job has ended.

        Raises what reading a message raises, and InvalidRequest when the stream follows too many jobs.
        """
        with self._changes.subscribed(self._followed) as news:
            tasks = [
                asyncio.create_task(self._until_error(self._read(messages, news))),
                asyncio.create_task(self._until_error(self._watch(news))),
            ]
            try:
                while not isinstance(answer := await self._answers.get(), _Ended):
                    yield answer
                if answer.error is not None:
                    raise answer.error
            finally:
                for task in tasks:
                    task.cancel()
                await asyncio.gather(*tasks, return_exceptions=True)

    async def _until_error(self, work: Coroutine[None, None, None]) -> None:
        try:
            await work
        except Exception as error:  # noqa: BLE001  (raised again where the answers are taken)
            await self._answers.put(_Ended(error))

    async def _read(self, messages: AsyncIterator[Message], news: Subscription) -> None:
        """One message after the other: what is not accepted yet holds up what follows it."""
        async for message in messages:
            match message:
                case Submit():
                    self._follow_from(await self._submit(message.specs), 1, news)
                case Follow():
                    self._follow_from(await self._known(message.keys), 0, news)
                case Stop():
                    await self._store.request_stop(message.keys)
                case _:
                    assert_never(message)
        self._all_read = True
        news.wake()

    async def _submit(self, specs: Sequence[JobSpec]) -> Sequence[str]:
        """Answers, and gives the accepted keys."""
        self._check_room(len(specs))
        refused = {spec.key: error for spec in specs if (error := reused_tag(spec.work)) is not None}
        others = await self._store.submit([spec for spec in specs if spec.key not in refused])
        self._on_submitted()
        rejected: dict[str, ServiceError] = {**refused, **{key: JobKeyReused(job=f"jobs/{key}") for key in others}}
        accepted = tuple(dict.fromkeys(spec.key for spec in specs if spec.key not in rejected))
        await self._answers.put(Submitted(accepted=accepted, rejected=rejected))
        return accepted

    async def _known(self, keys: Sequence[str]) -> Sequence[str]:
        """Answers which keys no job has, and gives the others."""
        self._check_room(len(keys))
        known = await self._store.existing(keys)
        if unknown := [key for key in keys if key not in known]:
            await self._answers.put(Unknown(unknown))
        return sorted(known)

    def _follow_from(self, keys: Sequence[str], revision: int, news: Subscription) -> None:
        """Follows keys whose client has this revision: a new job's first one, when it was just accepted."""
        self._followed.update(dict.fromkeys(keys, revision))
        # What they have become meanwhile was notified to nobody.
        news.tell(Change(keys=frozenset(keys), urgent=True))

    async def _watch(self, news: Subscription) -> None:
        while self._followed or not self._all_read:
            await news.wait(POLL_S)
            await news.wait_urgent(COALESCE_S)
            await asyncio.sleep(_GATHER_S)
            for keys in _batches(news.take() or self._next_to_poll(), READ_BATCH):
                await self._tell_newer(keys)
        await self._answers.put(_Ended())

    async def _tell_newer(self, keys: Iterable[str]) -> None:
        known = {key: self._followed[key] for key in keys if key in self._followed}
        statuses = await self._store.newer(known) if known else []
        for status in statuses:
            if status.state.is_final:
                self._followed.pop(status.key, None)
            else:
                self._followed[status.key] = status.revision
        if statuses:
            await self._answers.put(Changed(statuses))

    def _next_to_poll(self) -> list[str]:
        """The safety net: some followed keys at each poll, until it was the turn of all of them."""
        if not (keys := list(islice(self._to_poll, POLL_BATCH))):
            self._to_poll = iter(tuple(self._followed))
            keys = list(islice(self._to_poll, POLL_BATCH))
        return keys

    def _check_room(self, more: int) -> None:
        if len(self._followed) + more > MAX_FOLLOWED:
            description = f"a stream follows at most {MAX_FOLLOWED} unfinished jobs"
            raise InvalidRequest(violations=[FieldViolation("keys", description, "TOO_MANY_FOLLOWED")])


def _batches(keys: Iterable[str], size: int) -> Iterator[list[str]]:
    rest = iter(keys)
    while batch := list(islice(rest, size)):
        yield batch
