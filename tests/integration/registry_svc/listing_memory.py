"""Lists a registry that is made up as it is read, and prints how much memory that took."""

import argparse
import asyncio
import json
from collections.abc import AsyncGenerator, AsyncIterator
from datetime import UTC, datetime
from pathlib import Path
from resource import RUSAGE_SELF, getrusage

from oci_client.digest import Digest
from oci_client.manifest import Descriptor, Manifest
from registry_svc import convert
from registry_svc.adapters.base import Query
from registry_svc.adapters.creation import CreationTimes
from registry_svc.adapters.listing import RepositoryLister
from registry_svc.adapters.native_source import NativeSource
from registry_svc.adapters.retries import Retries
from replication.filters import Dimension, FilterRule, Selection
from replication.matchers import Glob
from replication.newest import Newest, Order

PAGE = 1000


class MadeUp:
    """So many repositories with so many tags each."""

    def __init__(self, repositories: int, tags: int) -> None:
        self._repositories = repositories
        self._tags = tags

    async def catalog(self) -> AsyncIterator[list[str]]:
        for start in range(0, self._repositories, PAGE):
            stop = min(start + PAGE, self._repositories)
            yield [f"team-{number % 100}/service-{number}" for number in range(start, stop)]

    async def tags(self, repository: str) -> AsyncIterator[list[str]]:
        """In one page, as distribution 2.8 sends them."""
        yield [f"1.{number}.0" for number in range(self._tags)]

    async def head_manifest(self, repository: str, reference: str) -> Descriptor | None:
        return None

    async def get_manifest(self, repository: str, reference: str) -> Manifest:
        raise NotImplementedError

    def get_blob(self, repository: str, digest: Digest, *, size: int | None = None) -> AsyncGenerator[bytes, None]:
        raise NotImplementedError


async def _list(lists: MadeUp, query: Query) -> dict[str, int]:
    """What came, also in the form in which it goes out."""
    lister = RepositoryLister(NativeSource(lists, CreationTimes(lists), Retries()), query, now=datetime.now(UTC))
    references = rejections = largest = 0
    async for batch in lister.batches():
        message = convert.listing_to_pb(batch)
        references += sum(len(resource.references) for resource in message.resources)
        rejections += len(message.rejections)
        largest = max(largest, message.ByteSize())
    return {"references": references, "rejections": rejections, "largest_message_bytes": largest}


def _peak_bytes() -> int:
    """Of this process, from its own memory: what a parent of it had at the fork is counted by getrusage too."""
    status = Path("/proc/self/status")
    if status.exists():
        line = next(line for line in status.read_text().splitlines() if line.startswith("VmHWM:"))
        return int(line.split()[1]) * 1024
    return getrusage(RUSAGE_SELF).ru_maxrss * 1024


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repositories", type=int, required=True)
    parser.add_argument("--tags", type=int, required=True)
    parser.add_argument("--rejected", action="store_true", help="leave everything out, and tell so")
    parser.add_argument("--newest", action="store_true", help="rank the tags")
    args = parser.parse_args()
    rules = [FilterRule(dimension=Dimension.TAG, matcher=Glob("none"))] if args.rejected else []
    query = Query(
        selection=Selection.compile(rules),
        newest=Newest(order=Order.SEMVER, count=100) if args.newest else None,
        include_rejected=args.rejected or args.newest,
    )
    told = asyncio.run(_list(MadeUp(args.repositories, args.tags), query))
    print(json.dumps(told | {"peak_bytes": _peak_bytes()}))  # noqa: T201 - the test reads it


main()
