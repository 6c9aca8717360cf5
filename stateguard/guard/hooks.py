"""The git hooks of a served repository: which there are, and what stands in them."""

from __future__ import annotations

import sys
from pathlib import Path

from stateguard.config.resources import shipped
from stateguard.host import files

HOOKS = ("pre-receive", "proc-receive", "reference-transaction")


def install_hooks(repository: Path) -> None:
    """Put the hooks into a served repository; they name this interpreter by absolute path.

    Raises:
        OSError: the disk refused.
    """
    for name in HOOKS:
        files.replace(repository / "hooks" / name, hook_text(name).encode(), 0o755)


def refresh_hooks(repository: Path) -> bool:
    """Write the hooks anew if they are not what this installation writes; say whether they were not.

    Raises:
        OSError: the disk refused.
    """
    if all(_is_ours(repository / "hooks" / name, name) for name in HOOKS):
        return False
    install_hooks(repository)
    return True


def _is_ours(path: Path, name: str) -> bool:
    try:
        return path.read_bytes() == hook_text(name).encode() and bool(path.stat().st_mode & 0o100)
    except FileNotFoundError:
        return False


def hook_text(name: str) -> str:
    """Return what this installation writes into a hook."""
    client = Path(__file__).resolve().parents[1] / "githooks" / "client.py"
    text = (shipped("hooks") / name).read_text(encoding="utf-8")
    return text.replace("@PYTHON@", _quoted(sys.executable)).replace("@CLIENT@", _quoted(str(client)))


def _quoted(path: str) -> str:
    return "'" + path.replace("'", "'\\''") + "'"
