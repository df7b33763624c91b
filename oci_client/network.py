"""Where names lead, and which addresses a registry may send a client to.

A registry that anybody can reach must not make us talk to hosts that only we can reach: the metadata service of a
cloud, a database beside us. One that is inside of our network may, and often does: its store stands next to it.
"""

import socket
import time
from collections.abc import Callable
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address
from typing import Final

from oci_client.errors import RedirectRefused

KNOWN_TTL_S: Final = 60.0  # a registry does not move in or out of a network more often than that
MAX_KNOWN: Final = 1000

# All that is given out to anybody; what ipaddress calls global takes in more, such as translated private addresses.
_GLOBAL_UNICAST: Final = IPv6Network("2000::/3")
_TRANSLATED: Final = IPv6Network("64:ff9b::/96")


def is_public(address: str) -> bool:
    """Whether the address means the same host to everybody. One in an IPv6 address is what counts of that."""
    ip = ip_address(address)
    if isinstance(ip, IPv4Address):
        return ip.is_global and not ip.is_multicast
    inner = ip.ipv4_mapped or ip.sixtofour or _translated(ip)
    return is_public(str(inner)) if inner else ip.is_global and ip in _GLOBAL_UNICAST


def _translated(ip: IPv6Address) -> IPv4Address | None:
    return IPv4Address(int(ip) & 0xFFFF_FFFF) if ip in _TRANSLATED else None


class Network:
    """The network that we are in. All its methods may block, and may be called from any thread."""

    def __init__(self, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._known: dict[str, tuple[bool, float]] = {}

    def resolve(self, host: str) -> list[str]:
        """Return the addresses of a name, or of an address in any spelling. Raises OSError."""
        try:
            found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
        except ValueError as exc:
            raise OSError(f"{host!r} is no name of a host") from exc
        return list(dict.fromkeys(str(address[0]) for *_, address in found))

    def is_public(self, address: str) -> bool:
        """Whether anybody can reach the address."""
        return is_public(address)

    def is_public_host(self, host: str) -> bool:
        """Whether a registry can be reached by anybody. One whose name only a proxy can resolve counts as such."""
        known = self._known.get(host)
        if known is not None and self._clock() - known[1] < KNOWN_TTL_S:
            return known[0]
        try:
            found = any(map(self.is_public, self.resolve(host)))
        except OSError:
            return True
        if len(self._known) >= MAX_KNOWN:
            self._known.clear()
        self._known[host] = (found, self._clock())
        return found

    def resolve_public(self, host: str) -> list[str]:
        """Return the addresses of a host that a public registry has named. Connect to these, not to the name.

        Raises RedirectRefused when one of them is not public, and OSError.
        """
        found = self.resolve(host)
        if not all(map(self.is_public, found)):
            raise RedirectRefused(f"a public registry sends us to {host}, which is in a private network")
        return found

    def check_public(self, host: str) -> None:
        """Raise RedirectRefused for a host that we know to be private. A proxy may know a name that we do not."""
        try:
            self.resolve_public(host)
        except OSError:
            return


OURS: Final = Network()
