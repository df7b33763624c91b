"""Templates of names: `{name}` stands for a value, `{{` and `}}` for braces."""

import functools
import re
from collections.abc import Collection, Mapping
from typing import Final

from replication.errors import PatternInvalid

MAX_TEMPLATE_CHARS: Final = 512

_PIECE: Final = re.compile(r"(?P<text>[^{}]+)|(?P<brace>\{\{|\}\})|\{(?P<name>[a-z_]+)\}")


class TemplateInvalid(PatternInvalid):
    """The template cannot be read, or names what there is not."""


def check_template(text: str, allowed: Collection[str]) -> None:
    """Raises TemplateInvalid when the template cannot be read, or has a name that is not among the allowed ones."""
    _parse(text, frozenset(allowed))


def fill_template(text: str, values: Mapping[str, str]) -> str:
    """The template with the values in the place of their names.

    Raises:
        TemplateInvalid: as check_template, with the names that have values.
    """
    pieces = _parse(text, frozenset(values))
    return "".join(values[piece] if is_name else piece for is_name, piece in pieces)


@functools.lru_cache(maxsize=256)
def _parse(text: str, allowed: frozenset[str]) -> tuple[tuple[bool, str], ...]:
    if len(text) > MAX_TEMPLATE_CHARS:
        raise TemplateInvalid(text, f"the template is longer than {MAX_TEMPLATE_CHARS} characters", MAX_TEMPLATE_CHARS)
    pieces = []
    at = 0
    while at < len(text):
        if not (found := _PIECE.match(text, at)):
            why = f"a brace is written as {text[at] * 2}, and a name as {_names(allowed)}"
            raise TemplateInvalid(text, why, at)
        if (name := found["name"]) is not None and name not in allowed:
            raise TemplateInvalid(text, f"there is no {{{name}}} here; there is {_names(allowed)}", at)
        pieces.append((name is not None, name or found["text"] or found["brace"][0]))
        at = found.end()
    return tuple(pieces)


def _names(allowed: frozenset[str]) -> str:
    return ", ".join(f"{{{name}}}" for name in sorted(allowed))
