"""What users of Harbor's replication rely on, over the whole stack and real registries.

The numbers are those of the table in docs/harbor.md, which says where the rest of it is tested.
"""

import asyncio
import json
from pathlib import Path
from uuid import uuid4

import httpx
import pytest

from oci_client.testing import BuiltManifest, an_image, an_index
from tests.e2e.content import RealRegistry, skopeo_push, skopeo_raw
from tests.e2e.stack import END_TIMEOUT_S, Stack, a_policy, finished, register, run_to_end, state_of, tasks_of
from tests.e2e.telling import executions_of, follow, telling, told, until
from transship.execution.v1.execution_pb2 import Execution
from transship.policy.v1.policy_pb2 import Deletion, Policy
from transship.sdk import (
    ErrorKind,
    TransshipClient,
    TransshipError,
    destination,
    name_filter,
    scheduled,
    tag_filter,
)
from transship.type.v1.transfer_pb2 import TransferOptions

pytestmark = pytest.mark.e2e

_FOREIGN = (
    "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip",
    "application/vnd.oci.image.layer.nondistributable.v1.tar+gzip",
)
# A layer that takes half a minute at this pace: no test waits for its end.
_LARGE_BYTES = 32 << 20
_SLOW = TransferOptions(max_bytes_per_second=1 << 20)


async def _between(client: TransshipClient, source: RealRegistry, goal: RealRegistry) -> Policy:
    return a_policy(await register(client, source.url), destination(await register(client, goal.url)))


async def _while_copying(client: TransshipClient, policy: Policy) -> Execution:
    """Starts it, and returns once bytes have come to the destination and a task has failed, if one is to."""
    started = await client.executions.start(policy)
    async with asyncio.timeout(END_TIMEOUT_S):
        async for each in client.executions.watch(started.name):
            if each.progress.bytes_copied:
                return each
    raise AssertionError("it has ended")


def _without(registry: RealRegistry, repository: str, digest: str) -> None:
    """Takes a blob away from under its manifests."""
    httpx.delete(f"{registry.url}/v2/{repository}/blobs/{digest}", trust_env=False).raise_for_status()


def _layer(built: BuiltManifest) -> str:
    return str(json.loads(built.manifest)["layers"][-1]["digest"])


async def test_parity_01_an_unchanged_tag_costs_no_blob_and_no_push(
    client: TransshipClient, plain: RealRegistry, other: RealRegistry
) -> None:
    skopeo_push(plain, {"app:1.0": an_index(seed=1), "app:1.1": an_image(seed=5), "tool:1": an_image(seed=9)})
    policy = await _between(client, plain, other)
    assert state_of(await run_to_end(client, policy)) == "SUCCEEDED"
    asked, of_goal = len(plain.server.requests), len(other.server.requests)

    again = await run_to_end(client, policy)

    assert (state_of(again), again.progress.references_unchanged) == ("SUCCEEDED", 3)
    for requests in (plain.server.requests[asked:], other.server.requests[of_goal:]):
        assert {each.method for each in requests if "/manifests/" in each.path} == {"HEAD"}
        assert [each for each in requests if "/blobs/" in each.path] == []


@pytest.mark.parametrize("override", [False, True])
async def test_parity_02_and_03_a_changed_tag_stays_or_is_overwritten(
    client: TransshipClient, plain: RealRegistry, other: RealRegistry, override: bool
) -> None:
    old, new, added = (an_image(seed=seed) for seed in (1, 2, 3))
    skopeo_push(plain, {"app:latest": new, "app:next": added})
    skopeo_push(other, {"app:latest": old})
    policy = await _between(client, plain, other)
    policy.override = override

    execution = await run_to_end(client, policy)

    assert state_of(execution) == "SUCCEEDED"
    done = execution.progress
    assert (done.references_copied, done.references_skipped) == ((2, 0) if override else (1, 1))
    assert other.tags() == {"app:latest": (new if override else old).digest, "app:next": added.digest}


async def test_parity_04_an_index_with_attestations_arrives_byte_for_byte(
    client: TransshipClient, plain: RealRegistry, other: RealRegistry
) -> None:
    index = an_index(seed=1, attestation=True)
    skopeo_push(plain, {"app:1.0": index})

    execution = await run_to_end(client, await _between(client, plain, other))

    assert state_of(execution) == "SUCCEEDED"
    assert skopeo_raw(other, "app:1.0") == index.manifest
    for child in index.children:
        assert skopeo_raw(other, f"app@{child.digest}") == child.manifest


