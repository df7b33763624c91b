"""What policies have written is kept with the results of their tasks, on a real PostgreSQL."""

from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import datetime
from typing import Any

import pytest
from psycopg.rows import dict_row

from execution_svc.domain.execution import ExecutionId
from execution_svc.domain.policy import Policy
from execution_svc.domain.task import JobStatus, Operation, PlannedTask, TaskState
from execution_svc.domain.transfer import Outcome, Reference, ReferenceResult
from execution_svc.postgres import PostgresDelegationStore, PostgresExecutionStore, PostgresFlowStore
from service_kit.database import Pool, open_pool
from tests.contract.execution_stores import LATER, NOW, POLICY, a_request, a_task
from tests.postgres import Database

OF_UID = Policy.of_document({**POLICY.document, "uid": "u-1"})


@pytest.fixture
async def pool(database: Database) -> AsyncIterator[Pool]:
    async with open_pool(await database("execution_svc"), schema="execution") as pool:
        yield pool


def a_result(tag: str, outcome: Outcome = Outcome.COPIED, **changes: str) -> ReferenceResult:
    return ReferenceResult(tag=tag, digest=f"sha256:{tag}", outcome=outcome, **changes)  # type: ignore[arg-type]


async def done(
    pool: Pool, task: PlannedTask, *results: ReferenceResult, policy: Policy = OF_UID, begun: datetime = NOW
) -> JobStatus:
    """An execution with one task, which ends with these results."""
    flows, jobs = PostgresFlowStore(pool), PostgresDelegationStore(pool)
    await PostgresExecutionStore(pool).create(a_request(f"of-{task.id}", policy=policy))
    lease = await flows.claim_flow(token="t", now=begun, until=LATER)
    assert lease
    await flows.write_tasks(lease, [task], begun)
    await flows.complete_listing(lease, begun)
    (job,) = await jobs.claim_tasks(10, begun)
    status = JobStatus(key=job.key, revision=1, state=TaskState.SUCCEEDED, results=results)
    await jobs.fold([status], LATER)
    return status


async def written(pool: Pool) -> list[dict[str, Any]]:
    async with pool.connection() as conn, conn.cursor(row_factory=dict_row) as cursor:
        await cursor.execute("SELECT * FROM written_tags ORDER BY policy, destination_repository, tag")
        return await cursor.fetchall()


async def test_what_was_copied_is_kept_with_where_it_came_from(pool: Pool) -> None:
    results = [
        a_result("1"),
        a_result("2", destination_tag="two", destination_digest="sha256:other"),
        a_result("3", Outcome.UNCHANGED),
        a_result("4", Outcome.SKIPPED),
        a_result("", Outcome.COPIED),
    ]
    await done(pool, a_task("t"), *results)

    rows = await written(pool)
    assert [(row["tag"], row["digest"], row["source_tag"], row["source_digest"], row["found"]) for row in rows] == [
        ("1", "sha256:1", "1", "sha256:1", False),
        ("3", "sha256:3", "3", "sha256:3", True),
        ("two", "sha256:other", "2", "sha256:2", False),
    ]
    assert rows[0] | {"tag": "", "digest": "", "source_tag": "", "source_digest": ""} == {
        "policy": "u-1",
        "destination_registry": "registries/b",
        "destination_repository": "x",
        "tag": "",
        "digest": "",
        "source_registry": "registries/a",
        "source_repository": "x",
        "source_tag": "",
        "source_digest": "",
        "execution_id": "of-t",
        "write_time": LATER,
        "deleted": False,
        "found": False,
        "changed": False,
        "missing_since": None,
    }


async def test_what_is_written_again_is_kept_once_and_what_is_deleted_is_marked(pool: Pool) -> None:
    await done(pool, a_task("1"), a_result("v"))
    again = replace(a_result("v"), digest="sha256:new")
    await done(pool, a_task("2"), again, again)
    (row,) = await written(pool)
    assert (row["digest"], row["execution_id"]) == ("sha256:new", "of-2")

    deletion = replace(a_task("3", operation=Operation.DELETE), references=(Reference(tag="v"),))
    await done(pool, deletion, a_result("v", Outcome.DELETED))
    (row,) = await written(pool)
    assert (row["deleted"], row["digest"], row["source_tag"]) == (True, "sha256:new", "v")

    await done(pool, a_task("4"), again)
    assert [row["deleted"] for row in await written(pool)] == [False]


async def test_what_is_found_as_it_was_written_stays_written(pool: Pool) -> None:
    """Where platforms were taken out, what is found is named by its digest at the source."""
    unchanged = [a_result("1", Outcome.UNCHANGED), a_result("2", Outcome.UNCHANGED), a_result("3", Outcome.UNCHANGED)]
    written_first = [a_result("1"), a_result("2", destination_digest="sha256:thin"), replace(a_result("3"), digest="d")]
    await done(pool, a_task("1"), *written_first)
    before = await written(pool)
    await done(pool, a_task("2"), *unchanged)
    after = await written(pool)
    assert before[:2] == after[:2]
    assert [(row["digest"], row["found"], row["execution_id"]) for row in after[2:]] == [("sha256:3", True, "of-2")]
    async with pool.connection() as conn:
        await conn.execute("UPDATE written_tags SET missing_since = now() WHERE tag <> '2'")
    await done(pool, a_task("3"), *unchanged)
    assert await written(pool) == after


async def test_a_deletion_of_what_was_never_written_is_kept_with_its_source(pool: Pool) -> None:
    deletion = replace(
        a_task("t", operation=Operation.DELETE), references=(Reference(tag="v", destination_tag="v-there"),)
    )
    await done(pool, deletion, a_result("v-there", Outcome.DELETED))
    (row,) = await written(pool)
    assert (row["tag"], row["source_tag"], row["source_repository"], row["deleted"]) == ("v-there", "v", "x", True)


async def test_old_news_writes_nothing(pool: Pool) -> None:
    status = await done(pool, a_task("t"), a_result("1"))
    async with pool.connection() as conn:
        await conn.execute("DELETE FROM written_tags")
    await PostgresDelegationStore(pool).fold([replace(status, revision=9)], LATER)
    assert await written(pool) == []
    assert (await PostgresExecutionStore(pool).get(ExecutionId("of-t"))).task_counts.succeeded == 1


@pytest.mark.parametrize("outcome", [Outcome.COPIED, Outcome.UNCHANGED])
async def test_a_copy_from_a_place_shows_that_it_was_changed_if_it_began_after_ours(
    pool: Pool, outcome: Outcome
) -> None:
    def onward(name: str) -> PlannedTask:
        return replace(a_task(name), source_registry="registries/b", destination_registry="registries/c")

    await done(pool, a_task("t"), a_result("1"), a_result("2"))
    seen = [a_result("1", outcome), replace(a_result("2", outcome), digest="sha256:other")]

    await done(pool, onward("older"), *seen, policy=POLICY)
    before = [row["tag"] for row in await written(pool) if row["changed"]]
    await done(pool, onward("newer"), *seen, policy=POLICY, begun=LATER)
    after = [(row["policy"], row["tag"]) for row in await written(pool) if row["changed"]]

    assert (before, after) == ([], [("u-1", "2")])
