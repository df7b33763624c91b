"""Where registries are."""

import ssl
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoint:
    """A registry at host:port; with an authority, over TLS."""

    host: str
    ca: Path | None = None

    @property
    def url(self) -> str:
        return f"{'https' if self.ca else 'http'}://{self.host}"

    @property
    def ssl_context(self) -> ssl.SSLContext | bool:
        """As aiohttp takes it."""
        return ssl.create_default_context(cafile=self.ca) if self.ca else True


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """From where to where."""

    source: Endpoint
    destination: Endpoint
