"""Registries as processes, and proxies before them."""

import json
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import trustme

from benchmarks.counts import Counts
from benchmarks.endpoints import Endpoint
from benchmarks.proxy import Cuts
from transship.local.leash import leashed

_START_TIMEOUT_S: Final = 20.0
_STOP_TIMEOUT_S: Final = 10.0
_POLL_S: Final = 0.02
_CONTROL_TIMEOUT_S: Final = 10.0
_NO_PROXY: Final = urllib.request.build_opener(urllib.request.ProxyHandler({}))
# The descriptor cache is what Debian's own configuration has.
_CONFIG: Final = """\
version: 0.1
log: {{level: error, accesslog: {{disabled: true}}}}
storage:
  filesystem: {{rootdirectory: "{content}"}}
  cache: {{blobdescriptor: inmemory}}
  delete: {{enabled: true}}
  maintenance: {{uploadpurging: {{enabled: false}}}}
http: {{addr: "{host}", secret: "for benchmarks"{tls}}}
"""
# As policy_svc/events/README.md teaches it.
_NOTIFICATIONS: Final = """\
notifications:
  endpoints:
    - name: transship
      url: "{url}"
      headers: {{Authorization: ["{authorization}"]}}
      timeout: 5s
      threshold: 3
      backoff: 1s
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Certificate:
    """A certificate for 127.0.0.1 and the authority to trust for it."""

    ca: Path
    cert: Path
    key: Path

    @classmethod
    def make(cls, directory: Path) -> "Certificate":
        authority = trustme.CA()
        issued = authority.issue_cert("127.0.0.1", "localhost")
        made = cls(ca=directory / "ca.pem", cert=directory / "cert.pem", key=directory / "key.pem")
        authority.cert_pem.write_to_path(made.ca)
        issued.cert_chain_pems[0].write_to_path(made.cert)
        issued.private_key_pem.write_to_path(made.key)
        return made


@dataclass(frozen=True, slots=True, kw_only=True)
class Notify:
    """Where a registry tells what happens to it."""

    url: str
    authorization: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Registry:
    """A running registry and the directory of its content."""

    endpoint: Endpoint
    content: Path


@contextmanager
def running_registry(
    certificate: Certificate | None = None,
    *,
    like: Path | None = None,
    host: str | None = None,
    notify: Notify | None = None,
) -> Iterator[Registry]:
    """A docker-registry of its own on a free port or the given one, empty or with a copy of the content of another."""
    with tempfile.TemporaryDirectory(prefix="transship-bench-registry-") as name:
        directory = Path(name)
        content = directory / "content"
        if like is not None:
            shutil.copytree(like, content)
        host = host or free_host()
        config = directory / "config.yml"
        told = _NOTIFICATIONS.format(url=notify.url, authorization=notify.authorization) if notify else ""
        config.write_text(_CONFIG.format(content=content, host=host, tls=_tls_of(certificate)) + told)
        log = directory / "registry.log"
        with _process([_program("docker-registry"), "serve", str(config)], log):
            _wait_until_ready(host, log)
            yield Registry(endpoint=Endpoint(host=host, ca=certificate.ca if certificate else None), content=content)


class RunningProxy:
    """A counting proxy in a process of its own."""

    def __init__(self, endpoint: Endpoint) -> None:
        self.endpoint = endpoint

    def reset(self) -> None:
        """Begins to count anew."""
        self._control("reset")

    def counts(self) -> Counts:
        return Counts.from_json(json.loads(self._control("counts")))

    def _control(self, verb: str) -> bytes:
        with _NO_PROXY.open(f"{self.endpoint.url}/-/{verb}", timeout=_CONTROL_TIMEOUT_S) as answer:
            body: bytes = answer.read()
            return body


@contextmanager
def running_proxy(upstream: Endpoint, *, delay_s: float = 0.0, cuts: Cuts | None = None) -> Iterator[RunningProxy]:
    """A proxy before a registry that speaks plain HTTP."""
    cuts = cuts or Cuts()
    argv = [sys.executable, "-m", "benchmarks.proxy", f"--upstream={upstream.host}", f"--delay-s={delay_s}"]
    argv += [f"--cut-after={cuts.after}", f"--cut-count={cuts.count}"]
    with tempfile.NamedTemporaryFile(prefix="transship-bench-proxy-") as log, _process(argv, Path(log.name)) as process:
        yield RunningProxy(Endpoint(host=f"127.0.0.1:{_listening_port(process, Path(log.name))}"))


@contextmanager
def _process(argv: list[str], log: Path) -> Iterator[subprocess.Popen[bytes]]:
    """Runs until the context is left, and never longer than we do."""
    with log.open("wb") as output:
        command = leashed(argv, death_signal=signal.SIGKILL)
        process = subprocess.Popen(command, stdout=output, stderr=subprocess.STDOUT)
    try:
        yield process
    finally:
        process.terminate()
        try:
            process.wait(_STOP_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _program(name: str) -> str:
    found = shutil.which(name)
    if found is None:
        raise FileNotFoundError(f"{name} is not installed; `make registries` says how")
    return found


def _tls_of(certificate: Certificate | None) -> str:
    return f', tls: {{certificate: "{certificate.cert}", key: "{certificate.key}"}}' if certificate else ""


def _listening_port(process: subprocess.Popen[bytes], log: Path) -> int:
    """What the proxy says in its first line."""
    deadline = time.monotonic() + _START_TIMEOUT_S
    while time.monotonic() < deadline and process.poll() is None:
        line, newline, _ = log.read_text().partition("\n")
        if newline and line.isdigit():
            return int(line)
        time.sleep(_POLL_S)
    raise RuntimeError(f"the proxy did not start:\n{log.read_text()}")


def _wait_until_ready(host: str, log: Path) -> None:
    address, port = host.split(":")
    deadline = time.monotonic() + _START_TIMEOUT_S
    while time.monotonic() < deadline:
        try:
            socket.create_connection((address, int(port)), timeout=1).close()
        except OSError:
            time.sleep(_POLL_S)
        else:
            return
    raise RuntimeError(f"the registry did not start:\n{log.read_text()}")


def free_host() -> str:
    """An address on loopback that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return f"127.0.0.1:{probe.getsockname()[1]}"
