"""``docs/recording.txt``: the quickstart as somebody really typed it.

Record it anew with ``PYTHONPATH=tests .venv/bin/python tests/docs/recording.py``; it takes half a minute.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from docs.pages import DOCS, Block, blocks, missing, typed
from docs.walking import DEADLINE_SECONDS, Reader

RECORDING = DOCS / "recording.txt"
PAGE = DOCS / "quickstart.md"

HEAD = "The quickstart, recorded by tests/docs/recording.py. Lines with $ were typed.\n\n"


def steps() -> Iterator[tuple[Block, str]]:
    """Yield the blocks of the quickstart that are typed, each with what it should print."""
    found = blocks(PAGE)
    for number, block in enumerate(found):
        if block.language == "sh" and not block.skipped:
            following = found[number + 1] if number + 1 < len(found) else None
            yield block, following.text if following is not None and "output" in following.words else ""


def record(reader: Reader) -> str:
    """Type the quickstart and return the session as a reader sees it."""
    lines = [HEAD]
    for block, shown in steps():
        give_up_at = time.monotonic() + DEADLINE_SECONDS
        session = _typed(reader, block)
        while missing(shown, session) and "retry" in block.words and time.monotonic() < give_up_at:
            session = _typed(reader, block)
        lines.append(session)
    return "".join(lines).replace(str(reader.root), "~")


def _typed(reader: Reader, block: Block) -> str:
    session = ""
    for command in typed(block.text):
        _, printed = reader.run(command + "\n", time.monotonic() + DEADLINE_SECONDS)
        kept = [line.rstrip() for line in printed.splitlines()]
        session += "\n".join([f"$ {command}", *(line for line in kept if line)]) + "\n"
    return session + "\n"


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as scratch:
        one = Reader(Path(scratch))
        try:
            RECORDING.write_text(record(one), encoding="utf-8")
        finally:
            one.close()
