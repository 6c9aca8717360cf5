"""Reading a file that belongs to another tool: what cannot be told for certain is left alone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from importlib.resources import files

from stateguard.admission.schema import instance_problems
from stateguard.config import json, yaml
from stateguard.config.document import Document
from stateguard.config.problem import InvalidDocument, Problem

_TAKEN_ELSEWHERE = frozenset({"merge-key", "tag", "documents", "key", "number"})
"""What our strict reader refuses and the tool's own reader takes."""

_COMMENTS = (b"//", b"/*")


@dataclass(frozen=True, slots=True)
class Recognised:
    """Something of another tool in the tree.

    ``path`` is a file, or a directory with a slash at its end ("./" for the top); ``counts`` names what lies in it, in
    the order in which it is told.
    """

    format: str
    path: str
    counts: tuple[tuple[str, int], ...]
    version: str = ""

    def as_json(self) -> dict[str, object]:
        """Return the keys of ``validate``."""
        version = {"version": self.version} if self.version else {}
        return {"format": self.format, "path": self.path, **version, **dict(self.counts)}


def read(path: str, data: bytes, marks: Sequence[bytes]) -> tuple[Document | None, list[Problem]]:
    """Return the document, or why it cannot be read; neither where it may be somebody else's.

    A file that cannot be read shows no shape. It is taken for the tool's all the same if every mark stands in it.
    """
    try:
        return (json.load_json(data, path) if path.endswith(".json") else yaml.load(data, path)), []
    except InvalidDocument as error:
        return None, list(error.problems) if _certain(data, marks, error) else []


def _certain(data: bytes, marks: Sequence[bytes], error: InvalidDocument) -> bool:
    if any(problem.code in _TAKEN_ELSEWHERE for problem in error.problems):
        return False
    if error.path.endswith(".json") and any(line.lstrip().startswith(_COMMENTS) for line in data.split(b"\n")):
        return False  # some editors take comments in JSON
    return all(mark in data for mark in marks)


def violations(document: Document, name: str) -> list[Problem]:
    """Return where a document does not hold to a shipped schema, by the schema's name."""
    return instance_problems(document, schema(name))


@lru_cache(maxsize=8)
def schema(name: str) -> Document:
    """Return a shipped schema by its name, such as ``mcp``."""
    file = f"{name}.schema.json"
    return json.load_json(files("stateguard.admission.foreign").joinpath(file).read_bytes(), file)


def problem(document: Document, keys: Sequence[str | int], code: str, message: str) -> Problem:
    """Return a problem at the place that the keys lead to."""
    line, column = document.position(keys)
    return Problem(document.path, line, code, message, column)
