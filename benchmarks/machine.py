"""Where and with what it was measured."""

import os
import platform
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from benchmarks.contenders import find_program

# How each says its version.
_VERSION_COMMANDS: Final = {
    "docker-registry": ("docker-registry", "--version"),
    "skopeo": ("skopeo", "--version"),
    "crane": ("crane", "version"),
    "regsync": ("regsync", "version", "--format", "{{.VCSTag}}"),
}


def commit() -> str:
    """The commit that is measured; with a `+` when there are changes that it does not have."""
    words = ("describe", "--always", "--exclude=*", "--dirty=+")
    done = subprocess.run(("git", *words), capture_output=True, text=True, timeout=10, check=False)
    return done.stdout.strip() or "unknown"


def described() -> Mapping[str, str]:
    """The machine and the versions; nothing that names the machine."""
    return {
        "cores": str(os.cpu_count()),
        "processor": _processor(),
        "kernel": platform.release().split("-")[0],
        "python": platform.python_version(),
        **{name: version for name, command in _VERSION_COMMANDS.items() if (version := _output(command))},
    }


def _processor() -> str:
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    return next((line.partition(": ")[2] for line in lines if line.startswith("model name")), platform.machine())


def _output(command: tuple[str, ...]) -> str:
    name, *arguments = command
    program = find_program(name)
    if program is None:
        return ""
    done = subprocess.run([program, *arguments], capture_output=True, text=True, timeout=10, check=False)
    # Whatever they say before it, the version comes last.
    return next(reversed(done.stdout.split()), "")
