"""The command line on a terminal: a real pseudo-terminal, at which somebody types."""

import asyncio
import os
import pty
import termios
from asyncio.subprocess import Process
from typing import Final

from tests.integration.transship.cli_kit import Cli

END_OF_INPUT: Final = "\x04"  # Ctrl-D
# Generous: it ends a test that hangs.
_TIMEOUT_S: Final = 30.0
_READ_BYTES: Final = 4096


async def typed(cli: Cli, *args: str, prompt: str = "", answer: str = "") -> tuple[int, str]:
    """Runs a command, types the answer once the prompt is shown; its exit code and all that the terminal showed."""
    ours, theirs = pty.openpty()
    try:
        _silence(theirs)
        process = await cli.start(*args, terminal=theirs)
        os.close(theirs)
        try:
            async with asyncio.timeout(_TIMEOUT_S):
                return await _talk(process, ours, prompt, answer)
        finally:
            if process.returncode is None:  # whoever still reads what it shows sees its end
                process.kill()
                await process.wait()
    finally:
        os.close(ours)


async def _talk(process: Process, terminal: int, prompt: str, answer: str) -> tuple[int, str]:
    shown, is_asked = "", False
    while text := await asyncio.to_thread(_read, terminal):
        shown += text
        if prompt in shown and not is_asked:
            is_asked = True
            os.write(terminal, answer.encode())
    return await process.wait(), shown.replace("\r\n", "\n")


def _silence(terminal: int) -> None:
    """What is typed is not shown, so that all that is shown comes from the program."""
    mode = termios.tcgetattr(terminal)
    mode[3] &= ~termios.ECHO
    termios.tcsetattr(terminal, termios.TCSANOW, mode)


def _read(terminal: int) -> str:
    try:
        return os.read(terminal, _READ_BYTES).decode()
    except OSError:  # nobody has the other side open any more
        return ""
