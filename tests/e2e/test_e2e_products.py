"""From a Harbor to Docker Hub and back to a Harbor, through the four services."""

from uuid import uuid4

import pytest

from oci_client.testing import Action, an_artifact, an_image, an_index
from tests.e2e.stack import a_policy, run_to_end, state_of, tasks_of
from tests.fakes.docker_hub import FakeDockerHub
from tests.fakes.harbor import FakeHarbor
from transship.registry.v1.registry_pb2 import Credential
from transship.sdk import TransshipClient, destination, name_filter

pytestmark = pytest.mark.e2e


async def _register(client: TransshipClient, type_: str, url: str, username: str, password: str) -> str:
    name = f"{type_}-{uuid4().hex[:12]}"
    await client.registries.create(
        name, type=type_, url=url, credential=Credential(username=username, password=password)
    )
    return f"registries/{name}"


async def test_a_harbor_is_mirrored_to_docker_hub_and_then_costs_its_source_no_manifest(
    client: TransshipClient,
) -> None:
    async with FakeHarbor() as harbor, FakeDockerHub() as hub:
        image = an_image((2048,), seed=1)
        expected = {
            "1.0": harbor.push("team/app", an_index(), "1.0"),
            "2.0": harbor.push("team/app", image, "2.0"),
        }
        harbor.push("team/app", an_artifact("application/spdx+json", subject=image))
        bare = harbor.push("team/app", an_image((512,), seed=2))
        harbor.add_project("cache", registry_id=1)
        harbor.push_image("cache/app", "1.0")
        hub.organisations["mirror"] = True
        source = await _register(client, "harbor", harbor.url, harbor.username, harbor.password)
        goal = await _register(client, "docker-hub", hub.registry.url, hub.username, hub.password)
        policy = a_policy(source, destination(goal, namespace="mirror"))

        first = await run_to_end(client, policy)
        harbor.registry.log.reset()
        second = await run_to_end(client, policy)

        assert (state_of(first), state_of(second)) == ("SUCCEEDED", "SUCCEEDED")
        mirrored = hub.registry.store.find("mirror/app")
        assert mirrored is not None
        assert mirrored.tags == expected
        assert {*expected.values(), bare} <= mirrored.manifests.keys()
        assert second.progress.references_unchanged == 3
        assert harbor.registry.log.count(action=Action.MANIFEST) == 0
        assert hub.registry.store.names == ["mirror/app"]


async def test_projects_are_made_and_what_cannot_be_filled_is_no_failure_of_the_rest(client: TransshipClient) -> None:
    async with FakeDockerHub() as hub, FakeHarbor() as harbor:
        for name in ("library/nginx", "team/app", "cached/app"):
            hub.push_image(name, "1")
        harbor.add_project("cached", registry_id=1)
        source = await _register(client, "docker-hub", hub.registry.url, hub.username, hub.password)
        goal = await _register(client, "harbor", harbor.url, harbor.username, harbor.password)
        names = [name_filter("{library,team,cached}/**")]

        execution = await run_to_end(client, a_policy(source, destination(goal), filters=names))

        assert state_of(execution) == "SUCCEEDED"
        assert harbor.registry.store.names == ["library/nginx", "team/app"]
        assert {name: each.public for name, each in harbor.projects.items() if name != "cached"} == {
            "library": False,
            "team": False,
        }
        by_source = {task.source_repository: task for task in await tasks_of(client, execution.name)}
        assert by_source["cached/app"].failure.reason == "PROXY_CACHE_PROJECT"


async def test_who_may_not_make_a_project_hears_its_name(client: TransshipClient) -> None:
    async with FakeDockerHub() as hub, FakeHarbor(username="robot$push", creates_projects=False) as harbor:
        hub.push_image("team/app", "1")
        hub.push_image("there/app", "1")
        harbor.add_project("there")
        source = await _register(client, "docker-hub", hub.registry.url, hub.username, hub.password)
        goal = await _register(client, "harbor", harbor.url, harbor.username, harbor.password)

        execution = await run_to_end(
            client, a_policy(source, destination(goal), filters=[name_filter("{team,there}/**")])
        )

        assert state_of(execution) == "FAILED"
        assert harbor.registry.store.names == ["there/app"]
        by_source = {task.source_repository: task for task in await tasks_of(client, execution.name)}
        assert by_source["team/app"].failure.reason == "NAMESPACE_NOT_CREATED"
        assert by_source["team/app"].failure.metadata["namespace"] == "team"
