"""The command line over a running stack: what a person does from the first registry to the last log line."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import pytest

from oci_client.testing import FakeRegistry
from tests.e2e.content import RealRegistry, everything, skopeo_push
from tests.e2e.stack import ADAPTER, ROOT, Answer, Stack
from tests.registries import PASSWORD, USERNAME

pytestmark = pytest.mark.e2e
GUIDE = ROOT / "docs/policies.md"


def named(what: str) -> str:
    """A name that no other test has taken on the same stack."""
    return f"{what}-{uuid4().hex[:8]}"


async def test_from_the_first_registry_to_the_last_log_line(
    stack: Stack, plain: RealRegistry, guarded: RealRegistry
) -> None:
    skopeo_push(plain, {name: built for name, built in everything().items() if name.startswith("library/app:")})
    hub, mirror, nightly = named("hub"), named("mirror"), named("nightly")

    await stack.cli("registry", "create", hub, "--type", ADAPTER, "--url", plain.url)
    access = ("--username", USERNAME, "--password-stdin")
    await stack.cli("registry", "create", mirror, "--type", ADAPTER, "--url", guarded.url, *access, stdin=PASSWORD)
    listed = (await stack.cli("registry", "list", "-o", "json")).json
    assert {f"registries/{hub}", f"registries/{mirror}"} <= {each["name"] for each in listed}
    shown = await stack.cli("registry", "get", mirror)
    assert guarded.url in shown.out
    assert PASSWORD not in shown.out
    await stack.cli("registry", "ping", mirror)

    where = ("--source", hub, "--destination", mirror, "--namespace", "mirror")
    wrong = await stack.cli("policy", "create", nightly, *where, "--name", "library/[a", code=1)
    assert "policy.filters[0].glob" in wrong.err
    await stack.cli("policy", "create", nightly, *where, "--name", "library/**", "--tag", "1.*")
    used = await stack.cli("registry", "delete", hub, code=1)
    assert nightly in used.err

    ran = await stack.cli("run", nightly, "-o", "json")
    last = json.loads(ran.out.splitlines()[-1])
    assert (last["state"], last["progress"]["references_copied"]) == ("STATE_SUCCEEDED", "3")
    execution = last["name"].rpartition("/")[2]
    assert guarded.tags().keys() == {"mirror/app:1.0", "mirror/app:1.1", "mirror/app:1.2-rc"}
    assert execution in (await stack.cli("execution", "list", "--policy", nightly)).out
    [task] = (await stack.cli("execution", "tasks", execution, "-o", "json")).json
    assert (task["state"], task["destination_repository"]) == ("STATE_SUCCEEDED", "mirror/app")
    lines = (await stack.cli("execution", "logs", execution)).out.splitlines()
    assert all(any(tag in line for line in lines) for tag in ("1.0", "1.1", "1.2-rc"))
    ended = await stack.cli("execution", "stop", execution, code=1)
    assert_is_one_sentence(ended)

    source = (await stack.cli("event-source", "create", hub)).out
    assert re.search(rf"URL +http://127\.0\.0\.1:\d+/v1/events/{hub}", source)
    await stack.cli("policy", "update", nightly, "--clear", "filters", "--newest", "2")
    changed = (await stack.cli("policy", "get", nightly, "-o", "json")).json
    assert ("filters" in changed, changed["newest"]["count"]) == (False, 2)

    await stack.cli("policy", "delete", nightly)
    await stack.cli("registry", "delete", hub)
    assert_is_one_sentence(await stack.cli("registry", "get", hub, code=1))


async def test_a_copy_needs_nothing_prepared(stack: Stack) -> None:
    async with FakeRegistry() as source, FakeRegistry() as goal:
        digest = source.push_index("library/app", "1.0")
        source.push_image("library/app", "2.0", seed=9)

        copied = await stack.cli("copy", f"{source.host}/library/app:1.0", f"{goal.host}/copied")

        assert copied.out.startswith("SUCCEEDED: 1 of 1 tasks")
        assert goal.store.names == ["copied"]
        assert goal.store.repository("copied").tags == {"1.0": digest}
        absent = await stack.cli("copy", f"{source.host}/library/app:9.9", f"{goal.host}/copied", code=1)
        assert "There is no tag 9.9" in absent.err


async def test_the_guide_of_policies_is_true(stack: Stack) -> None:
    """Each file of docs/policies.md is taken by the real services, and once applied changes nothing a second time."""
    files = re.findall(r"^```yaml\n(.*?)^```", GUIDE.read_text(), re.MULTILINE | re.DOTALL)
    policies = [block for block in files if block.startswith("policies:")]
    assert len(policies) >= 8
    for name, adapter in (("hub", ADAPTER), ("mirror", ADAPTER), ("harbor", "harbor")):
        url = f"https://{name}.example"
        await stack.cli("registry", "create", name, "--type", adapter, "--url", url, "--no-check")
    for block in policies:
        await stack.cli("policy", "apply", "-f", "-", "--dry-run", stdin=block)
    assert (await stack.cli("policy", "export")).out.count("- id: nightly\n") == 0

    for block in policies:
        await stack.cli("policy", "apply", "-f", "-", "--yes", stdin=block)
        again = await stack.cli("policy", "apply", "-f", "-", "--yes", stdin=block)
        assert (again.out, again.err.count("nothing changes")) == ("", block.count("- id: "))
    ids = re.findall(r"- id: (\S+)", "".join(policies))
    exported = (await stack.cli("policy", "export", *ids)).out
    again = await stack.cli("policy", "apply", "-f", "-", "--yes", stdin=exported)
    assert again.err.count("nothing changes") == len(ids)


async def test_two_stacks_side_by_side(stack: Stack, second: Stack) -> None:
    for command in ("down", "status"):
        absent = await stack_is_not_running(second, command)
        assert "No stack is running in" in absent.err
    await second.cli("up", "--detach")
    async with FakeRegistry() as registry:
        await second.cli("registry", "create", "only-here", "--type", ADAPTER, "--url", registry.url)
    assert "only-here" not in (await stack.cli("registry", "list")).out
    assert_is_one_sentence(await second.cli("up", "--detach", code=1))
    both = [(await each.cli("status", "-o", "json")).json for each in (stack, second)]
    addresses = [each["endpoint"] for status in both for each in status["services"]]
    assert len(addresses) == len(set(addresses)) == 8
    assert {each["health"] for status in both for each in status["services"]} == {"SERVING"}

    second.down()

    await stack_is_not_running(second, "status")
    assert (await stack.cli("status")).out.count("SERVING") == 4


@pytest.fixture
def second(tmp_path: Path) -> Iterator[Stack]:
    """Not started; stopped if it was."""
    stack = Stack(tmp_path / "second")
    yield stack
    if stack.state.is_locked():
        stack.down()


async def stack_is_not_running(stack: Stack, command: str) -> Answer:
    answer = await stack.cli(command, code=1)
    assert_is_one_sentence(answer)
    return answer


def assert_is_one_sentence(answer: Answer) -> None:
    assert answer.code == 1
    assert answer.out == ""
    assert answer.err.startswith("Error: ")
    assert len(answer.err.splitlines()) == 1, answer.err
    assert "Traceback" not in answer.err
