"""Every command line on a page is one that the program takes."""

import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.exceptions import TyperException

from docs.errors import ROOT
from transship.cli.main import app

_BLOCK = re.compile(r"^```(\w*)\n(.*?)^```", re.MULTILINE | re.DOTALL)
_REDIRECTION = re.compile(r"\s[<>]\s.*$")
_PAGES = [*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob("*/**/README.md")]


def commands(path: Path) -> Iterator[str]:
    for _, block in _BLOCK.findall(path.read_text()):
        for line in block.replace("\\\n", " ").splitlines():
            if line.startswith("transship "):
                yield _REDIRECTION.sub("", line.partition(" #")[0])


LINES = [(path, line) for path in _PAGES if ".venv" not in path.parts for line in commands(path)]


@pytest.mark.parametrize(
    ("path", "line"), LINES, ids=[f"{path.relative_to(ROOT)}: {line[:60]}" for path, line in LINES]
)
def test_the_program_takes_it(path: Path, line: str) -> None:
    parse(shlex.split(line)[1:])


def test_a_line_that_the_program_does_not_take_is_seen() -> None:
    with pytest.raises(TyperException, match="No such option"):
        parse(["policy", "create", "x", "--no-such-option"])


def test_the_guide_of_policies_has_commands() -> None:
    assert len(list(commands(ROOT / "docs/policies.md"))) > 20


def parse(arguments: list[str]) -> None:
    """Raises what the program would tell as a wrong use; runs nothing."""
    command: Any = typer.main.get_command(app)
    context = command.make_context("transship", arguments)
    while rest := [*getattr(context, "_protected_args", ()), *context.args]:
        name, command, rest = command.resolve_command(context, rest)
        context = command.make_context(name, rest, parent=context)
