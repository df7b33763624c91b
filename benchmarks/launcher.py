"""Runs a command and writes down what it cost: `launcher.py REPORT TIMEOUT_S PROGRAM [ARGUMENT ...]`.

A process of its own with nothing imported that it does not need: the kernel's peak of a child's memory begins with that
of the process that started it.
"""

import json
import os
import signal
import sys
import time
from pathlib import Path


def _run(report: str, timeout_s: int, argv: list[str]) -> None:
    started = time.monotonic()
    pid = os.posix_spawn(argv[0], argv, os.environ, setpgroup=0)
    signal.signal(signal.SIGALRM, lambda *_: os.killpg(pid, signal.SIGKILL))
    signal.signal(signal.SIGTERM, lambda *_: os.killpg(pid, signal.SIGKILL))
    signal.alarm(timeout_s)
    _, status, usage = os.wait4(pid, 0)
    wall_s = time.monotonic() - started
    document = {
        "exit_code": os.waitstatus_to_exitcode(status),
        "wall_s": wall_s,
        "cpu_s": usage.ru_utime + usage.ru_stime,
        "peak_rss_bytes": usage.ru_maxrss * 1024,
    }
    Path(report).write_text(json.dumps(document))


if __name__ == "__main__":
    _run(sys.argv[1], int(sys.argv[2]), sys.argv[3:])
