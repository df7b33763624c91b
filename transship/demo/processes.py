"""What the demo starts beside itself: a stack and two registries, none of which outlives it."""

import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from shutil import which
from types import TracebackType
from typing import Final, Self

from transship.local.files import tail
from transship.local.leash import leashed

READY_TIMEOUT_S: Final = 120.0  # The first start of a stack makes a database.
STOP_TIMEOUT_S: Final = 60.0  # A stack stops its processes one after the other.
_POLL_S: Final = 0.05

_REGISTRY_CONFIG: Final = """\
version: 0.1
log: {{level: error, accesslog: {{disabled: true}}}}
storage: {{filesystem: {{rootdirectory: "{root}"}}}}
http: {{addr: "{host}", secret: "for-the-demo-only"}}
"""


class DemoFailed(Exception):
    """The demo cannot go on; the text says why."""


class Children:
    """Processes that end with the block, in reverse order, and with us, however we end."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._running: list[subprocess.Popen[bytes]] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        for process in reversed(self._running):
            _end(process)

    def start(
        self, name: str, argv: list[str], *, is_ready: Callable[[], bool], env: Mapping[str, str] | None = None
    ) -> None:
        """Returns when the process is ready. Raises DemoFailed with the end of its log when that does not come."""
        log = self._directory / f"{name}.log"
        with log.open("wb") as output:
            process = subprocess.Popen(  # noqa: S603 - a command line of our own
                leashed(argv, death_signal=signal.SIGTERM),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                env=env,
                start_new_session=True,  # Ctrl-C is for us, who stop it in order.
            )
        self._running.append(process)
        deadline = time.monotonic() + READY_TIMEOUT_S
        while not is_ready():
            if process.poll() is not None or time.monotonic() > deadline:
                raise DemoFailed(f"{name} did not start:\n{tail(log)}")
            time.sleep(_POLL_S)


def has_real_registry() -> bool:
    return which("docker-registry") is not None


def start_registry(children: Children, directory: Path, name: str) -> str:
    """Starts an empty registry and returns its host:port; one of ours where docker-registry is not installed."""
    port = _free_port()
    host = f"127.0.0.1:{port}"
    program = which("docker-registry")
    if program is None:
        argv = [sys.executable, "-m", "oci_client.testing", "--port", str(port)]
    else:
        config = directory / f"{name}.yml"
        config.write_text(_REGISTRY_CONFIG.format(root=directory / name, host=host))
        argv = [program, "serve", str(config)]
    children.start(name, argv, is_ready=lambda: _answers(port))
    return host


def _answers(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), timeout=1).close()
    except OSError:
        return False
    return True


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _end(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(STOP_TIMEOUT_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
