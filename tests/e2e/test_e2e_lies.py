"""A source that lies fails what it lies about, with its reason, and nothing else; once mended, a retry is enough."""

import pytest

from oci_client.testing import Action, FakeRegistry, Match, digest_of, effects
from oci_client.testing.faults import Effect
from tests.e2e.stack import a_policy, finished, register, run_to_end, state_of, tags_in_results, tasks_of
from transship.execution.v1.task_pb2 import Task
from transship.sdk import TransshipClient, destination
from transship.type.v1.transfer_pb2 import Failure, ReferenceResult

pytestmark = pytest.mark.e2e

_GOOD = ("good/one", "good/two", "good/cut-again-and-again")
_OTHER_DIGEST = effects.with_header("Docker-Content-Digest", digest_of(b"another manifest"))
_PAGE = effects.answer_with(200, html=True)
# What the source does in a repository, when asked for what, and the reason that it is told with.
_LIES: dict[str, tuple[Effect, Action, str]] = {
    "bad/blob-changed": (effects.flip_byte(at=100), Action.BLOB, "DIGEST_MISMATCH"),
    "bad/blob-short": (effects.truncate(to=150), Action.BLOB, "SIZE_MISMATCH"),
    "bad/blob-cut": (effects.cut_download(after=0), Action.BLOB, "BODY_TRUNCATED"),
    "bad/blob-gone": (effects.answer_with(404, code="BLOB_UNKNOWN"), Action.BLOB, "BLOB_UNKNOWN"),
    "bad/manifest-garbled": (effects.flip_byte(at=100), Action.MANIFEST, "DIGEST_MISMATCH"),
    "bad/manifest-other": (_OTHER_DIGEST, Action.MANIFEST, "DIGEST_MISMATCH"),
    "bad/manifest-page": (_PAGE, Action.MANIFEST, "UNEXPECTED_ANSWER"),
    "bad/tags-page": (_PAGE, Action.TAGS, "UNEXPECTED_ANSWER"),
}


async def test_each_lie_fails_its_repository_with_its_reason_and_no_other(client: TransshipClient) -> None:
    async with FakeRegistry() as source, FakeRegistry() as goal:
        for seed, repository in enumerate([*_GOOD, *_LIES]):
            source.push_image(repository, "1.0", [5_000], seed=seed)
        for repository, (effect, action, _) in _LIES.items():
            source.misbehave(effect, match=Match(action=action, repository=repository))
        cut = Match(action=Action.BLOB, repository=_GOOD[-1])
        source.misbehave(effects.cut_download(after=1_000), match=cut)  # no lie: each answer goes on where one was cut
        policy = a_policy(await register(client, source.url), destination(await register(client, goal.url)))

        execution = await run_to_end(client, policy)

        tasks = {task.source_repository: task for task in await tasks_of(client, execution.name)}
        assert state_of(execution) == "FAILED"
        assert {name: task.failure.reason for name, task in tasks.items()} == {
            **dict.fromkeys(_GOOD, ""),
            **{repository: reason for repository, (_, _, reason) in _LIES.items()},
        }
        assert {task.failure.side for name, task in tasks.items() if name in _LIES} == {Failure.SIDE_SOURCE}
        assert {name for name, task in tasks.items() if task.state == Task.STATE_SUCCEEDED} == set(_GOOD)
        assert (execution.task_counts.failed, execution.task_counts.succeeded) == (len(_LIES), len(_GOOD))
        for name in goal.store.names:
            there = goal.store.repository(name)
            assert (there.manifests.keys(), there.tags) == (
                (source.store.repository(name).manifests.keys(), source.store.repository(name).tags)
                if name in _GOOD
                else (set(), {})
            )
            assert all(digest_of(b"".join(blob.pieces())) == digest for digest, blob in there.blobs.items())


async def test_a_retry_after_the_source_was_mended_does_what_was_left(client: TransshipClient) -> None:
    async with FakeRegistry() as source, FakeRegistry() as goal:
        for seed, repository in enumerate(("app", "broken")):
            source.push_image(repository, "1.0", seed=seed)
        source.misbehave(effects.answer_with(404), match=Match(action=Action.BLOB, repository="broken"))
        policy = a_policy(await register(client, source.url), destination(await register(client, goal.url)))
        failed = await run_to_end(client, policy)
        assert (state_of(failed), failed.task_counts.failed) == ("FAILED", 1)
        source.behave()
        goal.log.reset()

        await client.executions.retry(failed.name)
        mended = await finished(client, failed.name)

        assert state_of(mended) == "SUCCEEDED"
        assert (mended.task_counts.total, mended.task_counts.succeeded) == (2, 2)
        tasks = await tasks_of(client, mended.name)
        assert tags_in_results(tasks) == {"app:1.0": 1, "broken:1.0": 1}
        assert {each.outcome for task in tasks for each in task.results} == {ReferenceResult.OUTCOME_COPIED}
        assert goal.store.repository("broken").tags == source.store.repository("broken").tags
        assert goal.log.count(repository="app") == 0
