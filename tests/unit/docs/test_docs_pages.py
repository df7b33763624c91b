"""Pages say what is so: the list of errors is that of the protos, and what a page links to is there."""

import re
import tomllib
from pathlib import Path

import pytest

from docs.errors import PAGE, ROOT, page

_LINK = re.compile(r"\]\((?!https?:|#)([^)#]+)")
_PAGES = [*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")]
_TARGET = re.compile(r"^([a-z0-9-]+):.*## ", re.MULTILINE)


def test_the_page_of_errors_is_that_of_the_protos() -> None:
    assert PAGE.read_text() == page(), "run: python docs/errors.py"


def test_an_error_has_its_code_its_sentence_and_its_metadata() -> None:
    [row] = [line for line in page().splitlines() if "`POLICY_DISABLED`" in line]
    assert row == (
        "| `POLICY_DISABLED` | FAILED_PRECONDITION | The policy is disabled. Enable it, then start it again. | `policy` |"
    )


@pytest.mark.parametrize("path", _PAGES, ids=lambda path: str(path.relative_to(ROOT)))
def test_links_lead_to_files(path: Path) -> None:
    assert [link for link in _LINK.findall(path.read_text()) if not (path.parent / link).exists()] == []


@pytest.mark.parametrize("path", _PAGES, ids=lambda path: str(path.relative_to(ROOT)))
def test_targets_of_make_exist(path: Path) -> None:
    targets = set(_TARGET.findall((ROOT / "Makefile").read_text()))
    named = re.findall(r"(?:`|^)make ([a-z0-9-]+)", path.read_text(), re.MULTILINE)
    assert set(named) <= targets


def test_every_dependency_has_its_reason() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    groups = [project["project"]["dependencies"], *project["dependency-groups"].values()]
    names = {re.split(r"[\[=<>]", each)[0] for group in groups for each in group}
    reasons = (ROOT / "docs/decisions/0001-dependencies.md").read_text()
    assert {name for name in names if not re.search(rf"(?<![\w-]){name}(?![\w-])", reasons)} == set()


def test_tests_that_the_page_on_harbor_names_exist() -> None:
    named = re.findall(r"`(tests/\S+\.py)::(\w+)`", (ROOT / "docs/harbor.md").read_text())
    missing = [name for path, name in named if f"def {name}(" not in (ROOT / path).read_text()]
    assert (missing, len(named) >= 20) == ([], True)
