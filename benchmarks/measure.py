"""What a run cost: wall time, CPU seconds and peak memory, of commands and of processes that go on."""

import asyncio
import json
import os
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from transship.local.files import tail

COMMAND_TIMEOUT_S: Final = 900
_TICKS_PER_S: Final = os.sysconf("SC_CLK_TCK")
# Fields of /proc/PID/stat after the name: ppid; utime, stime, cutime, cstime.
_PPID: Final = 1
_TIMES: Final = slice(11, 15)
# Sets the peak of the resident set back to what it is now; see proc(5).
_RESET_PEAK: Final = "5"
_LAUNCHER: Final = Path(__file__).with_name("launcher.py")


class RunFailed(Exception):
    """It did not do what it was started for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Usage:
    """CPU and peak memory by part. The peak of a part is that of its largest process."""

    wall_s: float
    cpu_s: Mapping[str, float]
    peak_rss_bytes: Mapping[str, int]

    @property
    def total_cpu_s(self) -> float:
        return sum(self.cpu_s.values())


async def run_command(part: str, script: str, *, environment: Mapping[str, str]) -> Usage:
    """A shell script with all that it starts. Raises RunFailed with the end of its output."""
    with tempfile.TemporaryDirectory(prefix="transship-bench-run-") as name:
        report, log = Path(name) / "report.json", Path(name) / "output.log"
        argv = [
            sys.executable,
            "-I",
            "-S",
            str(_LAUNCHER),
            str(report),
            str(COMMAND_TIMEOUT_S),
            "/bin/sh",
            "-ec",
            script,
        ]
        with log.open("wb") as output:
            process = await asyncio.create_subprocess_exec(
                *argv, stdout=output, stderr=output, env={**os.environ, **environment}
            )
            try:
                await process.wait()
            finally:
                if process.returncode is None:
                    process.terminate()
        found = json.loads(report.read_text())
        if found["exit_code"]:
            raise RunFailed(f"exit code {found['exit_code']}: {tail(log)[-400:]}")
        return Usage(
            wall_s=found["wall_s"], cpu_s={part: found["cpu_s"]}, peak_rss_bytes={part: found["peak_rss_bytes"]}
        )


@dataclass(slots=True, kw_only=True)
class Meter:
    """Watches processes that were there before and stay; `usage` is there when the measuring has ended."""

    roots: Mapping[str, Sequence[int]]
    usage: Usage | None = field(default=None)

    @contextmanager
    def measuring(self) -> Iterator[None]:
        """Measures what happens inside, with the children of the processes."""
        for pid in self._pids():
            _reset_peak(pid)
        before = self._cpu_s()
        started = time.monotonic()
        yield
        wall_s = time.monotonic() - started
        after = self._cpu_s()
        self.usage = Usage(
            wall_s=wall_s,
            cpu_s={part: after[part] - before[part] for part in self.roots},
            peak_rss_bytes={part: _largest(_family(pids)) for part, pids in self.roots.items()},
        )

    def _pids(self) -> set[int]:
        return {pid for roots in self.roots.values() for pid in _family(roots)}

    def _cpu_s(self) -> dict[str, float]:
        return {part: sum(map(_cpu_s, _family(pids))) for part, pids in self.roots.items()}


def _family(roots: Sequence[int]) -> set[int]:
    """The processes and all that descend from them."""
    children: dict[int, list[int]] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and (fields := _stat(int(entry.name))):
            children.setdefault(int(fields[_PPID]), []).append(int(entry.name))
    found: set[int] = set()
    waiting = list(roots)
    while waiting:
        pid = waiting.pop()
        found.add(pid)
        waiting += children.get(pid, [])
    return found


def _cpu_s(pid: int) -> float:
    """Of a process and of its children that have ended; their parent alone still knows about those."""
    fields = _stat(pid)
    return sum(map(int, fields[_TIMES])) / _TICKS_PER_S if fields else 0.0


def _stat(pid: int) -> list[str]:
    """The fields after the name, which may hold blanks and brackets; none for a process that has gone."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return []


def _reset_peak(pid: int) -> None:
    try:
        Path(f"/proc/{pid}/clear_refs").write_text(_RESET_PEAK)
    except OSError:  # Gone, or another user's: then its peak is that of its life.
        return


def _largest(pids: set[int]) -> int:
    return max((_peak_rss_bytes(pid) for pid in pids), default=0)


def _peak_rss_bytes(pid: int) -> int:
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except (FileNotFoundError, ProcessLookupError):
        return 0
    return next((int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM:")), 0)
