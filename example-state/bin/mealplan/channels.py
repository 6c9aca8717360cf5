"""Find the other agents through ``protocols/`` and talk to them."""

from __future__ import annotations

import http.client
import itertools
import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from mealplan.flat import read_flat

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


OUTSIDE = "external"
"""Whom a channel names that leads out of the system."""


class AgentError(Exception):
    """A request that cannot be answered, with the HTTP status that says so."""

    def __init__(self, status: int, reason: str) -> None:
        """Remember the status to answer with."""
        super().__init__(reason)
        self.status = status


@dataclass(frozen=True)
class Channel:
    """One way from an agent to another; where there are two endpoints, they take turns."""

    sender: str
    receiver: str
    endpoints: tuple[str, ...]
    message_format: str


def read_channels(directory: Path) -> list[Channel]:
    """Read every channel of the system."""
    channels = []
    for path in sorted(directory.glob("*.yaml")):
        values = read_flat(path)
        channels.append(
            Channel(
                sender=values.get("from", ""),
                receiver=values.get("to", ""),
                endpoints=tuple(values[key] for key in ("endpoint", "second_endpoint") if key in values),
                message_format=values.get("message_format", ""),
            )
        )
    return channels


def post(endpoint: str, message: dict[str, Any], timeout: float) -> dict[str, Any]:
    """Send a message and return the answer.

    Raises AgentError with the other side's own reason when it has one.
    """
    address = urlsplit(endpoint)
    connection = http.client.HTTPConnection(address.hostname or "", address.port, timeout=timeout)
    try:
        connection.request(
            "POST",
            address.path,
            json.dumps(message),
            {"Content-Type": "application/json"},
        )
        response = connection.getresponse()
        answer = json.loads(response.read())
    except (OSError, http.client.HTTPException, ValueError) as error:
        reason = f"no answer from {address.netloc} ({error})"
        raise AgentError(502, reason) from error
    finally:
        connection.close()
    if not isinstance(answer, dict):
        raise AgentError(502, f"{address.netloc} did not answer with an object")
    if response.status != http.client.OK:
        reason = str(answer.get("error", f"status {response.status}"))
        raise AgentError(502, reason)
    return answer


@dataclass(frozen=True)
class Directory:
    """The channels that start at one agent."""

    owner: str
    channels: list[Channel]
    timeout: float
    turns: Iterator[int] = field(default_factory=itertools.count)

    def has(self, name: str) -> bool:
        """Say whether there is a channel to a named agent."""
        return any(c.endpoints for c in self.channels if (c.sender, c.receiver) == (self.owner, name))

    def ask(self, name: str, message: dict[str, Any]) -> dict[str, Any]:
        """Ask a named agent."""
        for channel in self.channels:
            if (channel.sender, channel.receiver) == (self.owner, name) and channel.endpoints:
                endpoint = channel.endpoints[next(self.turns) % len(channel.endpoints)]
                return post(endpoint, message | {"format": channel.message_format}, self.timeout)
        raise AgentError(502, f"{self.owner} has no channel to {name}")

    def ask_next(self, message: dict[str, Any]) -> dict[str, Any]:
        """Ask the agent at the end of this agent's only channel."""
        receivers = [c.receiver for c in self.channels if c.sender == self.owner and c.receiver != OUTSIDE]
        if len(receivers) != 1:
            reason = f"{self.owner} has {len(receivers)} channels, needs one"
            raise AgentError(502, reason)
        return self.ask(receivers[0], message)
