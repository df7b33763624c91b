"""Gathers what is found into batches: none too large, and none that waits long."""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Final

from registry_svc.adapters.base import Listing

BATCH_REFERENCES: Final = 1000  # of one batch at most, which stays far below the 4 MiB of a gRPC message
BATCH_ITEMS: Final = 1000  # resources, failures and rejections of one batch
BATCH_WAIT_S: Final = 0.05  # how long a batch waits for more: copying begins with the first one
_WAITING_PIECES: Final = 16  # found and not yet batched; a slow caller slows the listing down

Put = Callable[[Listing], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class _End:
    """The last item; with the error that ended the work before its time."""

    error: BaseException | None = None


async def batches(work: Callable[[Put], Awaitable[None]]) -> AsyncGenerator[Listing, None]:
    """What the work puts out, gathered. Raises what the work raises; closing it ends the work.

    A piece that is put out has itself no more than a batch may have.
    """
    found: asyncio.Queue[Listing | _End] = asyncio.Queue(_WAITING_PIECES)
    task = asyncio.create_task(_run(work, found), name="list repositories")
    try:
        end: _End | None = None
        while end is None:
            pieces, end = await _gather(found)
            if pieces:
                yield _joined(pieces)
        if end.error is not None:
            raise end.error
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def _run(work: Callable[[Put], Awaitable[None]], found: "asyncio.Queue[Listing | _End]") -> None:
    try:
        await work(found.put)
    except Exception as error:  # noqa: BLE001 - handed over to whoever takes the batches
        await found.put(_End(error))
    else:
        await found.put(_End())


async def _gather(found: "asyncio.Queue[Listing | _End]") -> tuple[list[Listing], _End | None]:
    """Waits for the first piece, then a moment for more."""
    pieces: list[Listing] = []
    references = items = 0
    piece = await found.get()
    with suppress(TimeoutError):
        async with asyncio.timeout(BATCH_WAIT_S):
            while not isinstance(piece, _End):
                pieces.append(piece)
                references += sum(len(resource.references) for resource in piece.resources)
                items += len(piece.resources) + len(piece.failures) + len(piece.rejections)
                if references >= BATCH_REFERENCES or items >= BATCH_ITEMS:
                    break
                piece = await found.get()
    return pieces, piece if isinstance(piece, _End) else None


def _joined(pieces: Sequence[Listing]) -> Listing:
    return Listing(
        resources=_flat(piece.resources for piece in pieces),
        failures=_flat(piece.failures for piece in pieces),
        rejections=_flat(piece.rejections for piece in pieces),
    )


def _flat(parts: Iterable[tuple[object, ...]]) -> tuple:  # type: ignore[type-arg]
    return tuple(item for part in parts for item in part)
