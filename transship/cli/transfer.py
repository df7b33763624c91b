"""Options that say how artifacts are copied: those of `transship policy` and `transship copy`, and limits of bytes."""

import math
import re
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Annotated, Any, Final

import typer

from transship.cli.render import Columns, bytes_text, yes_no
from transship.policy.v1.policy_pb2 import Policy
from transship.type.v1.transfer_pb2 import TransferOptions

ALL: Final = "all"  # lifts a restriction to some platforms or types
MAX_RATE: Final = 2**63 - 1  # bytes a second that the protos can say

_HOW: Final = "How"
_FACTORS: Final = {"": 1, "B": 1, "kB": 10**3, "KB": 10**3, "MB": 10**6, "GB": 10**9, "TB": 10**12} | {
    "KiB": 2**10,
    "MiB": 2**20,
    "GiB": 2**30,
    "TiB": 2**40,
}
_RATE: Final = re.compile(r"(\d+(?:\.\d+)?) ?([A-Za-z]*)", re.ASCII)

Platforms = Annotated[
    list[str] | None,
    typer.Option(
        "--platform",
        metavar="OS/ARCH",
        help="Keep of an image for many platforms only such as `linux/arm64/v8`, or `all`. May be given several times.",
        rich_help_panel=_HOW,
    ),
]
Referrers = Annotated[
    bool | None,
    typer.Option(
        "--referrers/--no-referrers",
        help="Copy signatures, SBOMs and what else refers to an artifact with it, or do not. Off unless set.",
        show_default=False,
        rich_help_panel=_HOW,
    ),
]
ReferrerTypes = Annotated[
    list[str] | None,
    typer.Option(
        "--referrer-type",
        metavar="TYPE",
        help="Copy referrers, but only those of this artifact type, or `all`. May be given several times.",
        rich_help_panel=_HOW,
    ),
]
ForeignLayers = Annotated[
    bool | None,
    typer.Option(
        "--foreign-layers/--no-foreign-layers",
        help="Fetch layers that live outside of registries and push them, or do not. Off unless set.",
        show_default=False,
        rich_help_panel=_HOW,
    ),
]


def parse_rate(text: str) -> int:
    """Bytes a second, of a number with or without a unit: `500000`, `10MB`, `1.5 GiB`. Raises typer.BadParameter."""
    found = _RATE.fullmatch(text.strip())
    factor = _FACTORS.get(found[2]) if found else None
    rate = math.ceil(Decimal(found[1]) * factor) if found and factor else MAX_RATE + 1
    if rate > MAX_RATE:
        raise typer.BadParameter(f"{text!r} is no number of bytes: write it such as 500000, 10MB or 10MiB.")
    return rate


def limit_rate(described: str) -> typer.models.OptionInfo:
    option: typer.models.OptionInfo = typer.Option(
        "--limit-rate",
        parser=parse_rate,
        metavar="BYTES",
        help=f"{described} In bytes a second, such as 500000, 10MB or 10MiB. 0 for no limit.",
        rich_help_panel=_HOW,
    )
    return option


LimitRate = Annotated[int | None, limit_rate("At most so much is read for it, by all workers together.")]


def rate_text(bytes_per_second: int) -> str:
    """`10.0 MB/s`; nothing when there is no limit."""
    return f"{bytes_text(bytes_per_second)}/s" if bytes_per_second else ""


def given(
    platforms: Sequence[str] | None,
    referrers: bool | None,
    referrer_types: Sequence[str] | None,
    foreign_layers: bool | None,
    rate: int | None,
) -> dict[str, Any]:
    """The fields of TransferOptions that were said on the command line; a type says that there are referrers, too."""
    found = {
        "platforms": _restriction(platforms),
        "referrers": True if referrer_types and referrers is None else referrers,
        "referrer_types": _restriction(referrer_types),
        "foreign_layers": foreign_layers,
        "max_bytes_per_second": rate,
    }
    return {name: value for name, value in found.items() if value is not None}


def changed(options: TransferOptions, changes: Mapping[str, Any]) -> TransferOptions:
    """The options with these fields in place of theirs."""
    kept = {field.name: value for field, value in options.ListFields()}
    return TransferOptions(**{**kept, **changes})


def _restriction(values: Sequence[str] | None) -> list[str] | None:
    if not values:
        return None
    return [] if list(values) == [ALL] else list(values)


def _referrers_text(options: TransferOptions) -> str:
    return "\n".join(options.referrer_types) or ALL if options.referrers else yes_no(False)


DETAILS: Final[Columns[Policy]] = {
    "Platforms": lambda each: "\n".join(each.options.platforms) or ALL,
    "Referrers": lambda each: _referrers_text(each.options),
    "Foreign layers": lambda each: yes_no(each.options.foreign_layers),
    "Rate limit": lambda each: rate_text(each.options.max_bytes_per_second),
}
