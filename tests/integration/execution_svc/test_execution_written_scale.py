"""What is asked of the written tags of one repository of 100,000 tags, none of it tag by tag."""

import asyncio
from datetime import timedelta
from typing import Final

from execution_svc.domain.written import Artifact
from execution_svc.postgres import PostgresHistory
from service_kit.database import open_pool
from tests.integration.execution_svc.execution_world import World
from tests.postgres import Database

TAGS: Final = 100_000
LISTED: Final = 90_000  # the others are not listed, and half of these are there all the same
BOUND_S: Final = 25.0  # all of it takes a few seconds; tag by tag it takes minutes

_WRITTEN: Final = """
INSERT INTO written_tags (policy, destination_registry, destination_repository, tag, digest, source_registry,
                          source_repository, source_tag, source_digest, execution_id, write_time)
SELECT 'uid-p', 'registries/b', 'x', 'v' || n, 'd' || n, 'registries/a', 'x', 'v' || n, 'd' || n, 'e0', now()
  FROM generate_series(1, %(tags)s) AS n
"""
_LISTED: Final = """
INSERT INTO tasks (id, execution_id, operation, destination_index, source_registry, source_repository,
                   destination_registry, destination_repository, tags, digests, destination_tags, reference_count,
                   state, run, create_time)
SELECT 't' || min(n), 'e1', 'COPY', 0, 'registries/a', 'x', 'registries/b', 'x', array_agg('v' || n),
       array_agg(''::text), array_agg(''::text), count(*), 'PENDING', 1, now()
  FROM generate_series(1, %(tags)s) AS n GROUP BY n / 100
"""


async def test_a_repository_of_very_many_tags_is_looked_at_as_a_whole(database: Database) -> None:
    async with open_pool(await database("execution_svc"), schema="execution") as pool:
        world = World(pool=pool)
        await world.start(world.policy("p", "a", "b", deletion={"prune": {"max_percent": 100}}))
        now = world.clock.now()
        lease = await world.flows.claim_flow(token="t", now=now, until=now + timedelta(hours=1))
        assert lease
        async with pool.connection() as conn:
            await conn.execute(_WRITTEN, {"tags": TAGS})
            await conn.execute(_LISTED, {"tags": LISTED})
        async with pool.connection() as conn:
            await conn.execute("ANALYZE written_tags, tasks")  # before anything is missing
        history = PostgresHistory(pool)
        there = [Artifact(repository="x", tag=f"v{n}") for n in range(1, (TAGS + LISTED) // 2 + 1)]
        told = [Artifact(repository="x", tag=f"v{n}", digest=f"d{n}") for n in range(1, 501)]
        told += [Artifact(repository="x", digest=f"d{n}") for n in range(501, 1001)]

        async with asyncio.timeout(BOUND_S):
            for _ in range(2):
                assert await history.unlisted(lease) == ["x"]
                await history.looked_at(lease, ["x"], there, now)
            (count,) = await history.count_due(lease, now)
            page = await history.due(lease, now, None, 1000)
            origins = await history.origins("registries/b", told, deleted=False)

    assert (count.written, count.due, len(page)) == (TAGS, (TAGS - LISTED) // 2, 1000)
    assert origins == [frozenset({"registries/a"})] * 1000
