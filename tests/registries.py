"""Real registries for tests: processes of the distribution project's own implementation."""

import re
import socket
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path
from shutil import which
from types import TracebackType
from typing import Self

import pytest

START_TIMEOUT_S = 20.0
STOP_TIMEOUT_S = 10.0
POLL_INTERVAL_S = 0.02

USERNAME = "tester"
PASSWORD = "secret"
# bcrypt of PASSWORD with the lowest cost: the registry takes no other kind.
_HTPASSWD_LINE = f"{USERNAME}:$2y$05$abcdefghijklmnopqrstuuOQiyCxlgf/oeuTqixKmWdcYUh4Hjl0a\n"

_CONFIG = """\
version: 0.1
log: {{level: error}}
storage:
  filesystem: {{rootdirectory: "{root}"}}
  delete: {{enabled: true}}
  maintenance: {{uploadpurging: {{enabled: false}}}}
http: {{addr: "{host}", secret: "for-tests-only"}}
# Without it no manifest may say that a layer is somewhere else.
validation: {{manifests: {{urls: {{allow: ["^https://"]}}}}}}
"""

# As policy_svc/events/README.md teaches it, but that it is told of everything.
_NOTIFICATIONS = """\
notifications:
  endpoints:
    - name: tests
      url: {url}
      headers: {{Authorization: [{authorization}]}}
      timeout: 5s
      threshold: 3
      backoff: 200ms
      ignore: {{actions: {ignored}}}
"""


# As the registry writes it before it sends the last of its answer.
_ACCESS = re.compile(
    r'^\S+ - \S+ \[.*?\] "(?P<method>[A-Z]+) (?P<path>[^ ?]+)\S* HTTP/1\.1" (?P<status>\d+) ', re.MULTILINE
)


@dataclass(frozen=True, slots=True)
class Asked:
    """A request that a registry has answered; the path is without its query."""

    method: str
    path: str
    status: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Notify:
    """Where a registry tells what happens to it, and what of it it keeps to itself."""

    url: str
    authorization: str
    ignored_actions: tuple[str, ...] = ()


class DockerRegistry:
    """A registry on a free loopback port that keeps its content below `directory`.

    Use it as a context manager; inside it answers. With `htpasswd` it wants USERNAME and PASSWORD by Basic, with
    `notify` it sends notifications. Who must know its address before it runs chooses it: `host=free_host()`.
    """

    def __init__(
        self, directory: Path, *, htpasswd: bool = False, notify: Notify | None = None, host: str = ""
    ) -> None:
        self._directory = directory
        self._htpasswd = htpasswd
        self._notify = notify
        self._process: subprocess.Popen[bytes] | None = None
        self._log = directory / "registry.log"
        self.host = host

    @property
    def url(self) -> str:
        return f"http://{self.host}"

    @property
    def requests(self) -> list[Asked]:
        """What it was asked, in the order of the answers, by its own log."""
        found = _ACCESS.finditer(self._log.read_text())
        return [Asked(each["method"], each["path"], int(each["status"])) for each in found]

    def __enter__(self) -> Self:
        program = which("docker-registry")
        if program is None:
            pytest.skip("docker-registry is not installed")
        self.host = self.host or free_host()
        with self._log.open("wb") as output:
            self._process = subprocess.Popen(
                [program, "serve", str(self._write_config())], stdout=output, stderr=subprocess.STDOUT
            )
        try:
            self._wait_until_ready()
        except BaseException:
            self._stop()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._stop()

    def _write_config(self) -> Path:
        config = _CONFIG.format(root=self._directory / "content", host=self.host)
        if self._htpasswd:
            users = self._directory / "htpasswd"
            users.write_text(_HTPASSWD_LINE)
            config += f'auth: {{htpasswd: {{realm: tests, path: "{users}"}}}}\n'
        if self._notify:
            ignored = f"[{', '.join(self._notify.ignored_actions)}]"
            config += _NOTIFICATIONS.format(
                url=self._notify.url, authorization=self._notify.authorization, ignored=ignored
            )
        path = self._directory / "config.yml"
        path.write_text(config)
        return path

    def _wait_until_ready(self) -> None:
        assert self._process is not None
        address, port = self.host.split(":")
        deadline = time.monotonic() + START_TIMEOUT_S
        while time.monotonic() < deadline and self._process.poll() is None:
            try:
                socket.create_connection((address, int(port)), timeout=1).close()
            except OSError:
                time.sleep(POLL_INTERVAL_S)
            else:
                return
        raise RuntimeError(f"the registry did not start:\n{self._log.read_text()}")

    def _stop(self) -> None:
        if self._process is None:
            return
        self._process.terminate()
        try:
            self._process.wait(STOP_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process = None


def free_host() -> str:
    """An address on loopback that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return f"127.0.0.1:{probe.getsockname()[1]}"
