"""Options that say how artifacts are copied: those of `transship policy` and `transship copy`, and limits of bytes."""

import math
import re
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from typing import Annotated, Any, Final

import typer

from transship.cli.connect import Said
from transship.cli.render import Columns, bytes_text, yes_no
from transship.policy.v1.policy_pb2 import Policy
from transship.type.v1.transfer_pb2 import TransferOptions

MAX_RATE: Final = 2**63 - 1  # bytes a second that the protos can say

_HOW: Final = "How"
_FACTORS: Final = {"": 1, "B": 1, "kB": 10**3, "KB": 10**3, "MB": 10**6, "GB": 10**9, "TB": 10**12} | {
    "KiB": 2**10,
    "MiB": 2**20,
    "GiB": 2**30,
    "TiB": 2**40,
}
_RATE: Final = re.compile(r"(\d+(?:\.\d+)?) ?([A-Za-z]*)", re.ASCII)


def parse_rate(text: str) -> int:
    """Bytes a second, of a number with or without a unit: `500000`, `10MB`, `1.5 GiB`. Raises typer.BadParameter."""
    found = _RATE.fullmatch(text.strip())
    factor = _FACTORS.get(found[2]) if found else None
    rate = math.ceil(Decimal(found[1]) * factor) if found and factor else MAX_RATE + 1
    if rate > MAX_RATE:
        raise typer.BadParameter(f"{text!r} is no number of bytes: write it such as 500000, 10MB or 10MiB.")
    return rate


def rate_option(described: str) -> typer.models.OptionInfo:
    option: typer.models.OptionInfo = typer.Option(
        "--limit-rate",
        parser=parse_rate,
        metavar="BYTES",
        help=f"{described} In bytes a second, such as 500000, 10MB or 10MiB. 0 for no limit.",
        rich_help_panel=_HOW,
    )
    return option


def rate_text(bytes_per_second: int) -> str:
    """`10.0 MB/s`; nothing when there is no limit."""
    return f"{bytes_text(bytes_per_second)}/s" if bytes_per_second else ""


def _option(flag: str, metavar: str | None, described: str) -> Any:
    return typer.Option(flag, metavar=metavar, help=described, show_default=False, rich_help_panel=_HOW)


@dataclass(frozen=True)
class How:
    """Options of --help's panel."""

    platform: Annotated[
        list[str] | None,
        _option(
            "--platform",
            "OS/ARCH",
            "Of an image for many platforms, only such as `linux/arm64/v8`. May be given several times.",
        ),
    ] = None
    referrers: Annotated[
        bool | None,
        _option(
            "--referrers/--no-referrers",
            None,
            "Copy signatures, SBOMs and what else refers to an artifact with it, or do not. Off unless set.",
        ),
    ] = None
    referrer_type: Annotated[
        list[str] | None,
        _option(
            "--referrer-type",
            "TYPE",
            "Copy referrers, but only of this artifact type. May be given several times.",
        ),
    ] = None
    foreign_layers: Annotated[
        bool | None,
        _option(
            "--foreign-layers/--no-foreign-layers",
            None,
            "Fetch layers that live outside of registries and push them, or do not. Off unless set.",
        ),
    ] = None
    limit_rate: Annotated[int | None, rate_option("At most so much is read for it, by all workers together.")] = None

    def change(self, policy: Policy, _: Said = ()) -> Iterator[str]:
        """Writes what was given into the policy, and tells which fields that changed."""
        given = {name: value for name, value in self._fields().items() if value is not None}
        if given:
            kept = {field.name: value for field, value in policy.options.ListFields()}
            policy.options.CopyFrom(TransferOptions(**{**kept, **given}))
            yield "options"

    def _fields(self) -> dict[str, Any]:
        """A type says that there are referrers, too, and where there are none there are no types."""
        if self.referrers is False and self.referrer_type:
            raise typer.BadParameter("--no-referrers and --referrer-type exclude each other.")
        return {
            "platforms": self.platform or None,
            "referrers": True if self.referrer_type and self.referrers is None else self.referrers,
            "referrer_types": [] if self.referrers is False else self.referrer_type or None,
            "foreign_layers": self.foreign_layers,
            "max_bytes_per_second": self.limit_rate,
        }


def _referrers_text(options: TransferOptions) -> str:
    return "\n".join(options.referrer_types) or "all" if options.referrers else yes_no(False)


DETAILS: Final[Columns[Policy]] = {
    "Platforms": lambda each: "\n".join(each.options.platforms) or "all",
    "Referrers": lambda each: _referrers_text(each.options),
    "Foreign layers": lambda each: yes_no(each.options.foreign_layers),
    "Rate limit": lambda each: rate_text(each.options.max_bytes_per_second),
}
