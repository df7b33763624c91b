"""Which services a command talks to, and how it shows what they say."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import typer

from transship.cli.render import Output, Screen
from transship.local.state import LocalStack, StateDir
from transship.sdk import Endpoints, TransshipClient
from transship.sdk.endpoints import client_tls

# What stands on the command line, in its order: the name of a parameter and its value, as it was typed.
Said = tuple[tuple[str, Any], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Targets:
    """The global options: where services are that are not of the local stack."""

    registry: str | None
    policy: str | None
    execution: str | None
    tls_ca: Path | None
    tls_cert: Path | None
    tls_key: Path | None


class Session:
    """What every command has at hand."""

    def __init__(self, targets: Targets, *, output: Output, state_dir: Path | None, said: Said) -> None:
        self._targets = targets
        self._state_dir = state_dir
        self.said = said
        self.screen = Screen(output)

    @property
    def state(self) -> StateDir:
        return StateDir.choose(self._state_dir)

    def client(self) -> TransshipClient:
        """Of the targets, or else of the local stack. Raises StackNotRunning."""
        try:
            return TransshipClient(self._endpoints())
        except ValueError as error:
            raise typer.BadParameter(str(error)) from error

    def events_url(self) -> str | None:
        """Where the stack of this machine listens for notifications; None where the services are elsewhere."""
        given = self._targets
        is_elsewhere = given.registry or given.policy or given.execution
        return None if is_elsewhere else LocalStack.load(self.state).events_url

    def _endpoints(self) -> Endpoints:
        given = self._targets
        return Endpoints.choose(
            registry=given.registry,
            policy=given.policy,
            execution=given.execution,
            tls=client_tls(given.tls_ca, given.tls_cert, given.tls_key),
            state_dir=self._state_dir,
        )
