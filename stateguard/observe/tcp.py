"""Connect to a port: an open one passes."""

from __future__ import annotations

import socket

from stateguard.model.agent import TcpCheck
from stateguard.observe.outcome import Outcome, broken, failed, passed, silent

_PORTS = range(1, 65536)


def check(asked: TcpCheck, timeout_seconds: float) -> Outcome:
    """Open a connection and close it."""
    place = f"{asked.host}:{asked.port}"
    if asked.port not in _PORTS:  # getaddrinfo would ask another port, modulo 65536
        return broken(f"{place}: there is no such port")
    try:
        socket.create_connection((asked.host, asked.port), timeout=timeout_seconds).close()
    except TimeoutError:
        return silent(timeout_seconds)
    except ConnectionError:
        return failed(f"connection refused on {place}")
    except socket.gaierror as error:
        return broken(f"{asked.host} has no address: {error.strerror}")
    except (OSError, ValueError) as error:
        return broken(f"{place} cannot be asked: {error}")
    return passed(f"connected to {place}")
