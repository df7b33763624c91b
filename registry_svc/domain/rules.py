"""What a registry's fields must be like. Each rule adds to a list, so that a caller hears of all mistakes at once."""

import re
from collections.abc import Callable
from typing import Final
from urllib.parse import SplitResult, urlsplit

from cryptography import x509

from service_kit.errors import FieldViolation, InvalidRequest

_UUID: Final = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_UNPRINTABLE: Final = re.compile(r"[\s\x00-\x1f\x7f]")
_EXAMPLE: Final = "https://registry.example.com"


class Violations:
    """Collects the mistakes of one request."""

    def __init__(self) -> None:
        self._found: list[FieldViolation] = []

    def add(self, field: str, description: str) -> None:
        self._found.append(FieldViolation(field, description))

    def read(self, field: str, parse: Callable[[str], str], text: str) -> str:
        """Parses the text, and notes what the parser has against it."""
        try:
            return parse(text)
        except ValueError as error:
            self.add(field, str(error))
            return text

    def raise_if_any(self) -> None:
        """Raises InvalidRequest when there is a mistake."""
        if self._found:
            raise InvalidRequest(violations=self._found)


def parse_text(text: str) -> str:
    """Returns the text; raises ValueError for one that PostgreSQL does not store."""
    if "\0" in text:
        raise ValueError("must not contain the character NUL")
    return text


def parse_id(text: str) -> str:
    """Returns the id; raises ValueError for one that could be taken for a uid."""
    if _UUID.fullmatch(text):
        raise ValueError("looks like a uid, which would name two registries; choose another id")
    return text


def parse_url(text: str) -> str:
    """Returns the base URL without blanks around it and without "/" behind it.

    Raises ValueError with a sentence that says what to write. What a URL must not have is never dropped in silence:
    a caller who wrote it meant something by it.
    """
    url = text.strip().rstrip("/")
    if _UNPRINTABLE.search(url):
        raise ValueError("must not contain blanks or control characters")
    if "://" not in url:
        raise ValueError(f"has no scheme: write https:// before it, such as {_EXAMPLE}")
    parts = _split(url)
    if parts.scheme not in {"http", "https"}:
        raise ValueError(f"must begin with https:// or http://, not {parts.scheme}://")
    if not parts.hostname:
        raise ValueError(f"names no host: write it such as {_EXAMPLE}")
    if "@" in parts.netloc:
        raise ValueError("must not contain a user or a password: put them into registry.credential")
    if "?" in url or "#" in url:
        raise ValueError("must not contain a query or a fragment: leave out everything from ? or # on")
    return parts.geturl()


def _split(url: str) -> SplitResult:
    try:
        parts = urlsplit(url)
        _ = parts.port  # parsed on access
    except ValueError:
        raise ValueError(f"is malformed: write it such as {_EXAMPLE}") from None
    return parts


def parse_ca_certificate(text: str) -> str:
    """Returns certificates in PEM as they came, "" for none; raises ValueError when they cannot be read."""
    if not text.strip():
        return ""
    try:
        x509.load_pem_x509_certificates(parse_text(text).encode())
    except ValueError:
        raise ValueError("is not a certificate in PEM: it begins with -----BEGIN CERTIFICATE-----") from None
    return text
