"""Connect to a port: an open one passes."""

from __future__ import annotations

import socket
import time

from stateguard.host.reach import ORDINARY, OutOfReachError, Reach
from stateguard.model.agent import TcpCheck
from stateguard.observe.outcome import Outcome, broken, failed, passed, silent
from stateguard.text.escape import line

_PORTS = range(1, 65536)


def check(asked: TcpCheck, timeout_seconds: float, reach: Reach = ORDINARY) -> Outcome:
    """Open a connection to a host within reach, and close it."""
    place = f"{asked.host}:{asked.port}"
    if asked.port not in _PORTS:  # getaddrinfo would ask another port, modulo 65536
        return broken(f"{place}: there is no such port")
    try:
        reach.connect(asked.host, asked.port, time.monotonic() + timeout_seconds).close()
    except OutOfReachError as error:
        return broken(line(str(error)))
    except TimeoutError:
        return silent(timeout_seconds)
    except ConnectionError:
        return failed(f"connection refused on {place}")
    except socket.gaierror as error:
        return broken(f"{asked.host} has no address: {error.strerror}")
    except (OSError, ValueError) as error:
        return broken(f"{place} cannot be asked: {error}")
    return passed(f"connected to {place}")
