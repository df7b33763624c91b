"""What the demo shows, step by step."""

import asyncio
import os
import shlex
import subprocess
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from rich.console import Console
from rich.table import Table

from oci_client.client import RegistryClient
from oci_client.http import HttpClient
from transship.demo.images import Image, push, some_images
from transship.demo.processes import Children, DemoFailed, has_real_registry, start_registry
from transship.local.errors import StackNotRunning
from transship.local.state import STATE_DIR_VARIABLE, LocalStack, Phase, StateDir

SELECTED: Final = "library/"
_SHOWN_DIGEST_CHARS: Final = 19  # sha256: and twelve digits


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """The digest of one tag on both sides; None where it is absent."""

    name: str
    source: str | None
    destination: str | None

    @property
    def is_selected(self) -> bool:
        return self.name.startswith(SELECTED)

    @property
    def is_right(self) -> bool:
        wanted = self.source if self.is_selected else None
        return self.source is not None and self.destination == wanted


class Story:
    """Runs in a directory that is thrown away afterwards; the children end with it."""

    def __init__(self, directory: Path, children: Children) -> None:
        self._directory = directory
        self._children = children
        self._state = StateDir(directory / "state")
        self._console = Console(highlight=False)
        self._images = some_images()
        ours = {name: value for name, value in os.environ.items() if not name.startswith("TRANSSHIP_")}
        self._env = ours | {STATE_DIR_VARIABLE: str(self._state.path)}

    def tell(self) -> bool:
        """Whether the destination has what the policy selects, digest by digest, and nothing else."""
        source, mirror = self._start_registries()
        self._start_stack()
        self._say("Two registries and a policy")
        for name, host in (("source", source), ("mirror", mirror)):
            self._transship("registry", "create", name, "--type", "docker-registry", "--url", f"http://{host}")
        self._transship(
            *("policy", "create", "demo", "--source", "source", "--destination", "mirror", "--name", f"{SELECTED}**")
        )
        self._say("Replicate")
        self._transship("run", "demo")
        outcomes = asyncio.run(_compare(source, mirror, list(self._images)))
        self._show(outcomes)
        self._say("Replicate again: nothing moves")
        self._transship("run", "demo")
        self._say("Cleaning up")
        return all(each.is_right for each in outcomes)

    def _start_registries(self) -> tuple[str, str]:
        kind = "docker-registry" if has_real_registry() else "stand-ins of ours, for docker-registry is not installed"
        self._say(f"Two empty registries ({kind}), and images pushed into the first")
        source, mirror = (start_registry(self._children, self._directory, name) for name in ("source", "mirror"))
        asyncio.run(_fill(source, self._images))
        for name in self._images:
            self._console.print(f"  {source}/{name}", markup=False)
        return source, mirror

    def _start_stack(self) -> None:
        self._say("PostgreSQL and the four services, as processes of their own")
        self._console.print("$ transship up &", style="bold", markup=False)
        argv = [sys.executable, "-m", "transship.cli", "up"]
        self._children.start("transship", argv, is_ready=self._is_up, env=self._env)
        self._transship("status")

    def _is_up(self) -> bool:
        try:
            return LocalStack.load(self._state).phase is Phase.READY
        except StackNotRunning:
            return False

    def _say(self, heading: str) -> None:
        self._console.print(f"\n{heading}", style="bold cyan", markup=False)

    def _transship(self, *arguments: str) -> None:
        """Shows the command as a user would type it, and runs it. Raises DemoFailed unless it succeeds."""
        self._console.print(f"$ {shlex.join(('transship', *arguments))}", style="bold", markup=False, soft_wrap=True)
        argv = [sys.executable, "-m", "transship.cli", *arguments]
        done = subprocess.run(argv, env=self._env, check=False)  # noqa: S603 - a command line of our own
        if done.returncode != 0:
            raise DemoFailed(f"`{shlex.join(('transship', *arguments))}` ended with exit code {done.returncode}")

    def _show(self, outcomes: Iterable[Outcome]) -> None:
        table = Table("TAG", "SOURCE", "MIRROR", "", box=None, pad_edge=False, header_style="bold")
        for each in outcomes:
            table.add_row(each.name, _short(each.source), _short(each.destination), _verdict(each))
        self._say("Digests on both sides")
        self._console.print(table)


async def _fill(host: str, images: Mapping[str, Image]) -> None:
    async with HttpClient() as http:
        registry = RegistryClient(f"http://{host}", http=http)
        for name, image in images.items():
            repository, _, tag = name.partition(":")
            await push(registry, repository, tag, image)


async def _compare(source: str, mirror: str, names: Iterable[str]) -> list[Outcome]:
    async with HttpClient() as http:
        sides = [RegistryClient(f"http://{host}", http=http) for host in (source, mirror)]
        return [
            Outcome(name=name, source=await _digest(sides[0], name), destination=await _digest(sides[1], name))
            for name in names
        ]


async def _digest(registry: RegistryClient, name: str) -> str | None:
    repository, _, tag = name.partition(":")
    descriptor = await registry.head_manifest(repository, tag)
    return descriptor.digest if descriptor else None


def _short(digest: str | None) -> str:
    return digest[:_SHOWN_DIGEST_CHARS] if digest else "-"


def _verdict(outcome: Outcome) -> str:
    if not outcome.is_right:
        return "[red]WRONG[/red]"
    return "[green]equal[/green]" if outcome.is_selected else "not selected"
