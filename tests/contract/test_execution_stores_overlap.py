"""What becomes of executions of one policy that overlap, in memory as in PostgreSQL."""

import pytest

from execution_svc.domain.errors import ExecutionFinished, NothingToRetry
from execution_svc.domain.execution import Execution, ExecutionId, ExecutionState
from execution_svc.domain.policy import Policy
from execution_svc.domain.task import Job, PlannedTask, TaskState
from tests.contract.execution_stores import (
    LATER,
    NOW,
    POLICY,
    Stores,
    a_request,
    a_status,
    a_task,
    claimed,
    delegated,
    present,
    stores,
)

__all__ = ["stores"]


def overlapping(overlap: str) -> Policy:
    return Policy.of_document({**POLICY.document, "overlap": overlap})


async def test_an_execution_waits_for_those_of_its_policy_before_it(stores: Stores) -> None:
    for name in ("a", "b", "c"):
        await stores.executions.create(a_request(name))
    skipped = await stores.executions.get(ExecutionId("c"))
    assert (skipped.state, skipped.end_time, skipped.start_time) == (ExecutionState.SKIPPED, NOW, None)
    assert skipped.state_message == "Not run, since executions/b waits and will do it."
    lease = await claimed(stores)
    assert await stores.flows.claim_flow(token="t", now=NOW, until=NOW) is None
    await stores.flows.complete_listing(lease, NOW)
    assert (lease.execution, (await claimed(stores)).execution) == ("a", "b")
    with pytest.raises(NothingToRetry):
        await stores.executions.retry(ExecutionId("c"), LATER)
    with pytest.raises(ExecutionFinished):
        await stores.executions.stop(ExecutionId("c"), LATER)


async def test_an_execution_is_skipped_while_another_one_is_open(stores: Stores) -> None:
    policy = overlapping("OVERLAP_SKIP")
    for name in ("a", "b"):
        await stores.executions.create(a_request(name, policy=policy))
    await stores.executions.stop(ExecutionId("a"), NOW)
    third = await stores.executions.create(a_request("c", policy=policy))
    states = [(await stores.executions.get(ExecutionId(name))).state for name in ("a", "b")]
    assert [*states, third.state] == [ExecutionState.STOPPED, ExecutionState.SKIPPED, ExecutionState.PENDING]


async def test_an_execution_replaces_the_one_that_runs_when_that_has_let_go(stores: Stores) -> None:
    (job,) = await delegated(stores, a_task("t"))
    await stores.executions.create(a_request("next", policy=overlapping("OVERLAP_REPLACE")))

    assert (await present(stores)).state is ExecutionState.STOPPING
    assert (await present(stores)).state_message == "Stopped, since executions/next replaces it."
    assert await stores.flows.claim_flow(token="t", now=NOW, until=LATER) is None
    await stores.jobs.fold([a_status(job.key, TaskState.STOPPED)], LATER)
    assert (await claimed(stores)).execution == "next"


async def listing(stores: Stores, name: str, overlap: str, *tasks: PlannedTask) -> list[Job]:
    """An execution that has begun, with jobs for these tasks."""
    await stores.executions.create(a_request(name, policy=overlapping(overlap)))
    lease = await claimed(stores)
    assert lease.execution == name
    await stores.flows.write_tasks(lease, tasks, NOW)
    await stores.flows.complete_listing(lease, NOW)
    return await stores.jobs.claim_tasks(100, NOW)


async def states(stores: Stores, names: str) -> str:
    """The first letters of the state of each."""
    found = [await stores.executions.get(ExecutionId(name)) for name in names]
    return " ".join(each.state[:3] for each in found)


async def started(stores: Stores, name: str, overlap: str) -> Execution:
    return await stores.executions.create(a_request(name, policy=overlapping(overlap)))


async def next_claimed(stores: Stores) -> str:
    """Which execution begins now, if any does."""
    lease = await stores.flows.claim_flow(token="next", now=NOW, until=LATER)
    return lease.execution if lease else ""


async def test_what_is_being_stopped_still_skips_others(stores: Stores) -> None:
    (job,) = await listing(stores, "a", "OVERLAP_SKIP", a_task("t"))
    await stores.executions.stop(ExecutionId("a"), NOW)
    assert (await started(stores, "b", "OVERLAP_SKIP")).state_message == "Not run, since executions/a has not ended."
    await stores.jobs.fold([a_status(job.key, TaskState.STOPPED)], NOW)
    await started(stores, "c", "OVERLAP_SKIP")
    assert (await states(stores, "abc"), await next_claimed(stores)) == ("STO SKI PEN", "c")


async def test_what_waits_for_one_that_is_being_stopped_begins_at_its_end(stores: Stores) -> None:
    (job,) = await listing(stores, "a", "OVERLAP_QUEUE", a_task("t"))
    await started(stores, "b", "OVERLAP_QUEUE")
    await stores.executions.stop(ExecutionId("a"), NOW)
    assert await next_claimed(stores) == ""
    await stores.jobs.fold([a_status(job.key, TaskState.STOPPED)], NOW)
    assert (await states(stores, "ab"), await next_claimed(stores)) == ("STO PEN", "b")


