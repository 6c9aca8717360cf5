"""A reader who types a page's blocks into one shell, in order, in an empty directory."""

from __future__ import annotations

import contextlib
import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import psutil

from docs.pages import Block, missing
from driving import environment

DEADLINE_SECONDS = 120.0


class Reader:
    """One bash with a home directory of its own; everything it starts ends with it."""

    def __init__(self, root: Path) -> None:
        """Begin in ``root``, which becomes the home directory as well."""
        self.root = root
        self.typed = 0
        path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
        known = {"HOME": str(root), "PATH": path, "GIT_CONFIG_GLOBAL": str(root / ".gitconfig")}
        self.shell = subprocess.Popen(
            ["bash", "--noprofile", "--norc"],
            cwd=root,
            env=environment(**known),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )

    def walk(self, steps: Sequence[Block]) -> int:
        """Type every block that is to be typed and compare what is shown; returns how many were typed."""
        typed = 0
        for number, block in enumerate(steps):
            if block.language != "sh" or block.skipped:
                continue
            following = steps[number + 1] if number + 1 < len(steps) else None
            shown = following.text if following is not None and "output" in following.words else ""
            self.type(block, shown)
            typed += 1
        return typed

    def type(self, block: Block, shown: str) -> None:
        """Type one block; with ``retry`` again and again until it prints what it should."""
        give_up_at = time.monotonic() + DEADLINE_SECONDS
        while True:
            status, printed = self.run(block.text, give_up_at)
            lacks = missing(shown, printed) if status == block.status else f"exit status {status}"
            if not lacks:
                return
            again = "retry" in block.words and time.monotonic() < give_up_at
            assert again, f"{block.place}: {lacks!r} is not what it came to:\n{printed}"

    def must(self, text: str) -> str:
        """Run lines that have to succeed; returns what they print."""
        status, printed = self.run(text, time.monotonic() + DEADLINE_SECONDS)
        assert status == 0, printed
        return printed

    def run(self, text: str, give_up_at: float) -> tuple[int, str]:
        """Run lines in the shell; returns the status of the last command that failed, and all that was printed."""
        self.typed += 1
        script = self.root / f".typed-{self.typed}"
        script.write_text(text, encoding="utf-8")
        mark = f"--typed-{self.typed}-"
        lines = f"failed=0; trap 'failed=$?' ERR; . {script}; trap - ERR; echo; echo {mark}$failed--\n"
        assert self.shell.stdin is not None
        self.shell.stdin.write(lines.encode())
        self.shell.stdin.flush()
        printed = self._until(f"\n{mark}".encode(), give_up_at).decode(errors="replace")
        before, _, after = printed.rpartition(f"\n{mark}")
        script.unlink()
        return int(after.split("--")[0]), before

    def _until(self, mark: bytes, give_up_at: float) -> bytes:
        assert self.shell.stdout is not None
        output, printed = self.shell.stdout.fileno(), b""
        while not (mark in printed and printed.endswith(b"--\n")):
            ready, _, _ = select.select([output], [], [], max(0.0, give_up_at - time.monotonic()))
            assert ready, f"nothing more came after:\n{printed.decode(errors='replace')[-3000:]}"
            chunk = os.read(output, 65536)
            assert chunk, f"the shell ended after:\n{printed.decode(errors='replace')[-3000:]}"
            printed += chunk
        return printed

    def close(self) -> None:
        """End the shell, what runs in its session, and every agent in a directory below."""
        assert self.shell.stdin is not None
        assert self.shell.stdout is not None
        self.shell.stdin.close()
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.shell.pid, signal.SIGTERM)
        try:
            self.shell.wait(10)
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.shell.pid, signal.SIGKILL)
            self.shell.wait(10)
            self.shell.stdout.close()
            for process in below(self.root):
                with contextlib.suppress(psutil.NoSuchProcess):
                    process.kill()


def below(root: Path) -> Iterator[psutil.Process]:
    """Yield the processes that work in a directory or below it: agents, and managers that went to the background."""
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            if Path(process.cwd()).is_relative_to(root.resolve()):
                yield process
