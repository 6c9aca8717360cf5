"""The incidents branch: one Markdown file for each incident and an index, in commits that the guard signs."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping

from pygit2.enums import ObjectType

from stateguard.model.identity import INCIDENTS, ZERO
from stateguard.model.tree import REGULAR, Entry
from stateguard.report.markup import fill
from stateguard.state import trees
from stateguard.state.forward import Signer, signed_commit
from stateguard.state.repository import RefMove, Repository

README = "README.md"

_REPORT = re.compile(r"incidents/(\d{4,})\.md")
_TITLE = re.compile(r"^# (?:Incident \d+: )?(.*)$", re.MULTILINE)
_ROW = re.compile(r"^\| (Severity|State|Opened) \| (.*) \|$", re.MULTILINE)
_ESCAPE = re.compile(r"\\([!-/:-@\[-`{-~])")


def publish(
    repository: Repository,
    moves: Callable[[list[RefMove]], None],
    incident_id: int,
    markdown: str,
    at: float,
    signer: Signer,
) -> str:
    """Put a report onto the incidents branch and return its path there; the same report again changes nothing.

    ``moves`` moves refs by compare-and-swap; ``at`` is Unix time in seconds.

    Raises:
        StorageError: the repository could not be read or written, or the branch moved meanwhile.
        NotFoundError: the templates are not installed.
    """
    path = f"incidents/{incident_id:04d}.md"
    head = repository.ref(INCIDENTS)
    before = trees.path_map(repository, repository.commit(head).tree) if head else {}
    after = {**before, path: _written(repository, markdown)}
    after[README] = _written(repository, _index(repository, after))
    if after == before:
        return path
    verb = "Update the report of" if path in before else "Report"
    tree = trees.build(repository, after)
    commit = signed_commit(repository, tree, [head] if head else [], f"{verb} incident {incident_id}\n", at, signer)
    moves([RefMove(INCIDENTS, commit, head or ZERO)])
    return path


def _written(repository: Repository, text: str) -> Entry:
    return Entry(REGULAR, repository.write(ObjectType.BLOB, text.encode(errors="backslashreplace")))


def _index(repository: Repository, paths: Mapping[str, Entry]) -> str:
    """Return the index of every report, newest first."""
    numbers = {int(found[1]): path for path in paths if (found := _REPORT.fullmatch(path))}
    rows = []
    for number, path in sorted(numbers.items(), reverse=True):
        text = repository.blob(paths[path].id).decode(errors="replace")
        known: dict[str, str] = {}
        for name, value in _ROW.findall(text):
            known.setdefault(name, _unescaped(value))
        title = _TITLE.search(text)
        rows.append(
            {
                "number": number,
                "path": path,
                "title": _unescaped(title[1]) if title else "",
                "severity": known.get("Severity", "").partition(":")[0],
                "state": known.get("State", ""),
                "opened": known.get("Opened", ""),
            }
        )
    return fill("incidents.md.j2", {"rows": rows})


def _unescaped(text: str) -> str:
    return _ESCAPE.sub(r"\1", text)
