"""What is wrong with something that people wrote, and where."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from stateguard.errors import RefusedError
from stateguard.text import escape

_LONGEST_MESSAGE = 500


@dataclass(frozen=True, slots=True, order=True)
class Problem:
    """One thing that is wrong: what it is and what to do, in one sentence.

    ``path`` is a file or a ref; ``line`` and ``column`` count from 1, a line of 0 means the whole of it.
    """

    path: str
    line: int
    code: str
    message: str
    column: int = 1

    def text(self) -> str:
        """Return ``path:line:column: message`` on one line that cannot steer a terminal."""
        place = f"{self.path}:{self.line}:{self.column}" if self.line else self.path
        return escape.line(f"{place}: {self.message}")

    def as_json(self) -> dict[str, object]:
        """Return the keys of ``validate``."""
        return {
            "path": self.path,
            "line": self.line,
            "column": self.column,
            "code": self.code,
            "message": self.message,
        }


class InvalidDocument(RefusedError):  # noqa: N818 - it is named for what was read, as its problems are
    """A document that does not hold, with everything that is wrong with it.

    Its ``code`` stays ``refused``: that is what it becomes when it crosses the control socket.

    Attributes:
        path: the file, or what the files make up together.
        problems: all that was found, at least one.
    """

    def __init__(self, path: str, problems: Iterable[Problem]) -> None:
        """Keep the problems; the sentence names the first of them."""
        self.path = path
        self.problems = tuple(problems)
        first = self.problems[0].text() if self.problems else f"{path} is invalid"
        more = f" (and {len(self.problems) - 1} more)" if len(self.problems) > 1 else ""
        super().__init__(first + more, next_step="mend the file and try again; stateguard validate shows every problem")

    def as_json(self) -> dict[str, object]:
        """Return the JSON error document, with the problems beside the error."""
        return {**super().as_json(), "problems": [p.as_json() for p in self.problems]}


def shown(value: object, longest: int = 60) -> str:
    """Return a value as a message quotes it: text in double quotes, cut to a length in characters."""
    if isinstance(value, str):
        return f'"{clipped(value, longest)}"'
    if isinstance(value, bool) or value is None:
        return {True: "true", False: "false", None: "nothing"}[value]
    if isinstance(value, (int, float)):
        return clipped(str(value), longest)
    return "a list" if isinstance(value, (list, tuple)) else "a mapping"


def clipped(text: str, longest: int = _LONGEST_MESSAGE) -> str:
    """Return a text cut to a length in characters, with an ellipsis where something is missing."""
    return text if len(text) <= longest else text[: longest - 3] + "..."
