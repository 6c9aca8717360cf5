"""Secrets out of sentences: credentials in URLs, tokens, values of secret-looking keys."""

from __future__ import annotations

import re

_URL = re.compile(r"(?P<scheme>[a-z][a-z0-9+.-]*://)[^/\s]+@", re.IGNORECASE)
_PAIR = re.compile(
    r"(?P<key>\b[\w-]*(?:password|passwd|secret|token|api[_-]?key|authorization)[\w-]*\s*[=:]\s*)(?!//)(?P<value>\S+)",
    re.IGNORECASE,
)
_TOKEN = re.compile(r"\b(?:ghp_[A-Za-z0-9]{20,}|sk-[A-Za-z0-9_-]{20,}|AKIA[0-9A-Z]{16}|xox[bap]-[A-Za-z0-9-]{10,})")


def redact(text: str) -> str:
    """Return the text with credentials replaced by ``***``; redacting twice changes nothing more."""
    text = _URL.sub(r"\g<scheme>***@", text)
    text = _PAIR.sub(r"\g<key>***", text)
    return _TOKEN.sub("***", text)
