"""Which addresses may be asked for whoever may push: resolved once, judged, and connected to as they were judged."""

from __future__ import annotations

import ipaddress
import socket
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network
Place = tuple[int, tuple[Any, ...]]
"""A family and an address of it, as sockets take them."""
Resolver = Callable[[str, int], Sequence[Place]]

_TRANSLATED = ipaddress.IPv6Network("64:ff9b::/96")
_CLOSED = (ipaddress.IPv4Network("192.0.0.0/24"), ipaddress.IPv4Network("168.63.129.16/32"))
"""What counts as public and leads to the platform below a host: Oracle's protocol assignments, and Azure's address."""


class OutOfReachError(ValueError):
    """An address that nobody listed."""


def _resolved(host: str, port: int) -> list[Place]:
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return [(int(family), place) for family, _, _, _, place in found]


def _unlisted() -> tuple[Network, ...]:
    return ()


@dataclass(frozen=True, slots=True)
class Reach:
    """This host and what is public may be asked; of all else only what ``listed`` says at that moment."""

    listed: Callable[[], tuple[Network, ...]] = _unlisted
    resolver: Resolver = _resolved

    def connect(self, host: str, port: int, give_up_at: float) -> socket.socket:
        """Connect to the first address of a host that takes it, until a moment of the monotonic clock.

        The name is resolved once, and nothing is connected to but what was judged: who answers for it cannot give
        another address afterwards. One address out of reach among several is enough to ask none of them.

        Raises:
            OutOfReachError: an address of it is not this host's, not public, and not listed.
            OSError: it has no address, none of them answers, or the time is over.
            UnicodeError: it is no name.
        """
        places, listed = self.resolver(host, port), self.listed()
        for _, place in places:
            _judge(host, ipaddress.ip_address(place[0]), listed)
        failure: OSError = socket.gaierror(socket.EAI_NONAME, "no address")
        for family, place in places:
            if (left := give_up_at - time.monotonic()) <= 0:
                raise TimeoutError("timed out")
            connection = socket.socket(family, socket.SOCK_STREAM)
            try:
                connection.settimeout(left)
                connection.connect(place)
            except OSError as error:
                connection.close()
                failure = error
            else:
                return connection
        raise failure


ORDINARY = Reach()
"""Nothing is listed."""


def _judge(host: str, address: Address, listed: Sequence[Network]) -> None:
    meant = _meant(address)
    if _is_open(meant) or any(one in network for network in listed for one in (address, meant)):
        return
    named = str(address) if host == str(address) else f"{host} ({address})"
    message = f"{named} is neither this host nor public, and is not asked; to list it, in guard.yaml: "
    raise OutOfReachError(f"{message}probes: {{allow: [{_written(meant)}]}}")


def _written(address: Address) -> str:
    """Return an address as it is listed: without an interface, and quoted where YAML would read something else."""
    plain = str(address).partition("%")[0]
    return f'"{plain}"' if ":" in plain else plain


def _meant(address: Address) -> Address:
    """Return the address that packets reach: IPv6 has several ways of writing one of IPv4."""
    if isinstance(address, ipaddress.IPv4Address):
        return address
    if address in _TRANSLATED:
        return ipaddress.IPv4Address(int(address) & 0xFFFF_FFFF)
    return address.ipv4_mapped or address.sixtofour or address


def _is_open(address: Address) -> bool:
    if address.is_loopback or address.is_unspecified:  # the unspecified one, too, connects to this host
        return True
    closed = address.is_multicast or address.is_reserved or any(address in network for network in _CLOSED)
    return address.is_global and not closed and not getattr(address, "is_site_local", False)
