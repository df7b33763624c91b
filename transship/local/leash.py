"""Becomes another program that cannot outlive the process that started it.

Run as a script, `leash.py <parent pid> <signal> <uid> <program> [argument ...]`, with nothing imported that costs
start-up time. The work is done after exec instead of in a preexec_fn, which may deadlock in a process with threads.
"""

import ctypes
import os
import sys
from pathlib import Path
from typing import Final

SAME_UID: Final = -1
_PR_SET_PDEATHSIG: Final = 1  # linux/prctl.h


def leashed(argv: list[str], *, death_signal: int, uid: int = SAME_UID) -> list[str]:
    """The command line that runs argv so that it gets death_signal when the *thread* that starts it ends.

    With a uid the program gives up root for that uid and for no group but the one of that number.
    On other systems than Linux the program is not told about the end of its parent.
    """
    script = str(Path(__file__).resolve())
    return [sys.executable, "-I", "-S", script, str(os.getpid()), str(death_signal), str(uid), *argv]


def _become(parent: int, death_signal: int, uid: int, argv: list[str]) -> None:
    if uid != SAME_UID:
        os.setgroups([])
        os.setgid(uid)
        os.setuid(uid)
    if sys.platform == "linux":
        # After setuid, which clears the setting.
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, death_signal)
    if os.getppid() == parent:  # Else it ended before the line above, and nobody would tell us.
        os.execv(argv[0], argv)  # noqa: S606 - this is what the module is for


if __name__ == "__main__":
    _become(int(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]), sys.argv[4:])
