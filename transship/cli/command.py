"""How a coroutine becomes a command."""

import asyncio
import inspect
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Annotated, Any, Concatenate, Final, ParamSpec

import typer

from transship.cli.connect import Session
from transship.cli.errors import told
from transship.cli.render import Output
from transship.local.state import STATE_DIR_VARIABLE

_P = ParamSpec("_P")
_Work = Callable[Concatenate[Session, _P], Coroutine[Any, Any, None]]
_PANEL: Final = "Everywhere"

_OutputOption = Annotated[
    Output,
    typer.Option("--output", "-o", help="A table for people or JSON for programs.", rich_help_panel=_PANEL),
]
_StateDirOption = Annotated[
    Path | None,
    typer.Option(
        "--state-dir",
        envvar=STATE_DIR_VARIABLE,
        metavar="DIR",
        help="State directory of the local stack. Default: ~/.local/state/transship.",
        rich_help_panel=_PANEL,
    ),
]


def command(app: typer.Typer, name: str, *, panel: str | None = None) -> Callable[[_Work[_P]], _Work[_P]]:
    """Registers a coroutine as a command.

    It gets a Session and its own options; --output and --state-dir, which every command has, are in the Session.
    """

    def register(work: _Work[_P]) -> _Work[_P]:
        def run(ctx: typer.Context, *, output: Output, state_dir: Path | None, **arguments: Any) -> None:
            session = Session(ctx.obj, output=output, state_dir=state_dir)
            with told():
                asyncio.run(work(session, **arguments))  # type: ignore[call-arg]  # typer has parsed what work declares

        _describe(run, work)
        app.command(name, rich_help_panel=panel)(run)
        return work

    return register


def _describe(run: Callable[..., None], work: Callable[..., Any]) -> None:
    """Gives `run` the signature that typer reads: the context, what `work` wants after its session, and the rest."""
    own = list(inspect.signature(work, eval_str=True).parameters.values())[1:]
    parameters = [
        _parameter("ctx", typer.Context),
        *own,
        _parameter("output", _OutputOption, Output.TABLE),
        _parameter("state_dir", _StateDirOption, None),
    ]
    parameters = [each.replace(kind=inspect.Parameter.KEYWORD_ONLY) for each in parameters]
    run.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]  # inspect reads it when it is there
    run.__annotations__ = {each.name: each.annotation for each in parameters}
    run.__doc__ = work.__doc__


def _parameter(name: str, annotation: Any, default: Any = inspect.Parameter.empty) -> inspect.Parameter:
    return inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, annotation=annotation, default=default)
