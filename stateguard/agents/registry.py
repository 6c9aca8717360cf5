"""The durable record of which process is which agent; it outlives the guard, not the boot."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass, fields
from pathlib import Path

from stateguard.host import files
from stateguard.host.logs import warn
from stateguard.host.process import ProcessIdentity
from stateguard.model.agent import AgentSpec

_VERSION = 1
_KINDS: dict[str, tuple[type, ...]] = {"str": (str,), "int": (int,), "float": (int, float), "bool": (bool,)}


@dataclass(frozen=True, slots=True)
class Entry:
    """One agent's process. ``started_at`` is Unix time in seconds, ``digest`` that of its specification.

    ``attached`` says that somebody else started it.
    """

    name: str
    pid: int
    began_ticks: int
    boot_id: str
    revision: str
    started_at: float
    digest: str
    attached: bool = False

    @property
    def identity(self) -> ProcessIdentity:
        """The process, beyond its pid."""
        return ProcessIdentity(self.pid, self.began_ticks)


def spec_digest(spec: AgentSpec) -> str:
    """Return SHA-256, in hexadecimal, over what makes a process the one a specification asks for."""
    relevant = {
        "command": list(spec.command),
        "environment": sorted(spec.environment),
        "stop": asdict(spec.stop),
    }
    return hashlib.sha256(json.dumps(relevant, sort_keys=True).encode()).hexdigest()


class Registry:
    """The record in one file. Not safe for threads: its owner holds a lock.

    A disk that refuses twice to keep it is logged, not raised: the agents run, and are found in /proc without it.
    """

    def __init__(self, path: Path) -> None:
        """Read the file; one that is missing or unreadable is an empty record."""
        self._path = path
        self._entries = _read(path)

    def get(self, name: str) -> Entry | None:
        """Return the entry of an agent."""
        return self._entries.get(name)

    def entries(self) -> dict[str, Entry]:
        """Return all entries by name."""
        return dict(self._entries)

    def put(self, *entries: Entry) -> None:
        """Record processes durably."""
        if entries:
            self._save(self._entries | {entry.name: entry for entry in entries})

    def remove(self, names: Iterable[str]) -> None:
        """Forget agents durably."""
        gone = set(names)
        if gone & self._entries.keys():
            self._save({name: entry for name, entry in self._entries.items() if name not in gone})

    def _save(self, entries: dict[str, Entry]) -> None:
        self._entries = entries
        document = {"version": _VERSION, "agents": [asdict(entry) for _, entry in sorted(entries.items())]}
        for last in (False, True):
            try:
                files.replace(self._path, json.dumps(document, indent=1).encode())
            except OSError as error:
                if last:
                    warn("the record of running agents could not be written", path=str(self._path), error=str(error))
                continue
            return


def _read(path: Path) -> dict[str, Entry]:
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        return {}
    except OSError as error:
        warn("the record of running agents cannot be read", path=str(path), error=str(error))
        return {}
    try:
        return {entry.name: entry for entry in _parse(content)}
    except ValueError as error:
        warn("the record of running agents is damaged and is not used", path=str(path), error=str(error))
        return {}


def _parse(content: bytes) -> list[Entry]:
    document = json.loads(content)
    if not isinstance(document, dict) or document.get("version") != _VERSION:
        raise ValueError("it is no record of this version")
    listed = document.get("agents")
    if not isinstance(listed, list):
        raise ValueError("it lists no agents")  # noqa: TRY004 - a damaged file, whatever is wrong with it
    return [_entry(item) for item in listed]


def _entry(item: object) -> Entry:
    kinds = {f.name: _KINDS[str(f.type)] for f in fields(Entry)}
    if isinstance(item, dict) and item.keys() == kinds.keys() - {"attached"}:
        item = {**item, "attached": False}  # written by a version that attached to nothing
    if not isinstance(item, dict) or item.keys() != kinds.keys():
        raise ValueError("an agent's entry has other fields")
    wrong = [
        key
        for key, kind in kinds.items()
        if not isinstance(item[key], kind) or (isinstance(item[key], bool) and kind != (bool,))
    ]
    if wrong:
        message = f"an agent's entry has a bad {wrong[0]}"
        raise ValueError(message)
    return Entry(**item)
