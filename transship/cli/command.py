"""How a coroutine becomes a command."""

import asyncio
import inspect
from collections.abc import Callable, Coroutine, Iterator
from dataclasses import is_dataclass
from pathlib import Path
from typing import Annotated, Any, Concatenate, Final, ParamSpec

import typer
from typer.core import TyperCommand

from transship.cli.connect import Session
from transship.cli.errors import told
from transship.cli.render import Output
from transship.local.state import STATE_DIR_VARIABLE

_P = ParamSpec("_P")
_Work = Callable[Concatenate[Session, _P], Coroutine[Any, Any, None]]
_PANEL: Final = "Everywhere"
_SAID: Final = "transship.said"

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

    It gets a Session and its own options; --output and --state-dir, which every command has, are in the Session. A
    parameter whose type is a dataclass stands for an option for each of its fields.
    """

    def register(work: _Work[_P]) -> _Work[_P]:
        own = list(inspect.signature(work, eval_str=True).parameters.values())[1:]

        def run(ctx: typer.Context, *, output: Output, state_dir: Path | None, **arguments: Any) -> None:
            session = Session(ctx.obj, output=output, state_dir=state_dir, said=ctx.meta[_SAID])
            grouped = {each.name: _taken(each, arguments) for each in own}
            with told():
                asyncio.run(work(session, **grouped))  # type: ignore[call-arg]  # typer has parsed what work declares

        _describe(run, work, own)
        app.command(name, rich_help_panel=panel, cls=_Command)(run)
        return work

    return register


class _Command(TyperCommand):
    """Remembers in which order options were given: rules are read in theirs. Shows no `<bool>` after a switch."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        options, _, order = self.make_parser(ctx).parse_args(args=list(args))
        values = {name: iter(value if isinstance(value, list) else [value]) for name, value in options.items()}
        ctx.meta[_SAID] = tuple((each.name, next(values[each.name], None)) for each in order if each.name in values)
        return super().parse_args(ctx, args)

    def get_params(self, ctx: Any) -> list[Any]:
        """Switches take no value, so that --help shows none after them."""
        params = super().get_params(ctx)
        for each in params:
            if getattr(each, "is_flag", False):
                each.metavar = ""
        return params


def _describe(run: Callable[..., None], work: Callable[..., Any], own: list[inspect.Parameter]) -> None:
    """Gives `run` the signature that typer reads: the context, what `work` wants after its session, and the rest."""
    parameters = [
        _parameter("ctx", typer.Context),
        *(option for each in own for option in _options(each)),
        _parameter("output", _OutputOption, Output.TABLE),
        _parameter("state_dir", _StateDirOption, None),
    ]
    parameters = [each.replace(kind=inspect.Parameter.KEYWORD_ONLY) for each in parameters]
    run.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]  # inspect reads it when it is there
    run.__annotations__ = {each.name: each.annotation for each in parameters}
    run.__doc__ = work.__doc__


def _options(parameter: inspect.Parameter) -> Iterator[inspect.Parameter]:
    if isinstance(parameter.annotation, type) and is_dataclass(parameter.annotation):
        yield from inspect.signature(parameter.annotation, eval_str=True).parameters.values()
    else:
        yield parameter


def _taken(parameter: inspect.Parameter, arguments: dict[str, Any]) -> Any:
    """The value of a parameter, made of its options where it stands for several."""
    if isinstance(parameter.annotation, type) and is_dataclass(parameter.annotation):
        return parameter.annotation(**{each.name: arguments[each.name] for each in _options(parameter)})
    return arguments[parameter.name]


def _parameter(name: str, annotation: Any, default: Any = inspect.Parameter.empty) -> inspect.Parameter:
    return inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, annotation=annotation, default=default)
