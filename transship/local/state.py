"""The state directory: where a stack keeps its secrets, data and logs, and says where it can be reached.

stack.lock        held by the supervisor while it lives, by the kernel's word and not by a process id
stack.json        who runs and where (LocalStack)
credentials.key   the key that encrypts the credentials of registries
logs/             a file a process, with the one before beside it
postgres/         the embedded PostgreSQL
"""

import base64
import os
import secrets
from collections.abc import Mapping
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from pathlib import Path
from typing import Final, Self

from pydantic import TypeAdapter

from transship.local.errors import StackNotRunning
from transship.local.files import Locked, lock_file, private_directory, write_private

STATE_DIR_VARIABLE: Final = "TRANSSHIP_STATE_DIR"
DEFAULT_STATE_DIR: Final = Path("~/.local/state/transship")
_KEY_BYTES: Final = 32  # AES-256
# Whoever asks whether a stack runs holds its lock for a moment.
_LOCK_PATIENCE_S: Final = 1.0


class Phase(StrEnum):
    """Where in its life a stack is."""

    STARTING = "starting"
    READY = "ready"
    STOPPING = "stopping"


class StateDir:
    """A directory for its owner only; made by `prepare`."""

    def __init__(self, path: Path) -> None:
        self.path = path.expanduser().absolute()

    @classmethod
    def choose(cls, path: Path | None = None) -> Self:
        """The given one, else that of TRANSSHIP_STATE_DIR, else the default."""
        return cls(path or Path(os.environ.get(STATE_DIR_VARIABLE) or DEFAULT_STATE_DIR))

    @property
    def credential_keys(self) -> Path:
        return self.path / "credentials.key"

    @property
    def record(self) -> Path:
        return self.path / "stack.json"

    @property
    def _lock(self) -> Path:
        return self.path / "stack.lock"

    @property
    def postgres(self) -> Path:
        return self.path / "postgres"

    @property
    def run(self) -> Path:
        return self.path / "run"

    def log(self, name: str) -> Path:
        return self.path / "logs" / f"{name}.log"

    def prepare(self) -> None:
        """Makes the directory and, once, the credentials key. Raises StateDirNotPrivate."""
        private_directory(self.path)
        private_directory(self.path / "logs")
        if not self.credential_keys.exists():
            write_private(self.credential_keys, base64.b64encode(secrets.token_bytes(_KEY_BYTES)).decode() + "\n")

    def rotate_log(self, name: str) -> Path:
        """The path for a new log; the one before stays beside it as `.log.1`."""
        log = self.log(name)
        with suppress(FileNotFoundError):
            log.replace(log.with_name(f"{log.name}.1"))
        return log

    def lock(self, *, timeout_s: float = _LOCK_PATIENCE_S) -> AbstractContextManager[int]:
        """What a supervisor holds while it lives. Raises Locked when another one does."""
        return lock_file(self._lock, timeout_s=timeout_s)

    def is_locked(self) -> bool:
        if not self._lock.exists():
            return False
        try:
            with lock_file(self._lock, shared=True):  # Two who ask at once must not take each other for a stack.
                return False
        except Locked:
            return True


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceRecord:
    """One process of a service; pid and started_at are of the newest start."""

    name: str
    service: str
    endpoint: str
    pid: int | None
    started_at: datetime | None
    restarts: int
    http_endpoint: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class LocalStack:
    """What a running stack says about itself. postgres_pid is None with a database from elsewhere."""

    pid: int
    started_at: datetime
    phase: Phase
    postgres_pid: int | None
    services: tuple[ServiceRecord, ...]

    @classmethod
    def load(cls, state: StateDir) -> "LocalStack":
        """The stack that runs in the state directory. Raises StackNotRunning."""
        try:
            text = state.record.read_bytes()
        except FileNotFoundError:
            raise StackNotRunning(state_dir=state.path) from None
        if not state.is_locked():
            raise StackNotRunning(state_dir=state.path)
        return _ADAPTER.validate_json(text)

    def save(self, state: StateDir) -> None:
        write_private(state.record, _ADAPTER.dump_json(self, indent=2).decode())

    @property
    def endpoints(self) -> Mapping[str, str]:
        """host:port by service; of several processes of one service, the first."""
        return {each.service: each.endpoint for each in reversed(self.services)}

    @property
    def events_url(self) -> str | None:
        """Where registries send their notifications; the path of an event source goes below it."""
        return next((f"http://{each.http_endpoint}" for each in self.services if each.http_endpoint), None)


_ADAPTER: Final = TypeAdapter(LocalStack)
