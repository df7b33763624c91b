"""The source code of our packages, read and not run."""

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).parents[2]
SERVICES: Final = ("registry_svc", "policy_svc", "execution_svc", "jobservice")
PACKAGES: Final = ("transship", "service_kit", "oci_client", "replication", *SERVICES)


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """A module, its path below the repository and its text."""

    module: str
    path: str
    text: str

    @property
    def tree(self) -> ast.Module:
        return ast.parse(self.text)

    @property
    def imports(self) -> frozenset[str]:
        """Every name that is imported, in full: `from a.b import c` is `a.b.c`."""
        return frozenset(_imports(self.tree))


@cache
def written_by_us() -> tuple[Source, ...]:
    """Every module of our packages but the generated ones."""
    found = (path for package in PACKAGES for path in sorted((ROOT / package).rglob("*.py")))
    return tuple(_read(path) for path in found if "_pb2" not in path.name)


def is_below(name: str, *prefixes: str) -> bool:
    """Whether the dotted name is one of the prefixes, or inside of it."""
    return any(name == prefix or name.startswith(f"{prefix}.") for prefix in prefixes)


def _read(path: Path) -> Source:
    relative = path.relative_to(ROOT)
    parts = relative.with_suffix("").parts
    module = ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
    return Source(module=module, path=str(relative), text=path.read_text())


def _imports(tree: ast.Module) -> Iterator[str]:
    for node in ast.walk(tree):
        match node:
            case ast.Import(names=names):
                yield from (name.name for name in names)
            case ast.ImportFrom(module=module, names=names, level=0):
                yield from (f"{module}.{name.name}" for name in names)
            case ast.ImportFrom():
                yield "a relative import"
