"""Which files are judged by what they are called, told directory by directory."""

from __future__ import annotations

from collections.abc import Collection, Set as AbstractSet

from stateguard.admission.documents import is_config, is_schema, schema_of
from stateguard.admission.foreign.survey import FOREIGN_NAMES
from stateguard.admission.references import is_misnamed
from stateguard.config.system import is_declaration

ROOT = ""
_AGENTS, _AGENT, _CONFIG, _PROTOCOLS, _ELSEWHERE = "agents/", "agents/_/", "config/", "protocols/", "_/"
_KINDS = {name.rstrip("/").encode(): name for name in (_AGENTS, _CONFIG, _PROTOCOLS)}
_FOREIGN = frozenset(name.encode() for name in FOREIGN_NAMES)


def kind_below(kind: str, name: bytes) -> str:
    """Return the kind of a directory by that of the one it is in: the path of a directory that is like it."""
    if kind == ROOT:
        return _KINDS.get(name, _ELSEWHERE)
    if kind == _AGENTS:
        return _AGENT
    return kind if kind == _CONFIG else _ELSEWHERE


def noted_names(kind: str, names: AbstractSet[bytes]) -> AbstractSet[bytes]:
    """Return which of the files in a directory of this kind may be read although they did not change.

    A name may be returned that is none after all, never the other way round.
    """
    found = _FOREIGN & names
    if kind == _ELSEWHERE:
        return found
    shown = {name: kind + name.decode("utf-8", "backslashreplace") for name in names}
    paths = frozenset(shown.values())
    return found | {name for name, path in shown.items() if _is_noted(path, paths)}


def _is_noted(path: str, paths: Collection[str]) -> bool:
    if is_declaration(path) or is_misnamed(path) or is_schema(path):
        return True
    return is_config(path) and schema_of(path) in paths
