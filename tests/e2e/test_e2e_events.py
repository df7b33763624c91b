"""A real docker-registry tells of what really happens to it, and the copies follow."""

import asyncio
import os
import signal
from pathlib import Path

import httpx
import pytest

from oci_client.testing import an_artifact, an_image, an_index
from tests.e2e.content import RealRegistry, skopeo_push
from tests.e2e.stack import Stack, finished, register, state_of
from tests.e2e.telling import executions_of, follow, telling, told, until
from transship.execution.v1.execution_pb2 import EventResource, Execution
from transship.local.state import LocalStack
from transship.policy.v1 import event_pb2 as pb
from transship.policy.v1.policy_pb2 import Deletion
from transship.sdk import TransshipClient, name_filter
from transship.type.v1.transfer_pb2 import TransferOptions

pytestmark = pytest.mark.e2e


async def test_a_push_is_copied_and_what_the_filters_leave_out_is_not(
    stack: Stack, client: TransshipClient, plain: RealRegistry, tmp_path: Path
) -> None:
    async with telling(client, stack, tmp_path / "telling") as (source, source_name):
        goal_name = await register(client, plain.url)
        policy = await follow(client, source_name, goal_name, filters=[name_filter("library/**")])
        index = an_index(seed=10)

        await asyncio.to_thread(skopeo_push, source, {"team/app:1.0": an_image(seed=60), "library/app:1.0": index})

        assert await until(plain, lambda tags: bool(tags)) == {"library/app:1.0": index.digest}
        news = await told(client, source_name)
        ended = await executions_of(client, policy)

    assert {state_of(each) for each in ended} == {"SUCCEEDED"}
    assert {(each.trigger, each.started_by) for each in ended} == {
        (Execution.TRIGGER_EVENT, f"events at {source_name}")
    }
    resources = [resource for each in ended for resource in each.event_resources]
    assert (
        EventResource(operation=EventResource.OPERATION_PUSH, repository="library/app", tag="1.0", digest=index.digest)
        in resources
    )
    assert {each.repository for each in resources} == {"library/app"}
    assert {name for each in news if each.repository == "library/app" for name in each.executions} == {
        each.name for each in ended
    }
    assert [each.executions for each in news if each.repository == "team/app"] == [[]]


async def test_what_a_run_would_leave_out_does_not_come_by_the_digest_of_its_push(
    stack: Stack, client: TransshipClient, plain: RealRegistry, tmp_path: Path
) -> None:
    """A client pushes the images of an index by their digests before it pushes the tag, and a signature after it."""
    index, image = an_index(seed=10), an_image(seed=20)
    wanted, unwanted = index.children
    signature = an_artifact("application/vnd.example.signature", seed=30, subject=image)
    async with telling(client, stack, tmp_path / "telling") as (source, source_name):
        goal_name = await register(client, plain.url)
        await follow(client, source_name, goal_name, options=TransferOptions(platforms=["linux/amd64"]))
        source.put("library/app", index, "1.0")
        source.put("library/app", image, "1.1")
        source.put("library/app", signature, signature.digest)

        await until(plain, lambda tags: len(tags) == 2)
        for event in await told(client, source_name, at_least=5):
            for name in event.executions:
                await finished(client, name)

    url = f"{plain.url}/v2/library/app/manifests"
    async with httpx.AsyncClient(headers={"Accept": image.media_type}, trust_env=False) as http:
        found = [await http.get(f"{url}/{each.digest}") for each in (wanted, unwanted, signature)]
    assert [each.status_code for each in found] == [200, 404, 404]


async def test_a_deletion_is_carried_out_where_the_policy_says_so_and_nowhere_else(
    stack: Stack, client: TransshipClient, plain: RealRegistry, other: RealRegistry, tmp_path: Path
) -> None:
    old, new = an_image(seed=10), an_image(seed=20)
    async with telling(client, stack, tmp_path / "telling") as (source, source_name):
        mirror, archive = await register(client, plain.url), await register(client, other.url)
        mirroring = await follow(client, source_name, mirror, deletion=Deletion(on_event=True))
        archiving = await follow(client, source_name, archive)
        await asyncio.to_thread(skopeo_push, source, {"library/app:1.0": old, "library/app:2.0": new})
        everything = {"library/app:1.0": old.digest, "library/app:2.0": new.digest}
        for goal in (plain, other):
            assert await until(goal, lambda tags: len(tags) == 2) == everything

        async with httpx.AsyncClient(base_url=source.url, trust_env=False) as http:
            assert (await http.delete(f"/v2/library/app/manifests/{old.digest}")).status_code == 202

        assert await until(plain, lambda tags: len(tags) < 2) == {"library/app:2.0": new.digest}
        news = await told(client, source_name)
        ended = [await executions_of(client, policy) for policy in (mirroring, archiving)]

    assert await until(other, bool) == everything
    assert {state_of(each) for of_policy in ended for each in of_policy} == {"SUCCEEDED"}
    deletions = [each for each in news if each.kind == pb.Event.KIND_DELETE]
    assert {(each.tag, each.digest) for each in deletions} == {("1.0", ""), ("", old.digest)}
    started = {name for each in deletions for name in each.executions}
    assert started
    assert started <= {each.name for each in ended[0]}


async def test_a_push_while_nobody_listens_is_copied_when_somebody_does(
    stack: Stack, client: TransshipClient, plain: RealRegistry, tmp_path: Path
) -> None:
    image = an_image(seed=10)
    async with telling(client, stack, tmp_path / "telling") as (source, source_name):
        await follow(client, source_name, await register(client, plain.url))
        os.kill(stack.processes()["policy_svc"], signal.SIGKILL)

        await asyncio.to_thread(skopeo_push, source, {"library/app:1.0": image})

        assert await until(plain, bool) == {"library/app:1.0": image.digest}
        await stack.serves()


async def test_the_stack_tells_where_notifications_go(stack: Stack) -> None:
    events_url = LocalStack.load(stack.state).events_url
    shown = (await stack.cli("status", "-o", "json")).json
    assert events_url in {f"http://{each['http_endpoint']}" for each in shown["services"]}

    async with httpx.AsyncClient(base_url=events_url or "", trust_env=False) as http:
        answer = await http.post("/v1/events/nobody", headers={"Authorization": "Bearer x"})

    assert (answer.status_code, answer.json()["reason"]) == (404, "EVENT_SOURCE_NOT_FOUND")


async def test_a_push_does_not_bounce_between_two_policies(
    stack: Stack, client: TransshipClient, tmp_path: Path
) -> None:
    image = an_image(seed=10)
    async with (
        telling(client, stack, tmp_path / "left") as (left, left_name),
        telling(client, stack, tmp_path / "right") as (right, right_name),
    ):
        there = await follow(client, left_name, right_name)
        back = await follow(client, right_name, left_name)

        await asyncio.to_thread(skopeo_push, left, {"library/app:1.0": image})

        assert await until(right, bool) == {"library/app:1.0": image.digest}
        assert len(await told(client, right_name)) == 1
        ended = [await executions_of(client, policy) for policy in (there, back)]
        assert await asyncio.to_thread(left.tags) == {"library/app:1.0": image.digest}
        assert len(await told(client, left_name)) == 1

    assert [[state_of(each) for each in of_policy] for of_policy in ended] == [["SUCCEEDED"], ["SUCCEEDED"]]
    assert [ended[0][0].progress.references_copied, ended[1][0].progress.references_copied] == [1, 0]
