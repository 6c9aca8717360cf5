"""Conversations: one JSON object a line, appended by the agents."""

from __future__ import annotations

import json
import os
import uuid
from typing import TYPE_CHECKING, Any

from mealplan.memory import now

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


class Journal:
    """Appends turns to one file and reads those of others."""

    def __init__(self, directory: Path, agent: str) -> None:
        """Keep the conversations of an agent in a directory."""
        self._directory = directory
        self._path = directory / f"{agent}.jsonl"

    def append(self, role: str, content: str, conversation: str) -> None:
        """Add one turn with a single write, so that lines never mix."""
        turn = {
            "id": uuid.uuid4().hex,
            "at": now(),
            "role": role,
            "content": content,
            "conversation": conversation,
        }
        line = json.dumps(turn, ensure_ascii=False) + "\n"
        self._directory.mkdir(exist_ok=True)
        flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT
        descriptor = os.open(self._path, flags, 0o644)
        try:
            os.write(descriptor, line.encode())
        finally:
            os.close(descriptor)

    def turns(self, agent: str) -> Iterator[dict[str, Any]]:
        """Yield the complete turns of an agent, oldest first."""
        path = self._directory / f"{agent}.jsonl"
        if not path.exists():
            return
        for line in path.read_text(encoding="utf-8").split("\n"):
            if not line:
                continue
            try:
                turn = json.loads(line)
            except json.JSONDecodeError:
                continue
            if isinstance(turn, dict):
                yield turn
