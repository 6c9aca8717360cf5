"""Ask a URL: 200 to 399 passes, as with Kubernetes."""

from __future__ import annotations

import socket
from urllib.parse import urlsplit

from stateguard.host import http
from stateguard.host.reach import ORDINARY, OutOfReachError, Reach
from stateguard.model.agent import HttpCheck
from stateguard.observe.outcome import Outcome, broken, excerpt, failed, passed, silent
from stateguard.text.escape import line

_PASSES = range(200, 400)
_BODY_CHARACTERS = 120


def check(asked: HttpCheck, timeout_seconds: float, reach: Reach = ORDINARY) -> Outcome:
    """GET the URL, of a host within reach."""
    try:
        answer = http.request(asked.url, timeout_seconds=timeout_seconds, reach=reach)
    except OutOfReachError as error:
        return broken(line(str(error)))
    except TimeoutError:
        return silent(timeout_seconds)
    except ConnectionRefusedError:
        return failed(f"connection refused on {_place(asked.url)}")
    except ConnectionError:
        return failed(f"connection lost to {_place(asked.url)}")
    except socket.gaierror as error:
        return broken(f"{urlsplit(asked.url).hostname} has no address: {error.strerror}")
    except (OSError, ValueError) as error:
        return broken(excerpt(str(error).encode(), _BODY_CHARACTERS))
    if answer.status in _PASSES:
        return passed(f"HTTP {answer.status}")
    body = excerpt(answer.body, _BODY_CHARACTERS)
    return failed(f"HTTP {answer.status}: {body}" if body else f"HTTP {answer.status}")


def _place(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.hostname}:{parts.port or (443 if parts.scheme == 'https' else 80)}"