async def test_parity_05_a_child_that_is_there_is_not_sent_again(
    client: TransshipClient, plain: RealRegistry, other: RealRegistry
) -> None:
    index = an_index(seed=1)
    there, missing = index.children
    plain.put("app", index, "1.0")
    other.put("app", there, "amd64")
    asked, of_goal = len(plain.server.requests), len(other.server.requests)

    execution = await run_to_end(client, await _between(client, plain, other))

    assert state_of(execution) == "SUCCEEDED"
    pushed = {each.path for each in other.server.requests[of_goal:] if each.method == "PUT" and "manifest" in each.path}
    assert pushed == {f"/v2/app/manifests/{missing.digest}", "/v2/app/manifests/1.0"}
    read = {each.path for each in plain.server.requests[asked:] if each.method == "GET" and "/blobs/" in each.path}
    assert read == {f"/v2/app/blobs/{digest}" for digest in missing.blobs.keys() - there.blobs.keys()}
    assert other.tags() == {"app:1.0": index.digest, "app:amd64": there.digest}


@pytest.mark.parametrize("media_type", _FOREIGN)
async def test_parity_06_a_foreign_layer_is_left_where_it_lives(
    client: TransshipClient, plain: RealRegistry, other: RealRegistry, media_type: str
) -> None:
    built = an_image([100, 5000], seed=2, docker="docker" in media_type)
    document = json.loads(built.manifest)
    foreign = document["layers"][-1]
    foreign |= {"mediaType": media_type, "urls": ["https://layers.example/windows"]}
    # The source does not have it either.
    kept = {digest: blob for digest, blob in built.blobs.items() if digest != foreign["digest"]}
    image = BuiltManifest(media_type=built.media_type, manifest=json.dumps(document).encode(), blobs=kept)
    plain.put("windows", image, "1")
    asked = len(plain.server.requests)

    execution = await run_to_end(client, await _between(client, plain, other))

    assert state_of(execution) == "SUCCEEDED"
    assert other.tags() == {"windows:1": image.digest}
    assert skopeo_raw(other, "windows:1") == image.manifest
    assert [each for each in plain.server.requests[asked:] if foreign["digest"] in each.path] == []


async def test_parity_07_nothing_that_matches_is_a_success_that_says_so(
    client: TransshipClient, plain: RealRegistry, other: RealRegistry
) -> None:
    plain.put("app", an_image(), "1.0")
    policy = await _between(client, plain, other)
    policy.filters.append(tag_filter("nothing-*"))

    execution = await run_to_end(client, policy)

    assert state_of(execution) == "SUCCEEDED"
    assert execution.task_counts.total == 0
    assert execution.state_message != ""


async def test_parity_08_a_disabled_policy_is_not_started_and_has_no_next_run(
    client: TransshipClient, plain: RealRegistry, other: RealRegistry
) -> None:
    policy = await client.policies.create(
        f"disabled-{uuid4().hex[:12]}",
        source_registry=await register(client, plain.url),
        destinations=[destination(await register(client, other.url))],
        trigger=scheduled("0 3 1 1 *"),
    )
    assert policy.HasField("next_run_time")

    disabled = await client.policies.update(policy.name, disabled=True)

    assert not disabled.HasField("next_run_time")
    with pytest.raises(TransshipError) as caught:
        await client.executions.start(policy.name)
    assert (caught.value.kind, caught.value.reason) == (ErrorKind.FAILED_PRECONDITION, "POLICY_DISABLED")
    assert [each async for each in client.executions.list(policy=policy.name)] == []


async def test_parity_09_what_waits_is_stopped_and_what_runs_is_stopped_within_a_blob(
    client: TransshipClient, plain: RealRegistry, other: RealRegistry
) -> None:
    for seed, repository in enumerate(("one", "two", "three")):
        plain.put(repository, an_image([_LARGE_BYTES], seed=seed), "1")
    policy = await _between(client, plain, other)
    policy.options.CopyFrom(_SLOW)
    policy.max_parallel_tasks = 1

    running = await _while_copying(client, policy)
    await client.executions.stop(running.name)
    ended = await finished(client, running.name)

    assert (running.task_counts.running, running.task_counts.pending) == (1, 2)
    assert state_of(ended) == "STOPPED"
    assert ended.task_counts.stopped == ended.task_counts.total == 3
    assert 0 < ended.progress.bytes_copied < _LARGE_BYTES
    assert other.tags() == {}


async def test_parity_10_a_tag_that_fails_leaves_the_others_alone(
    client: TransshipClient, plain: RealRegistry, other: RealRegistry
) -> None:
    good, bad = an_image(seed=1), an_image([4321], seed=2)
    plain.put("app", good, "good")
    plain.put("app", bad, "bad")
    _without(plain, "app", _layer(bad))

    execution = await run_to_end(client, await _between(client, plain, other))

    assert state_of(execution) == "FAILED"
    (task,) = await tasks_of(client, execution.name)
    assert (task.failure.reason, task.failure.http_status) == ("BLOB_UNKNOWN", 404)
    assert other.tags() == {"app:good": good.digest}


