"""What commands print: tables for people, JSON for programs; never both in one."""

import json
import sys
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from enum import StrEnum
from typing import Any, Final, TypeVar

import typer
from google.protobuf.internal.enum_type_wrapper import EnumTypeWrapper
from google.protobuf.json_format import MessageToDict
from google.protobuf.message import Message
from google.protobuf.timestamp_pb2 import Timestamp
from rich.console import Console
from rich.table import Table
from rich.text import Text

_M = TypeVar("_M", bound=Message)
# A header and how to get its cell.
Columns = Mapping[str, Callable[[_M], str]]

# Of a pipe or a file: nothing is cut or wrapped there.
_UNBOUNDED_WIDTH: Final = 10_000
_UNITS: Final = ("B", "kB", "MB", "GB", "TB", "PB")


class Output(StrEnum):
    """How results are printed."""

    TABLE = "table"
    JSON = "json"


class Screen:
    """Prints results to standard output, and what else there is to say to standard error."""

    def __init__(self, output: Output) -> None:
        self.is_json = output is Output.JSON

    def one(self, message: _M, columns: Columns[_M]) -> None:
        """One message: a row for each of its fields, or a JSON object."""
        if self.is_json:
            typer.echo(to_json(message, indent=2))
            return
        table = _table(show_header=False)
        for header, cell in columns.items():
            if text := cell(message):
                table.add_row(Text(header, style="bold"), Text(printable(text, keep_lines=True)))
        _print(table)

    async def many(self, messages: AsyncIterator[_M], columns: Columns[_M], *, nothing: str) -> None:
        """A row each, or a JSON array; `nothing` is said when there is none."""
        if self.is_json:
            await _print_array(messages)
            return
        table = _table(*columns)
        async for message in messages:
            table.add_row(*(Text(printable(cell(message))) for cell in columns.values()))
        if table.row_count:
            _print(table)
        else:
            self.say(nothing)

    def data(self, found: object) -> None:
        """What is no message of the protos, as JSON."""
        typer.echo(json.dumps(found, indent=2, default=str))

    def rows(self, rows: Sequence[Mapping[str, object]]) -> None:
        """What is no message of the protos, as a table."""
        table = _table(*(name.upper() for name in rows[0]))
        for row in rows:
            table.add_row(*(Text(str(value)) for value in row.values()))
        _print(table)

    def line(self, message: Message, text: str, **beside: str) -> None:
        """One of a stream: a line of text, or of JSON with what stands beside the message."""
        typer.echo(json.dumps({**beside, **to_dict(message)}, ensure_ascii=False) if self.is_json else printable(text))

    def done(self, text: str) -> None:
        """The end of what has no result: a sentence, or an empty JSON object."""
        typer.echo("{}" if self.is_json else printable(text))

    def say(self, text: str) -> None:
        """Something for people, which is no result."""
        typer.echo(printable(text), err=True)


def to_dict(message: Message) -> dict[str, Any]:
    return MessageToDict(message, preserving_proto_field_name=True)


def to_json(message: Message, *, indent: int | None = None) -> str:
    return json.dumps(to_dict(message), indent=indent, ensure_ascii=False)


def printable(text: str, *, keep_lines: bool = False) -> str:
    """The text without what would steer a terminal: much of it comes from registries of strangers."""
    kept = "\n" if keep_lines else ""
    return "".join(each if each.isprintable() or each in kept else " " for each in text)


def last_part(name: str) -> str:
    """`nightly` of `policies/nightly`."""
    return name.rpartition("/")[2]


def enum_text(enum: "EnumTypeWrapper", value: int) -> str:
    """`SUCCEEDED` of `STATE_SUCCEEDED`; nothing for the value that says nothing."""
    return enum.Name(value).partition("_")[2] if value else ""


def time_text(time: Timestamp) -> str:
    return f"{time.ToDatetime():%Y-%m-%d %H:%M:%S}Z" if time.seconds else ""


def bytes_text(count: int) -> str:
    power = min((len(str(count)) - 1) // 3, len(_UNITS) - 1)
    return f"{count / 1000**power:.1f} {_UNITS[power]}" if power else f"{count} B"


def counted(count: int, one: str, many: str) -> str:
    """`1 policy`, `2 policies`."""
    return f"{count} {one if count == 1 else many}"


def yes_no(value: bool) -> str:
    return "yes" if value else "no"


async def _print_array(messages: AsyncIterator[Message]) -> None:
    """Element by element: a list may be longer than memory is large."""
    separator = "["
    async for message in messages:
        typer.echo(f"{separator}\n{to_json(message)}", nl=False)
        separator = ","
    typer.echo("[]" if separator == "[" else "\n]")


def _table(*headers: str, show_header: bool = True) -> Table:
    table = Table(*headers, box=None, pad_edge=False, show_header=show_header, header_style="bold")
    if not headers:
        table.add_column(no_wrap=True)
        table.add_column(overflow="fold")
    return table


def _print(table: Table) -> None:
    width = None if sys.stdout.isatty() else _UNBOUNDED_WIDTH
    Console(width=width, highlight=False).print(table)
