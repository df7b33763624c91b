"""Private files and locks."""

import fcntl
import os
import shutil
import stat
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from transship.local.errors import StateDirNotPrivate

_LOCK_POLL_S: Final = 0.05
_TAIL_BYTES: Final = 4_000


class Locked(Exception):
    """Another process holds the lock."""


@contextmanager
def lock_file(path: Path, *, timeout_s: float = 0.0, shared: bool = False) -> Iterator[int]:
    """Holds the lock and gives its file descriptor; a child that inherits it holds the lock as well.

    A shared lock bears other shared ones beside it. The kernel frees a lock with the last process that has it, however
    that ends. Raises Locked after timeout_s.
    """
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        _lock(descriptor, fcntl.LOCK_SH if shared else fcntl.LOCK_EX, time.monotonic() + timeout_s)
        yield descriptor
    finally:
        os.close(descriptor)


def _lock(descriptor: int, operation: int, deadline: float) -> None:
    while True:
        try:
            fcntl.flock(descriptor, operation | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() >= deadline:
                raise Locked from None
            time.sleep(_LOCK_POLL_S)
        else:
            return


def private_directory(path: Path) -> Path:
    """Makes the directory, with its parents, for its owner only.

    Raises StateDirNotPrivate instead of closing a directory that is in use for something else.
    """
    path.mkdir(mode=0o700, parents=True, exist_ok=True)
    found = path.stat()
    is_open = bool(found.st_mode & 0o077)
    if found.st_uid != os.geteuid() or (is_open and any(path.iterdir())):
        raise StateDirNotPrivate(path=path)
    if is_open:
        path.chmod(0o700)
    return path


def write_private(path: Path, text: str) -> None:
    """Writes the file in one step, readable by its owner only: a reader sees the old text or the new."""
    unfinished = path.with_name(f"{path.name}.unfinished")
    unfinished.unlink(missing_ok=True)
    descriptor = os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write(text)
        file.flush()
        os.fsync(descriptor)
    unfinished.replace(path)


def is_open_to_all(path: Path) -> bool:
    """Whether every user may execute the file and enter the directories above it."""
    return all(each.stat().st_mode & stat.S_IXOTH for each in (path, *path.parents))


def copy_readable(source: Path, target: Path) -> None:
    """Copies the directory so that everybody can read the copy, and execute what its owner can."""
    shutil.copytree(source, target)
    for each in (target, *target.rglob("*")):
        each.chmod(0o755 if each.stat().st_mode & stat.S_IXUSR else 0o644)


def tail(path: Path) -> str:
    """The last lines of a log, or nothing if there is none."""
    try:
        with path.open("rb") as file:
            file.seek(max(0, path.stat().st_size - _TAIL_BYTES))
            return file.read().decode(errors="replace").strip()
    except FileNotFoundError:
        return ""
