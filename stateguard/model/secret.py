"""References to secrets: what stands in git where a value must not."""

from __future__ import annotations

import re

SCHEME = "secret://"
"""How a value begins that names a secret instead of being one."""

MAX_BYTES = 64 * 1024
"""The longest value: half of what Linux takes for one variable."""

NAMES = "letters, digits, _ . and -, a letter or digit first, at most 63 characters"
"""What the name of a secret is made of, for people."""

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,62}")


def is_secret_name(text: str) -> bool:
    """Say whether a text can be the name of a secret; none leads out of a directory."""
    return _NAME.fullmatch(text) is not None


def referenced(value: str) -> str | None:
    """Return the name that a value refers to, be it a possible one or not; None if the value stands for itself."""
    return value.removeprefix(SCHEME) if value.startswith(SCHEME) else None


def sealed_path(name: str) -> str:
    """Return the path in the state of the encrypted file for a secret."""
    return f"secrets/{name}.age"


def sealed_name(path: str) -> str | None:
    """Return the name of the secret that a path of the state is the encrypted file for, or None."""
    name = path.removeprefix("secrets/").removesuffix(".age")
    return name if path == sealed_path(name) and is_secret_name(name) else None