async def test_a_stopped_one_that_waited_is_no_reason_to_skip(stores: Stores) -> None:
    await listing(stores, "a", "OVERLAP_QUEUE", a_task("t"))
    await started(stores, "b", "OVERLAP_QUEUE")
    await stores.executions.stop(ExecutionId("b"), NOW)
    await started(stores, "c", "OVERLAP_QUEUE")
    assert await states(stores, "abc") == "RUN STO PEN"


async def test_one_that_replaces_and_is_stopped_leaves_the_place_to_the_next(stores: Stores) -> None:
    (job,) = await listing(stores, "a", "OVERLAP_REPLACE", a_task("t"))
    await started(stores, "b", "OVERLAP_REPLACE")
    await stores.executions.stop(ExecutionId("b"), NOW)
    await started(stores, "c", "OVERLAP_REPLACE")
    assert (await states(stores, "abc"), await next_claimed(stores)) == ("STO STO PEN", "")
    replaced = await stores.executions.get(ExecutionId("a"))
    assert (replaced.state, replaced.state_message) == (
        ExecutionState.STOPPING,
        "Stopped, since executions/b replaces it.",
    )
    await stores.jobs.fold([a_status(job.key, TaskState.STOPPED)], NOW)
    assert await next_claimed(stores) == "c"


async def test_what_was_stopped_by_hand_does_not_say_that_it_was_replaced(stores: Stores) -> None:
    await listing(stores, "a", "OVERLAP_REPLACE", a_task("t"))
    await stores.executions.stop(ExecutionId("a"), NOW)
    await started(stores, "b", "OVERLAP_REPLACE")
    assert (await stores.executions.get(ExecutionId("a"))).state_message == ""


@pytest.mark.parametrize("overlap", ["OVERLAP_SKIP", "OVERLAP_QUEUE", "OVERLAP_REPLACE"])
async def test_what_is_retried_runs_beside_what_runs(stores: Stores, overlap: str) -> None:
    (failed,) = await listing(stores, "a", overlap, a_task("1"))
    await stores.jobs.fold([a_status(failed.key, TaskState.FAILED)], NOW)
    (running,) = await listing(stores, "b", overlap, a_task("2"))

    await stores.executions.retry(ExecutionId("a"), NOW)

    assert await states(stores, "ab") == "RUN RUN"
    (again,) = await stores.jobs.claim_tasks(10, NOW)
    await stores.jobs.fold([a_status(each.key, TaskState.SUCCEEDED) for each in (again, running)], NOW)
    assert await states(stores, "ab") == "SUC SUC"


@pytest.mark.parametrize("overlap", ["OVERLAP_SKIP", "OVERLAP_QUEUE", "OVERLAP_REPLACE"])
async def test_what_is_retried_comes_before_what_waits(stores: Stores, overlap: str) -> None:
    """The one that waits has not begun, and the other one began before it was made."""
    (job,) = await listing(stores, "a", overlap, a_task("1"))
    await stores.jobs.fold([a_status(job.key, TaskState.FAILED)], NOW)
    await started(stores, "b", overlap)
    await stores.executions.retry(ExecutionId("a"), NOW)

    assert (await states(stores, "ab"), await next_claimed(stores)) == ("RUN PEN", "")
    (again,) = await stores.jobs.claim_tasks(10, NOW)
    await stores.jobs.fold([a_status(again.key, TaskState.SUCCEEDED)], NOW)
    assert await next_claimed(stores) == "b"


@pytest.mark.parametrize(
    ("overlap", "after", "why"),
    [
        ("OVERLAP_SKIP", "RUN RUN SKI", "Not run, since executions/a has not ended."),
        ("OVERLAP_QUEUE", "RUN RUN PEN", ""),
        ("OVERLAP_REPLACE", "STO STO PEN", ""),
    ],
)
async def test_a_start_sees_what_is_retried_like_any_other(stores: Stores, overlap: str, after: str, why: str) -> None:
    (job,) = await listing(stores, "a", overlap, a_task("1"))
    await stores.jobs.fold([a_status(job.key, TaskState.FAILED)], NOW)
    await listing(stores, "b", overlap, a_task("2"))
    await stores.executions.retry(ExecutionId("a"), NOW)
    await stores.jobs.claim_tasks(10, NOW)

    newest = await started(stores, "c", overlap)

    assert (await states(stores, "abc"), newest.state_message) == (after, why)
    assert await next_claimed(stores) == ""
    ends = [a_status(key, TaskState.STOPPED, 9) for key in await stores.jobs.in_flight()]
    await stores.jobs.fold(ends, NOW)
    assert await next_claimed(stores) == ("c" if overlap != "OVERLAP_SKIP" else "")


async def test_what_was_replaced_is_retried_beside_what_replaced_it(stores: Stores) -> None:
    """And says no more that it was replaced."""
    (job,) = await listing(stores, "a", "OVERLAP_REPLACE", a_task("1"))
    await started(stores, "b", "OVERLAP_REPLACE")
    await stores.jobs.fold([a_status(job.key, TaskState.STOPPED)], NOW)
    assert await next_claimed(stores) == "b"

    again = await stores.executions.retry(ExecutionId("a"), NOW)

    assert (again.state_message, await states(stores, "ab")) == ("", "RUN RUN")
