"""What a registry asks for when it answers 401: the WWW-Authenticate header of RFC 9110, section 11."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

BEARER: Final = "bearer"
BASIC: Final = "basic"

_WORD: Final = r"[!#$%&'*+.^_`|~0-9A-Za-z-]+"  # what the grammar calls a token
_QUOTED: Final = r'"(?:[^"\\]|\\.)*"'
_SEPARATORS: Final = re.compile(r"[\s,]*")
_PARAMETER: Final = re.compile(rf"({_WORD})\s*=\s*({_QUOTED}|{_WORD})\s*(?=,|$)", re.DOTALL)
_SCHEME: Final = re.compile(rf"({_WORD})(?=\s|,|$)\s*")
_TOKEN68: Final = re.compile(r"([A-Za-z0-9._~+/-]+=*)\s*(?=,|$)")
_ESCAPE: Final = re.compile(r"\\(.)", re.DOTALL)


@dataclass(frozen=True, slots=True, kw_only=True)
class Challenge:
    """One way to authenticate. Scheme and parameter names are in lower case."""

    scheme: str
    params: Mapping[str, str] = field(default_factory=dict, hash=False)
    token68: str = ""


def parse_challenges(values: Iterable[str]) -> list[Challenge]:
    """Return the challenges of all header lines, in order. What cannot be read ends its line."""
    return [challenge for value in values for challenge in _parse_line(value)]


def preferred(challenges: Sequence[Challenge]) -> Challenge | None:
    """Return the challenge to take up: bearer before basic, None when there is neither."""
    for scheme in (BEARER, BASIC):
        for challenge in challenges:
            if challenge.scheme == scheme:
                return challenge
    return None


def _parse_line(line: str) -> list[Challenge]:
    challenges: list[Challenge] = []
    position = _skip(line, 0)
    while match := _SCHEME.match(line, position):
        params, token68, position = _parse_parameters(line, match.end())
        challenges.append(Challenge(scheme=match[1].lower(), params=params, token68=token68))
    return challenges


def _parse_parameters(line: str, start: int) -> tuple[dict[str, str], str, int]:
    """Read `name=value` pairs up to the next scheme; the first spelling of a name counts."""
    params: dict[str, str] = {}
    position = _skip(line, start)
    while match := _PARAMETER.match(line, position):
        params.setdefault(match[1].lower(), _unquote(match[2]))
        position = _skip(line, match.end())
    if not params and start == position and line[start - 1 : start].isspace():
        # `Negotiate YII=`: a bare credential in place of parameters.
        token68 = _TOKEN68.match(line, start)
        if token68:
            return params, token68[1], _skip(line, token68.end())
    return params, "", position


def _skip(line: str, position: int) -> int:
    match = _SEPARATORS.match(line, position)
    return match.end() if match else position


def _unquote(value: str) -> str:
    return _ESCAPE.sub(r"\1", value[1:-1]) if value.startswith('"') else value
