"""What keeps the code readable, as far as it can be counted."""

import ast
import re
from collections.abc import Iterator
from typing import Final

import pytest

from tests.architecture.sources import Source, written_by_us

MAX_FILE_LINES: Final = 500
MAX_FUNCTION_LINES: Final = 60
# Home, scratch and work directories of one machine or another; /v2/ and the like are paths of the protocol.
_MACHINE_PATH: Final = re.compile(r"(?<![\w.:/])/(home|root|Users|work|tmp|workspace|builds|mnt|opt)/\w")


def long_functions(source: Source) -> Iterator[str]:
    for node in ast.walk(source.tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            lines = (node.end_lineno or node.lineno) - node.lineno + 1
            if lines > MAX_FUNCTION_LINES:
                yield f"{source.path}: {node.name} has {lines} lines"


def machine_paths(source: Source) -> Iterator[str]:
    for number, line in enumerate(source.text.splitlines(), start=1):
        if _MACHINE_PATH.search(line):
            yield f"{source.path}:{number}: {line.strip()}"


def test_no_file_is_long() -> None:
    lengths = {source.path: len(source.text.splitlines()) for source in written_by_us()}
    assert {path: lines for path, lines in lengths.items() if lines > MAX_FILE_LINES} == {}


def test_no_function_is_long() -> None:
    assert [found for source in written_by_us() for found in long_functions(source)] == []


def test_no_path_of_a_machine() -> None:
    assert [found for source in written_by_us() for found in machine_paths(source)] == []


@pytest.mark.parametrize("kind", ["def", "async def"])
def test_a_long_function_is_seen(kind: str) -> None:
    text = f"{kind} long():\n" + "    pass\n" * MAX_FUNCTION_LINES
    assert list(long_functions(_source(text))) == [f"there.py: long has {MAX_FUNCTION_LINES + 1} lines"]
    assert list(long_functions(_source(text.removesuffix("    pass\n")))) == []


@pytest.mark.parametrize("line", ['PATH = "/home/me/keys"', "# see /root/notes.txt", "open('/tmp/there')"])
def test_a_path_of_a_machine_is_seen(line: str) -> None:
    assert list(machine_paths(_source(line))) == [f"there.py:1: {line}"]


@pytest.mark.parametrize("line", ['url = f"{host}/v2/{name}/blobs/"', "https://example.com/home/page", "a/tmp/b"])
def test_another_path_is_fine(line: str) -> None:
    assert list(machine_paths(_source(line))) == []


def _source(text: str) -> Source:
    return Source(module="there", path="there.py", text=text)
