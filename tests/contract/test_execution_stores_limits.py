"""How many tasks of a policy get jobs, and when, in memory as in PostgreSQL."""

from collections import Counter
from dataclasses import replace
from datetime import timedelta

from execution_svc.domain.execution import ExecutionId, ExecutionState
from execution_svc.domain.limits import TASKS_WITH_WINDOWS
from execution_svc.domain.policy import Policy
from execution_svc.domain.task import PlannedTask, TaskState
from tests.contract.execution_stores import (
    NOW,
    POLICY,
    E,
    Stores,
    a_request,
    a_status,
    a_task,
    claimed,
    present,
    stores,
)

__all__ = ["stores"]


async def limited(
    stores: Stores, *tasks: PlannedTask, message: str = "", name: str, policy: str = "policies/p", **limits: object
) -> None:
    """An execution of a policy with limits, whose listing brought these tasks."""
    request = replace(a_request(name), policy=Policy.of_document({**POLICY.document, "name": policy, **limits}))
    await stores.executions.create(request)
    lease = await claimed(stores)
    await stores.flows.write_tasks(lease, tasks, NOW)
    await stores.flows.complete_listing(lease, NOW, message)


async def test_a_limit_holds_over_all_executions_of_a_policy(stores: Stores) -> None:
    """Two of them run beside each other when one is retried."""
    await limited(stores, *(a_task(f"a{n}") for n in range(4)), name="a", max_parallel_tasks=3)
    await stores.executions.stop(ExecutionId("a"), NOW)
    await limited(stores, *(a_task(f"b{n}") for n in range(4)), name="b", max_parallel_tasks=3)
    await stores.executions.retry(ExecutionId("a"), NOW)
    jobs = await stores.jobs.claim_tasks(10, NOW)
    assert sorted(Counter(job.key.task[0] for job in jobs).values()) == [1, 2]
    assert await stores.jobs.claim_tasks(10, NOW) == []

    await stores.jobs.fold([a_status(jobs[0].key, TaskState.RUNNING)], NOW)
    assert await stores.jobs.claim_tasks(10, NOW) == []
    await stores.jobs.fold([a_status(job.key, TaskState.FAILED, 2) for job in jobs[:2]], NOW)
    assert len(await stores.jobs.claim_tasks(10, NOW)) == 2
    assert len(await stores.jobs.in_flight()) == 3


async def test_jobs_of_an_execution_that_is_being_stopped_take_room(stores: Stores) -> None:
    await limited(stores, *(a_task(f"b{n}") for n in range(4)), name="b", max_parallel_tasks=2)
    await stores.executions.stop(ExecutionId("b"), NOW)
    await limited(stores, a_task("a0"), a_task("a1"), name="a", max_parallel_tasks=2)
    await stores.jobs.claim_tasks(1, NOW)
    await stores.executions.stop(ExecutionId("a"), NOW)
    await stores.executions.retry(ExecutionId("b"), NOW)
    assert len(await stores.jobs.claim_tasks(10, NOW)) == 1


async def test_a_limit_is_nobody_elses(stores: Stores) -> None:
    """An inline policy has no name in common with another one."""
    for name, policy in (("a", "policies/p"), ("b", "policies/q"), ("c", ""), ("d", "")):
        tasks = [a_task(f"{name}{n}") for n in range(5)]
        await limited(stores, *tasks, name=name, policy=policy, max_parallel_tasks=0 if name == "b" else 2)
    jobs = await stores.jobs.claim_tasks(100, NOW)
    assert Counter(job.key.task[0] for job in jobs) == {"a": 2, "b": 5, "c": 2, "d": 2}


async def test_outside_of_its_windows_an_execution_waits_and_says_so(stores: Stores) -> None:
    noon = [{"start": "12:00", "end": "13:00"}]
    await limited(stores, a_task("t"), name=E, windows=noon)
    assert await stores.jobs.claim_tasks(10, NOW) == []
    waiting = await present(stores)
    assert (waiting.state, waiting.state_message) == (ExecutionState.RUNNING, "waits for a time window of its policy")

    (job,) = await stores.jobs.claim_tasks(10, NOW + timedelta(hours=12))

    assert (job.key.task, (await present(stores)).state_message) == ("t", "")
    assert await stores.jobs.claim_tasks(10, NOW) == []
    assert (await present(stores)).state_message == ""  # nothing of it waits


async def test_what_there_was_to_say_is_not_lost_while_it_waits(stores: Stores) -> None:
    noon = [{"start": "12:00", "end": "13:00"}]
    await limited(stores, a_task("t"), message="Nothing was pruned.", name=E, windows=noon)
    assert await stores.jobs.claim_tasks(10, NOW) == []
    await stores.jobs.claim_tasks(10, NOW + timedelta(hours=12))

    assert (await present(stores)).state_message == "Nothing was pruned."


async def test_a_window_hands_out_no_more_than_can_end_soon_after_it(stores: Stores) -> None:
    await limited(stores, *(a_task(f"t{n}") for n in range(120)), name=E, windows=[{"start": "00:00", "end": "01:00"}])
    assert len(await stores.jobs.claim_tasks(1000, NOW)) == TASKS_WITH_WINDOWS


async def test_an_execution_that_is_stopped_waits_for_nothing_more(stores: Stores) -> None:
    await limited(stores, a_task("t"), name=E, windows=[{"start": "12:00", "end": "13:00"}])
    await stores.jobs.claim_tasks(10, NOW)
    assert (await stores.executions.stop(E, NOW)).state_message == ""


async def test_others_go_on_while_one_policy_waits(stores: Stores) -> None:
    await limited(stores, a_task("a"), name="a", windows=[{"start": "12:00", "end": "13:00"}])
    await limited(stores, a_task("b"), name="b", policy="policies/q")
    assert [job.key.task for job in await stores.jobs.claim_tasks(10, NOW)] == ["b"]
