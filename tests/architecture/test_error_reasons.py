"""The protos list the reasons that programs may see, all of them and no others."""

import ast
import re
from collections.abc import Iterator
from typing import Final

import pytest

from tests.architecture.sources import ROOT, written_by_us

_PROTO: Final = ROOT / "protos/transship/type/v1/error_reason.proto"
_LISTED: Final = re.compile(r"^  ERROR_REASON_([A-Z0-9_]+) = \d+;$", re.MULTILINE)
_REASON: Final = re.compile(r"[A-Z][A-Z0-9]*(_[A-Z0-9]+)*")


def listed_reasons() -> set[str]:
    return set(_LISTED.findall(_PROTO.read_text())) - {"UNSPECIFIED"}


def reasons_in(tree: ast.AST) -> set[str]:
    """What stands as `reason = "..."`, as `reason="..."`, or in a table of reasons whose name ends in `_REASONS`."""
    return {value for value in _values_in(tree) if _REASON.fullmatch(value)}


def _values_in(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        match node:
            case ast.Assign(targets=[ast.Name(id="reason")], value=value) | ast.keyword(arg="reason", value=value):
                yield from _strings(value)
            case ast.AnnAssign(target=ast.Name(id=name), value=ast.expr() as value) if name.endswith("_REASONS"):
                yield from _strings(value)


def _strings(value: ast.expr) -> Iterator[str]:
    for node in ast.walk(value):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.value


def used_reasons() -> dict[str, str]:
    """Each reason with a file that uses it."""
    return {reason: source.path for source in written_by_us() for reason in reasons_in(source.tree)}


def test_every_reason_that_is_used_is_listed() -> None:
    listed = listed_reasons()
    assert {reason: path for reason, path in used_reasons().items() if reason not in listed} == {}


def test_every_reason_that_is_listed_is_used() -> None:
    assert listed_reasons() - used_reasons().keys() == set()


@pytest.mark.parametrize(
    "line",
    [
        'class Lost(ServiceError):\n    reason = "POLICY_LOST"',
        'failure = Failure(reason="POLICY_LOST", message="It is lost.")',
        '_REASONS: Final = ((oci.Lost, "POLICY_LOST"),)',
        'failure = replace(failure, reason="POLICY_LOST" if gone else other)',
    ],
)
def test_a_reason_is_seen_in_any_of_its_forms(line: str) -> None:
    assert reasons_in(ast.parse(line)) == {"POLICY_LOST"}
