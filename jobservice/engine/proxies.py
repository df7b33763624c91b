"""The proxies that the environment names: HTTP_PROXY, HTTPS_PROXY, ALL_PROXY and NO_PROXY."""

from __future__ import annotations

from base64 import b64encode
from dataclasses import dataclass, field
from typing import Self
from urllib.parse import unquote, urlsplit
from urllib.request import getproxies, proxy_bypass


@dataclass(frozen=True, slots=True)
class Proxy:
    """A proxy that is spoken to without TLS; that of the registry goes through it in a tunnel."""

    host: str
    port: int
    headers: dict[str, str] = field(default_factory=dict, repr=False)  # its own authorization

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read what an environment variable says; the scheme may be left out."""
        parts = urlsplit(text if "://" in text else f"http://{text}")
        headers = {}
        if parts.username is not None:
            credential = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
            headers["Proxy-Authorization"] = "Basic " + b64encode(credential.encode()).decode()
        return cls(parts.hostname or "", parts.port or 80, headers)


class Proxies:
    """The environment as it was at the start."""

    def __init__(self) -> None:
        self._by_scheme = getproxies()

    def of(self, scheme: str, host: str) -> Proxy | None:
        """Return the proxy on the way to a host, None for none."""
        text = self._by_scheme.get(scheme) or self._by_scheme.get("all")
        return None if not text or proxy_bypass(host) else Proxy.parse(text)
