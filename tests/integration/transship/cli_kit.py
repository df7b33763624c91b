"""The command line as a process of its own."""

import asyncio
import json
import os
import sys
from asyncio.subprocess import PIPE, Process
from dataclasses import dataclass
from pathlib import Path
from typing import Any

PASSWORD = "correct horse battery staple"


@dataclass
class Result:
    code: int | None
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)

    @property
    def json_lines(self) -> list[Any]:
        return [json.loads(line) for line in self.out.splitlines()]


class Cli:
    """Runs `transship` with the fake services as its targets."""

    def __init__(self, address: str, state_dir: Path, *, columns: int = 200) -> None:
        targets = {f"TRANSSHIP_{name}_TARGET": address for name in ("REGISTRY", "POLICY", "EXECUTION") if address}
        kept = {name: value for name, value in os.environ.items() if not name.startswith("TRANSSHIP_")}
        self._env = {**kept, **targets, "TRANSSHIP_STATE_DIR": str(state_dir), "TERM": "dumb", "COLUMNS": str(columns)}

    async def start(self, *args: str, terminal: int | None = None) -> Process:
        """Starts it on pipes, or on the terminal that the descriptor is."""
        end = PIPE if terminal is None else terminal
        argv = [sys.executable, "-m", "transship.cli.main", *args]
        return await asyncio.create_subprocess_exec(*argv, stdin=end, stdout=end, stderr=end, env=self._env)

    async def __call__(self, *args: str, stdin: str = "") -> Result:
        process = await self.start(*args)
        out, err = await process.communicate(stdin.encode())
        assert PASSWORD not in out.decode() + err.decode()
        assert "Traceback" not in err.decode()
        return Result(process.returncode, out.decode(), err.decode())
