"""Writes docs/errors.md from the list of reasons in the protos and the classes that raise them.

Run it with `python docs/errors.py` after a reason has changed; a test compares the page.
"""

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parent.parent
PAGE: Final = ROOT / "docs/errors.md"
PROTO: Final = ROOT / "protos/transship/type/v1/error_reason.proto"
PACKAGES: Final = ("service_kit", "registry_svc", "policy_svc", "execution_svc", "jobservice", "transship/local")

_VALUE: Final = re.compile(r"((?:^  // .*\n)+)^  ERROR_REASON_([A-Z0-9_]+) = (\d+);$", re.MULTILINE)
_METADATA: Final = re.compile(r" *Metadata: (.+)\.$")
# The numbers of each block begin at one of these.
_BLOCKS: Final = {
    1: "Everywhere",
    20: "Registries",
    40: "Policies",
    60: "Executions",
    80: "Jobs",
    100: "Copying",
    120: "The local stack",
}
_INTRODUCTION: Final = """\
# Errors

Written by `docs/errors.py` from [error_reason.proto](../protos/transship/type/v1/error_reason.proto). Do not edit it.

The reason of a failed call is in its `google.rpc.ErrorInfo`, with the domain `transship`; [api.md](api.md) has the rest
of an error. Reasons without a gRPC code are those of a `Failure`, which stands in an execution, a task or a result.
"""


def page() -> str:
    """The whole page."""
    codes = dict(_codes())
    lines = [_INTRODUCTION]
    for comment, reason, number in _VALUE.findall(PROTO.read_text()):
        if int(number) in _BLOCKS:
            lines.append(
                f"\n## {_BLOCKS[int(number)]}\n\n| reason | gRPC code | means | metadata |\n|---|---|---|---|\n"
            )
        if int(number):
            meaning = " ".join(line.strip().removeprefix("// ") for line in comment.splitlines())
            found = _METADATA.search(meaning)
            metadata = found[1] if found else ""
            lines.append(f"| `{reason}` | {codes.get(reason, '')} | {_METADATA.sub('', meaning)} | {metadata} |\n")
    return "".join(lines)


def _codes() -> Iterator[tuple[str, str]]:
    """Each reason of an error class, and the gRPC code that it is told with."""
    for package in PACKAGES:
        for path in sorted((ROOT / package).rglob("*.py")):
            for node in ast.walk(ast.parse(path.read_text())):
                if isinstance(node, ast.ClassDef):
                    yield from _code(node)


def _code(node: ast.ClassDef) -> Iterator[tuple[str, str]]:
    constants = {}
    for statement in node.body:
        match statement:
            case ast.Assign(targets=[ast.Name(id=name)], value=value):
                constants[name] = value
    match constants:
        case {"kind": ast.Attribute(attr=kind), "reason": ast.Constant(value=str(reason))}:
            yield reason, kind


if __name__ == "__main__":
    PAGE.write_text(page())
