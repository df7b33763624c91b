"""What commands that list have in common."""

from collections.abc import AsyncIterator
from typing import Annotated, TypeVar

import typer

_T = TypeVar("_T")

Limit = Annotated[int, typer.Option(metavar="N", min=1, help="How many at the most.")]


async def first(count: int, items: AsyncIterator[_T]) -> AsyncIterator[_T]:
    """Not more than so many of them."""
    async for item in items:
        yield item
        count -= 1
        if not count:
            return
