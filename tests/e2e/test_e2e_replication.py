"""What a policy selects arrives, bit for bit, and nothing else does; what is there already costs nothing."""

from pathlib import Path

import pytest

from oci_client.testing import FakeRegistry, an_image
from tests.e2e.content import RealRegistry, everything, nested, skopeo_pull, skopeo_push, skopeo_raw
from tests.e2e.stack import a_policy, register, run_to_end, state_of, tags_in_results, tasks_of
from transship.sdk import TransshipClient, destination, name_filter, tag_filter

pytestmark = pytest.mark.e2e

_SELECTION = (
    name_filter("library/**"),
    name_filter("library/secret", exclude=True),
    tag_filter("1.*"),
    tag_filter("*-rc", exclude=True),
)
_SELECTED = ("library/app:1.0", "library/app:1.1", "library/tools/chart:1.7", "library/tools/nested:1.0")


async def test_the_selected_tags_arrive_everywhere_with_their_digests_and_no_others(
    client: TransshipClient, plain: RealRegistry, guarded: RealRegistry, other: RealRegistry, tmp_path: Path
) -> None:
    skopeo_push(plain, everything())
    plain.put("library/tools/nested", nested(), "1.0")
    source, mirror, twin = [await register(client, each.url, each.credential) for each in (plain, guarded, other)]
    policy = await client.policies.create(
        source.replace("registries/", "policy-of-"),
        source_registry=source,
        destinations=[destination(mirror, namespace="mirror/of"), destination(twin)],
        filters=_SELECTION,
    )

    execution = await run_to_end(client, policy.name)

    assert state_of(execution) == "SUCCEEDED"
    assert (execution.task_counts.total, execution.progress.references_copied) == (6, 8)
    at_source = plain.tags()
    selected = {name: at_source[name] for name in _SELECTED}
    assert other.tags() == selected
    assert guarded.tags() == {f"mirror/of/{name.rpartition('/')[2]}": digest for name, digest in selected.items()}
    for name in _SELECTED:
        raw = skopeo_raw(plain, name)
        assert skopeo_raw(other, name) == raw
        assert skopeo_raw(guarded, f"mirror/of/{name.rpartition('/')[2]}") == raw
    skopeo_pull(guarded, "mirror/of/app:1.0", str(tmp_path / "pulled"))


async def test_a_repository_with_many_tags_is_spread_over_several_tasks(client: TransshipClient) -> None:
    images = [an_image([32], seed=seed) for seed in range(30)]
    async with FakeRegistry() as source, FakeRegistry() as goal:
        for number in range(300):
            source.push("library/many", images[number % 30], f"v{number}")
        policy = a_policy(await register(client, source.url), destination(await register(client, goal.url)))

        execution = await run_to_end(client, policy)

        assert state_of(execution) == "SUCCEEDED"
        tasks = await tasks_of(client, execution.name)
        assert sorted(task.reference_count for task in tasks) == [100, 100, 100]
        assert tags_in_results(tasks) == {f"library/many:v{number}": 1 for number in range(300)}
        assert goal.store.repository("library/many").tags == source.store.repository("library/many").tags
