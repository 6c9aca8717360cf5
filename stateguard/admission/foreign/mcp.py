"""The Model Context Protocol: the file in which a client lists its servers under ``mcpServers``."""

from __future__ import annotations

import posixpath
from collections import Counter
from collections.abc import Mapping

from stateguard.admission.foreign.reading import Recognised, read, violations
from stateguard.config.problem import Problem

NAMES = frozenset(
    {"mcp.json", ".mcp.json", "mcp_config.json", "mcp_settings.json", "cline_mcp_settings.json"}
    | {"claude_desktop_config.json"}
)
_URLS = frozenset({"url", "serverUrl", "httpUrl"})
_TRANSPORTS = ("stdio", "http", "sse", "other")


def is_mcp(path: str) -> bool:
    """Say whether a file has a name under which clients keep their servers."""
    return posixpath.basename(path) in NAMES


def servers(path: str, data: bytes) -> tuple[Recognised | None, list[Problem]]:
    """Return the servers that a file lists and what is wrong with them; nothing if it lists none."""
    document, problems = read(path, data, [b'"mcpServers"'])
    listed = document.value.get("mcpServers") if document and isinstance(document.value, dict) else None
    if document is None or not isinstance(listed, dict):
        return None, problems
    kinds = Counter(_transport(server) for server in listed.values())
    counts = [("servers", len(listed)), *((kind, kinds[kind]) for kind in _TRANSPORTS if kinds[kind])]
    return Recognised("mcp", path, tuple(counts)), violations(document, "mcp")


def _transport(server: object) -> str:
    if not isinstance(server, Mapping):
        return "other"
    named = str(server.get("type") or server.get("transport") or "").lower().replace("-", "").replace("_", "")
    if named == "streamablehttp" or (not named and _URLS & server.keys() and "command" not in server):
        return "http"
    if not named and "command" in server:
        return "stdio"
    return named if named in _TRANSPORTS else "other"
