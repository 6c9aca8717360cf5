"""A document that was read, with the line and column of everything in it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

Position = tuple[int, int]
"""Line and column, both counted from 1."""

START: Position = (1, 1)


@dataclass(slots=True)
class Node:
    """One value of a document while it is built; ``size`` counts the values in it, itself included."""

    value: object
    at: Position
    flow: bool = True
    size: int = 1
    places: dict[str | int, Position] = field(default_factory=dict)
    inner: dict[str | int, Node] = field(default_factory=dict)

    def put(self, key: str | int, at: Position, child: Node) -> None:
        """Add a child under a key or an index, which stands at a position."""
        if isinstance(self.value, dict):
            self.value[key] = child.value
        elif isinstance(self.value, list):
            self.value.append(child.value)
        self.places[key] = at
        self.inner[key] = child
        self.size += child.size


@dataclass(frozen=True, slots=True)
class Document:
    """A parsed file: its plain value, and where each part of it stands."""

    path: str
    value: object
    root: Node

    def position(self, keys: Sequence[str | int] = ()) -> Position:
        """Return line and column, from 1, of the key or item that the keys lead to, or of the nearest one above."""
        at, node = self.root.at, self.root
        for key in keys:
            if key not in node.places:
                break
            at, node = node.places[key], node.inner[key]
        return at

    def node(self, keys: Sequence[str | int]) -> Node | None:
        """Return what the keys lead to, or None."""
        node: Node | None = self.root
        for key in keys:
            node = node.inner.get(key) if node else None
        return node
