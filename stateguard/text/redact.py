"""Secrets out of sentences: credentials in URLs, tokens, values of secret-looking keys."""

from __future__ import annotations

import re
from collections.abc import Iterable

_URL = re.compile(r"(?P<scheme>[a-z][a-z0-9+.-]*://)[^/\s]+@", re.IGNORECASE)
_PAIR = re.compile(
    r"(?P<key>\b[\w-]*(?:password|passwd|secret|token|api[_-]?key|authorization)[\w-]*\s*[=:]\s*)(?!(?<=secret:)//)(?P<value>\S+)",
    re.IGNORECASE,
)
_TOKEN = re.compile(r"\b(?:ghp_[A-Za-z0-9]{20,}|sk-[A-Za-z0-9_-]{20,}|AKIA[0-9A-Z]{16}|xox[bap]-[A-Za-z0-9-]{10,})")

_TELLING = 4
"""Shorter values are words of the language as well as secrets: taking them out would tell where they stood."""


def redact(text: str) -> str:
    """Return the text with credentials replaced by ``***``; redacting twice changes nothing more."""
    text = _URL.sub(r"\g<scheme>***@", text)
    text = _PAIR.sub(r"\g<key>***", text)
    return _TOKEN.sub("***", text)


def without(text: str, values: Iterable[str]) -> str:
    """Return one line of text with ``***`` for each line of these values, and for what a cut (``…``) left of one."""
    parts = {part.strip() for value in values for part in value.splitlines()}
    for part in sorted((part for part in parts if len(part) >= _TELLING), key=len, reverse=True):
        text = text.replace(part, "***")
        if text.endswith("…"):
            begun = next((n for n in range(len(part) - 1, _TELLING - 1, -1) if text.endswith(part[:n] + "…")), 0)
            text = text[: len(text) - 1 - begun] + "***…" if begun else text
    return text