async def test_parity_12_and_13_what_cannot_be_named_fails_alone(
    client: TransshipClient, plain: RealRegistry, other: RealRegistry
) -> None:
    """Two sources on one name are told, where Harbor overwrites; a path that is too short fails itself, not the run."""
    for seed, repository in enumerate(("x/a/same", "x/b/same", "short", "x/y/fits")):
        plain.put(repository, an_image(seed=seed), "1")
    to = destination(await register(client, other.url), namespace="n", replace_count=2)
    policy = a_policy(await register(client, plain.url), to, filters=[name_filter("**")])

    execution = await run_to_end(client, policy)

    assert state_of(execution) == "FAILED"
    reasons = {task.source_repository: task.failure.reason for task in await tasks_of(client, execution.name)}
    assert reasons == {
        "x/a/same": "DESTINATION_COLLISION",
        "x/b/same": "DESTINATION_COLLISION",
        "short": "MAPPING_INVALID",
        "x/y/fits": "",
    }
    assert other.tags() == {"n/fits:1": plain.tags()["x/y/fits:1"]}


async def test_parity_14_a_registry_that_a_policy_uses_is_not_deleted(
    client: TransshipClient, plain: RealRegistry, other: RealRegistry
) -> None:
    source, goal = await register(client, plain.url), await register(client, other.url)
    policy = await client.policies.create(
        f"uses-{uuid4().hex[:12]}", source_registry=source, destinations=[destination(goal)]
    )

    for used in (source, goal):
        with pytest.raises(TransshipError) as caught:
            await client.registries.delete(used)
        assert (caught.value.kind, caught.value.reason) == (ErrorKind.FAILED_PRECONDITION, "REGISTRY_IN_USE")

    await client.policies.delete(policy.name)
    for used in (source, goal):
        await client.registries.delete(used)


async def test_parity_16_running_comes_before_failed_and_failed_before_stopped(
    client: TransshipClient, plain: RealRegistry, other: RealRegistry
) -> None:
    bad = an_image(seed=1)
    plain.put("bad", bad, "1")
    _without(plain, "bad", _layer(bad))
    plain.put("large", an_image([_LARGE_BYTES], seed=2), "1")
    policy = await _between(client, plain, other)
    policy.options.CopyFrom(_SLOW)

    started = await client.executions.start(policy)
    async with asyncio.timeout(END_TIMEOUT_S):
        async for running in client.executions.watch(started.name):
            if running.task_counts.failed and running.progress.bytes_copied:
                break
    await client.executions.stop(started.name)
    ended = await finished(client, started.name)

    assert (state_of(running), running.task_counts.running) == ("RUNNING", 1)
    assert state_of(ended).startswith("FAILED")
    assert (ended.task_counts.failed, ended.task_counts.stopped) == (1, 1)


@pytest.mark.parametrize("cron", ["* * * * *", "* * * * * *", "*/30 * * * * *", "* 3 * * * *"])
async def test_parity_18_a_schedule_of_every_second_or_minute_is_refused(client: TransshipClient, cron: str) -> None:
    with pytest.raises(TransshipError) as caught:
        await client.policies.create(
            "too-often",
            source_registry="registries/a",
            destinations=[destination("registries/b")],
            trigger=scheduled(cron),
        )

    assert caught.value.kind is ErrorKind.INVALID_ARGUMENT
    (violation,) = caught.value.violations
    assert (violation.field, violation.reason) == ("policy.trigger.scheduled.cron", "SCHEDULE_TOO_FREQUENT")


async def test_parity_19_a_deleted_tag_takes_no_other_one_along(
    stack: Stack, client: TransshipClient, plain: RealRegistry, tmp_path: Path
) -> None:
    """docker-registry 2 deletes manifests only: what shares its manifest with another tag stays, and that is told."""
    alone, shared = an_image(seed=1), an_image(seed=2)
    async with telling(client, stack, tmp_path / "telling") as (source, source_name):
        policy = await follow(client, source_name, await register(client, plain.url), deletion=Deletion(on_event=True))
        await asyncio.to_thread(skopeo_push, source, {"alone:1": alone, "shared:1": shared})
        everything = {"alone:1": alone.digest, "shared:1": shared.digest}
        assert await until(plain, lambda tags: len(tags) == 2) == everything
        await told(client, source_name, at_least=2)
        pushed = await executions_of(client, policy)
        plain.put("shared", shared, "kept-by-hand")

        async with httpx.AsyncClient(base_url=source.url, trust_env=False) as http:
            for repository, digest in (("alone", alone.digest), ("shared", shared.digest)):
                answer = await http.delete(f"/v2/{repository}/manifests/{digest}")
                assert answer.status_code == 202

        left = everything | {"shared:kept-by-hand": shared.digest}
        del left["alone:1"]
        assert await until(plain, lambda tags: "alone:1" not in tags) == left
        await told(client, source_name, at_least=4)
        deletions = (await executions_of(client, policy))[len(pushed) :]

    assert plain.tags() == left
    assert sum(each.progress.references_deleted for each in deletions) == 1
    tasks = [task for each in deletions for task in await tasks_of(client, each.name)]
    assert {task.failure.reason for task in tasks if task.source_repository == "shared"} == {"TAG_DELETION_UNSUPPORTED"}
    assert {task.failure.reason for task in tasks if task.source_repository == "alone"} == {""}
