"""Naughty strings in whatever reaches a person: terminal, one line of a log or hook, Markdown, code, problems."""

from __future__ import annotations

import random
import re
from collections.abc import Iterator
from pathlib import Path

from hostile.kinds import Attempt, Kind
from stateguard.admission.names import path_problems, shown_path
from stateguard.config.problem import Problem
from stateguard.guard.admit import option_problems, said
from stateguard.text.escape import code, line, markdown, terminal

_NAUGHTY = [
    "\x1b]0;title\x07",
    "\x1b[2J\x1b[1;1H",
    "\x9b31m",
    "\r\nstateguard: accepted",
    "\u202egnp.exe",
    "\u2066x\u2069",
    "\ud800",
    "\udcff",
    "{{7*7}}",
    "{% include '/etc/passwd' %}",
    "<script>alert(1)</script>",
    "[x](javascript:alert(1))",
    "![x](//evil)",
    "`` ` ``",
    "$(id)",
    "%s%n",
    "\0",
    "\x7f",
    "a" * 5000,
    "\u0000",
    "\ufeff",
    "|---|",
    "# head",
    "\n\n---\n",
    "e\u0301",
    "\u2028",
    "\x85",
    "'; DROP TABLE x;--",
    "https://user:secret@example.org/x",
    "::set-output name=x::y",
    "##[error]",
    "\x08\x08\x08",
]


def _attempts(chance: random.Random, trials: int, place: Path) -> Iterator[Attempt]:
    del place
    for _ in range(trials):
        text = "".join(
            chance.choice(_NAUGHTY)
            if chance.random() < 0.6
            else chr(chance.choice((chance.randrange(0x80), chance.randrange(0x3000))))
            for _ in range(chance.randint(1, 5))
        )
        yield repr(text), lambda text=text: _harmless(text)  # type: ignore[misc]


def _harmless(text: str) -> bool:
    shown = markdown(text)
    return (
        all(sign.isprintable() or sign in "\n\t" for sign in terminal(text))
        and line(text).isprintable()
        and not re.search(r"(?<!\\)(?:\\\\)*[`*_{}\[\]<>#|~!&]", shown)
        and "\n" not in shown
        and "\n" not in code(text)
        and all(one.isprintable() for one in said([text, Problem(text, 1, "x", text).text()]))
        and all(
            one.isprintable() for problem in option_problems([text, f"wait={text}"]) for one in said([problem.text()])
        )
        and all(line(p.text()).isprintable() for p in path_problems(text.encode("utf-8", "surrogatepass"), 0o100644))
        and len(shown_path(text.encode("utf-8", "surrogatepass"))) < 2000
    )


KINDS = (Kind("naughty strings", "shown, and nothing steered", 20_000, 300, _attempts),)
