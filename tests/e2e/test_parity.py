"""What users of Harbor's replication rely on, over the whole stack; docs/harbor.md says where the rest of it is tested."""

import json
from uuid import uuid4

import pytest

from oci_client.testing import Action, BuiltManifest, FakeRegistry, Match, an_image, an_index
from tests.e2e.stack import a_policy, register, run_to_end, state_of, tasks_of
from transship.sdk import (
    ErrorKind,
    TransshipClient,
    TransshipError,
    destination,
    name_filter,
    scheduled,
    tag_filter,
)

pytestmark = pytest.mark.e2e

_FOREIGN = "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip"


async def test_parity_05_a_child_that_is_there_is_not_sent_again(client: TransshipClient) -> None:
    index = an_index(seed=1)
    child = index.children[0]
    async with FakeRegistry() as source, FakeRegistry() as goal:
        source.push("app", index, "1.0")
        goal.push("app", child, "amd64")
        policy = a_policy(await register(client, source.url), destination(await register(client, goal.url)))

        execution = await run_to_end(client, policy)

        assert state_of(execution) == "SUCCEEDED"
        assert goal.store.repository("app").tags == {"1.0": index.digest, "amd64": child.digest}
        pushed = {
            each.path.rpartition("/")[2]
            for each in goal.requests
            if (each.action, each.method) == (Action.MANIFEST, "PUT")
        }
        assert pushed == {index.children[1].digest, "1.0"}
        assert source.log.count(action=Action.BLOB) == len(index.children[1].blobs.keys() - child.blobs.keys())


async def test_parity_06_a_foreign_layer_is_left_where_it_lives(client: TransshipClient) -> None:
    built = an_image([100, 5000], seed=2)
    document = json.loads(built.manifest)
    foreign = document["layers"][-1]
    foreign |= {"mediaType": _FOREIGN, "urls": ["https://layers.example/windows"]}
    # The source does not have it either.
    kept = {digest: blob for digest, blob in built.blobs.items() if digest != foreign["digest"]}
    image = BuiltManifest(media_type=built.media_type, manifest=json.dumps(document).encode(), blobs=kept)
    async with FakeRegistry() as source, FakeRegistry() as goal:
        digest = source.push("windows", image, "1")
        policy = a_policy(await register(client, source.url), destination(await register(client, goal.url)))

        execution = await run_to_end(client, policy)

        assert state_of(execution) == "SUCCEEDED"
        assert goal.store.repository("windows").tags == {"1": digest}
        assert goal.store.repository("windows").blobs.keys() == kept.keys()


async def test_parity_07_nothing_that_matches_is_a_success_that_says_so(client: TransshipClient) -> None:
    async with FakeRegistry() as source, FakeRegistry() as goal:
        source.push_image("app", "1.0")
        to = destination(await register(client, goal.url))
        policy = a_policy(await register(client, source.url), to, filters=[tag_filter("nothing-*")])

        execution = await run_to_end(client, policy)

        assert state_of(execution) == "SUCCEEDED"
        assert execution.task_counts.total == 0
        assert execution.state_message != ""


async def test_parity_08_a_disabled_policy_is_not_started_and_has_no_next_run(client: TransshipClient) -> None:
    async with FakeRegistry() as source, FakeRegistry() as goal:
        policy = await client.policies.create(
            f"disabled-{uuid4().hex[:12]}",
            source_registry=await register(client, source.url),
            destinations=[destination(await register(client, goal.url))],
            trigger=scheduled("0 3 1 1 *"),
        )
        assert policy.HasField("next_run_time")

        disabled = await client.policies.update(policy.name, disabled=True)

        assert not disabled.HasField("next_run_time")
        with pytest.raises(TransshipError) as caught:
            await client.executions.start(policy.name)
        assert (caught.value.kind, caught.value.reason) == (ErrorKind.FAILED_PRECONDITION, "POLICY_DISABLED")
        assert [each async for each in client.executions.list(policy=policy.name)] == []


async def test_parity_10_a_tag_that_fails_leaves_the_others_alone(client: TransshipClient) -> None:
    async with FakeRegistry() as source, FakeRegistry() as goal:
        good = source.push_image("app", "good", seed=1)
        source.push_image("app", "bad", [4321], seed=2)
        lost = json.loads(an_image([4321], seed=2).manifest)["layers"][0]["digest"]
        match = Match(action=Action.BLOB, repository="app", path=lost)
        source.fail_next(404, count=1_000, match=match, code="BLOB_UNKNOWN")
        policy = a_policy(await register(client, source.url), destination(await register(client, goal.url)))

        execution = await run_to_end(client, policy)

        assert state_of(execution) == "FAILED"
        (task,) = await tasks_of(client, execution.name)
        assert (task.failure.reason, task.failure.http_status) == ("BLOB_UNKNOWN", 404)
        assert goal.store.repository("app").tags == {"good": good}


async def test_parity_12_and_13_what_cannot_be_named_fails_alone(client: TransshipClient) -> None:
    """Two sources on one name are told, where Harbor overwrites; a path that is too short fails itself, not the run."""
    async with FakeRegistry() as source, FakeRegistry() as goal:
        for seed, repository in enumerate(("x/a/same", "x/b/same", "short", "x/y/fits")):
            source.push_image(repository, "1", seed=seed)
        to = destination(await register(client, goal.url), namespace="n", replace_count=2)
        policy = a_policy(await register(client, source.url), to, filters=[name_filter("**")])

        execution = await run_to_end(client, policy)

        assert state_of(execution) == "FAILED"
        reasons = {task.source_repository: task.failure.reason for task in await tasks_of(client, execution.name)}
        assert reasons == {
            "x/a/same": "DESTINATION_COLLISION",
            "x/b/same": "DESTINATION_COLLISION",
            "short": "MAPPING_INVALID",
            "x/y/fits": "",
        }
        assert goal.store.names == ["n/fits"]
