"""Those who copy. Each is prepared for a route, outside of the measured time, and then run as often as asked."""

import json
import os
import shlex
import shutil
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Final, Protocol

from benchmarks.corpus import Corpus, Pusher
from benchmarks.endpoints import Endpoint, Route
from benchmarks.measure import Usage, run_command

# Where `make bench` has Go put what it builds.
_BUILT: Final = Path(__file__).parents[1] / ".cache" / "bin"
# As many as there are repositories in most of the cases; its own default is one.
_REGSYNC_PARALLEL: Final = 8

Run = Callable[[], Awaitable[Usage]]


class Contender(Protocol):
    """`copies` is false for one that only measures how fast the destination can be."""

    @property
    def name(self) -> str: ...

    @property
    def copies(self) -> bool: ...

    def prepared(self, route: Route, corpus: Corpus, scratch: Path) -> AbstractAsyncContextManager[Run]: ...


class Skopeo:
    name = "skopeo"
    copies = True

    def __init__(self, program: str) -> None:
        self._program = program

    @asynccontextmanager
    async def prepared(self, route: Route, corpus: Corpus, scratch: Path) -> AsyncIterator[Run]:
        config = scratch / "skopeo.yaml"
        images: dict[str, list[str]] = {name: [] for name in corpus.repositories}  # No tags means all of them.
        # JSON is YAML.
        config.write_text(
            json.dumps({route.source.host: {"tls-verify": route.source.ca is not None, "images": images}})
        )
        verify = str(route.destination.ca is not None).lower()
        options = f"--all --src yaml --dest docker --dest-tls-verify={verify}"
        script = f"{self._program} sync {options} {shlex.quote(str(config))} {route.destination.host}"
        yield lambda: run_command(self.name, script, environment=_trusting(route.destination))


class Crane:
    name = "crane"
    copies = True

    def __init__(self, program: str) -> None:
        self._program = program

    @asynccontextmanager
    async def prepared(self, route: Route, corpus: Corpus, scratch: Path) -> AsyncIterator[Run]:  # noqa: ARG002
        lines = [
            f"{self._program} cp -a {route.source.host}/{name} {route.destination.host}/{name}"
            for name in corpus.repositories
        ]
        yield lambda: run_command(self.name, "\n".join(lines), environment=_trusting(route.destination))


class Regsync:
    name = "regsync"
    copies = True

    def __init__(self, program: str) -> None:
        self._program = program

    @asynccontextmanager
    async def prepared(self, route: Route, corpus: Corpus, scratch: Path) -> AsyncIterator[Run]:
        config = scratch / "regsync.yaml"
        config.write_text(json.dumps(regsync_config(route, corpus)))
        script = f"{self._program} once -c {shlex.quote(str(config))}"
        yield lambda: run_command(self.name, script, environment=_trusting(route.destination))


class CurlFloor:
    """Sends the largest blob to the destination: what the registry takes, with nothing read from the source."""

    name = "curl -T"
    copies = False

    def __init__(self, program: str) -> None:
        self._program = program

    @asynccontextmanager
    async def prepared(self, route: Route, corpus: Corpus, scratch: Path) -> AsyncIterator[Run]:  # noqa: ARG002
        blob = corpus.largest_blob
        if not isinstance(blob.content, Path):
            raise TypeError("a blob in memory cannot be sent from a file")
        path = blob.content
        authority = f"--cacert {shlex.quote(str(route.destination.ca))}" if route.destination.ca else ""

        async def run() -> Usage:
            async with Pusher.at(route.destination) as destination:
                url = await destination.open_upload(corpus.repositories[0], blob)
            script = f"{self._program} -sSf {authority} -T {shlex.quote(str(path))} {shlex.quote(str(url))}"
            return await run_command(self.name, script, environment={})

        yield run


def regsync_config(route: Route, corpus: Corpus) -> Mapping[str, object]:
    """With the cheap check and with repositories side by side, neither of which is its default."""
    places = (route.source, route.destination)
    return {
        "version": 1,
        "creds": [{"registry": each.host, "tls": "enabled" if each.ca else "disabled"} for each in places],
        "defaults": {"parallel": _REGSYNC_PARALLEL, "fastCheck": True},
        "sync": [
            {
                "source": f"{route.source.host}/{name}",
                "target": f"{route.destination.host}/{name}",
                "type": "repository",
            }
            for name in corpus.repositories
        ],
    }


def find_program(name: str) -> str | None:
    """Where a program is: what `make bench` has built, or else what the machine has."""
    return shutil.which(name, path=os.pathsep.join([str(_BUILT), os.environ["PATH"]]))


def find_commands() -> tuple[list[Contender], list[str]]:
    """Those that are installed, and a line for each that is not."""
    found: list[Contender] = []
    missing: list[str] = []
    for kind, program in ((Skopeo, "skopeo"), (Crane, "crane"), (Regsync, "regsync"), (CurlFloor, "curl")):
        if path := find_program(program):
            found.append(kind(shlex.quote(path)))
        else:
            missing.append(f"{program} is not installed: left out")
    return found, missing


def _trusting(endpoint: Endpoint) -> dict[str, str]:
    """Go's programs read their authorities from there. No proxy of the environment leads to loopback."""
    return {"NO_PROXY": "127.0.0.1", **({"SSL_CERT_FILE": str(endpoint.ca)} if endpoint.ca else {})}
