"""Lints the protos, and fails when the stubs in the repository are not what the protos generate. Run by `make test`."""

from __future__ import annotations

import hashlib
import subprocess
import sys
import tempfile
from pathlib import Path

from generate import PROTOS, ROOT, main


def stubs() -> dict[str, str]:
    """Returns the digest of every generated file."""
    files = [path for folder in ("transship", "buf") for path in (ROOT / folder).rglob("*_pb2*.py*")]
    return {str(path.relative_to(ROOT)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def lint(image: Path) -> int:
    """Runs `buf lint` over our own files of the image; its configuration is buf.yaml."""
    command = ["buf", "lint", str(image), "--path", "transship", "--config", str(ROOT / "buf.yaml")]
    return subprocess.run(command, check=False).returncode  # noqa: S603


def unformatted() -> int:
    """Runs `buf format` and shows what it would change."""
    return subprocess.run(["buf", "format", "--diff", "--exit-code", str(PROTOS)], check=False).returncode  # noqa: S603, S607


if __name__ == "__main__":
    before = stubs()
    with tempfile.TemporaryDirectory() as scratch:
        image = Path(scratch, "image.binpb")
        main(image)
        failed = lint(image) or unformatted()
    after = stubs()
    changed = sorted(name for name in before.keys() | after.keys() if before.get(name) != after.get(name))
    if changed:
        print("The stubs were out of date and have been generated anew; commit them:", *changed, sep="\n  ")  # noqa: T201
    sys.exit(1 if failed or changed else 0)
