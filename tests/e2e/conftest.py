"""One stack for all tests of a session, and real registries."""

from collections.abc import AsyncIterator, Generator, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.content import RealRegistry, basic, need
from tests.e2e.stack import Stack
from tests.registries import DockerRegistry
from transship.sdk import TransshipClient


@pytest.fixture(scope="session")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    stack = Stack(tmp_path_factory.mktemp("stack"))
    answer = stack.run("up", "--detach")
    assert answer.code == 0, f"{answer}\n{stack.logs()}"
    yield stack
    stack.down()


@pytest.fixture
async def client(stack: Stack) -> AsyncIterator[TransshipClient]:
    async with stack.client() as client:
        yield client


@pytest.fixture
def plain(tmp_path: Path) -> Iterator[RealRegistry]:
    """A docker-registry that asks nobody."""
    yield from _real(tmp_path / "plain")


@pytest.fixture
def other(tmp_path: Path) -> Iterator[RealRegistry]:
    """Another one that asks nobody."""
    yield from _real(tmp_path / "other")


@pytest.fixture
def guarded(tmp_path: Path) -> Iterator[RealRegistry]:
    """A docker-registry that asks for a password by Basic."""
    yield from _real(tmp_path / "guarded", htpasswd=True)


def _real(directory: Path, *, htpasswd: bool = False) -> Iterator[RealRegistry]:
    need("docker-registry")
    need("skopeo")
    directory.mkdir()
    with DockerRegistry(directory, htpasswd=htpasswd) as server:
        yield basic(server) if htpasswd else RealRegistry(server=server)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """A failure shows what the services had to say."""
    report = yield
    given: dict[str, Any] = getattr(item, "funcargs", {})
    if report.failed and isinstance(stack := given.get("stack"), Stack):
        report.sections.append(("the ends of the logs of the stack", stack.logs()))
    return report
