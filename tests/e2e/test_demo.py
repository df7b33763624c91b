"""`make demo` as a newcomer sees it, and that it leaves nothing behind."""

import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.content import need
from tests.e2e.stack import ROOT
from transship.demo import story

_TIMEOUT_S = 100.0


@pytest.fixture
def scratch() -> Iterator[Path]:
    """A directory for temporary files. Not pytest's, which nobody but root may enter when root runs the tests."""
    with tempfile.TemporaryDirectory() as name:
        Path(name).chmod(0o711)
        yield Path(name)


def test_the_demo_copies_what_it_says_and_leaves_nothing(scratch: Path) -> None:
    need("docker-registry")
    demo = _start(scratch)
    out = demo.communicate(timeout=_TIMEOUT_S)[0]

    assert demo.returncode == 0, out
    assert out.count(" equal") == 4
    assert out.count("not selected") == 1
    assert "references: 0 copied, 4 unchanged" in out
    assert list(scratch.iterdir()) == []
    assert _mentioning(scratch) == []


def test_an_interrupted_demo_leaves_nothing(scratch: Path) -> None:
    """Without docker-registry it says so and has stand-ins; Ctrl-C comes while the stack starts."""
    demo = _start(scratch, path=str(Path(sys.executable).parent))
    assert demo.stdout is not None
    seen = []
    for line in demo.stdout:
        seen.append(line)
        if line.startswith("$ transship up"):
            break
    demo.send_signal(signal.SIGINT)
    out = "".join(seen) + demo.communicate(timeout=_TIMEOUT_S)[0]

    assert demo.returncode == 130, out
    assert "docker-registry is not installed" in out
    assert list(scratch.iterdir()) == []
    assert _mentioning(scratch) == []


@pytest.mark.parametrize(
    ("name", "source", "destination", "is_right"),
    [
        ("library/app:1", "sha256:a", "sha256:a", True),
        ("library/app:1", "sha256:a", "sha256:b", False),
        ("library/app:1", "sha256:a", None, False),
        ("library/app:1", None, None, False),
        ("scratch/app:1", "sha256:a", None, True),
        ("scratch/app:1", "sha256:a", "sha256:a", False),
    ],
)
def test_only_equal_digests_of_what_is_selected_are_right(
    name: str, source: str | None, destination: str | None, is_right: bool
) -> None:
    assert story.Outcome(name=name, source=source, destination=destination).is_right is is_right


def _start(directory: Path, *, path: str = os.environ["PATH"]) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [sys.executable, "-u", "-m", "transship.demo"],
        cwd=ROOT,
        env={**os.environ, "TMPDIR": str(directory), "PATH": path},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def _mentioning(directory: Path) -> list[str]:
    """Command lines of processes that work in the directory."""
    found = (_command_line(each) for each in Path("/proc").glob("[0-9]*/cmdline"))
    return [line for line in found if str(directory) in line]


def _command_line(path: Path) -> str:
    try:
        return path.read_text().replace("\0", " ")
    except OSError:
        return ""
