"""``protocols/<name>.yaml``: the schema of a channel between agents."""

from __future__ import annotations

from pydantic import ConfigDict, Field

from stateguard.config.document import Document
from stateguard.config.fields import Name, Required, Strict, check
from stateguard.config.probe import UnnamedProbe
from stateguard.model.agent import Channel


class ChannelModel(Strict):
    """A channel; keys that only the agents read, like an endpoint, are free."""

    model_config = ConfigDict(extra="allow")

    name: Name
    sender: Name = Field(alias="from")
    receiver: Name = Field(alias="to")
    transport: Required = "http"
    probe: UnnamedProbe | None = None


def parse_channel(document: Document, path: str) -> Channel:
    """Return the channel that a file under ``protocols/`` declares.

    Raises:
        InvalidDocument: with every problem found, each with its line and column.
    """
    model = check(ChannelModel, document, path)
    probe = model.probe.probe(None, f"channel-{model.name}") if model.probe else None
    return Channel(
        name=model.name,
        path=path,
        sender=model.sender,
        receiver=model.receiver,
        transport=model.transport,
        probe=probe,
    )
