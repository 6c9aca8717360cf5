"""YAML and JSON that is broken, too deep, too large or means something else than it seems."""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path

from admission.trees import FILES
from hostile.kinds import Attempt, Kind
from hostile.mutation import mutated
from stateguard.config.defaults import default_policy
from stateguard.config.host import load_host
from stateguard.config.json import load_json
from stateguard.config.problem import InvalidDocument
from stateguard.config.state import parse_state
from stateguard.config.yaml import load

_BOMBS = [
    b"a: &a [1,1,1,1,1,1,1,1,1]\n"
    + b"".join(b"%c: &%c [*%c,*%c,*%c,*%c,*%c,*%c]\n" % ((n + 1, n + 1) + (n,) * 6) for n in range(97, 110)),
    b"[" * 5000,
    b"{a: " * 3000,
    b"- " * 4000,
    b"a: !!python/object/apply:os.system ['id']\n",
    b"<<: {a: 1}\n",
    b"a: 1\na: 2\n",
    b"%YAML 1.1\n---\na: 1\n",
    b"a: 1\n---\nb: 2\n",
    b"? [a, b]\n: c\n",
    b"a: !!binary aGk=\n",
    b"a: 1e999999999\n",
    b"a: " + b"9" * 5000,
    b"\xff\xfea\0:\0 \x001\0",
    b"a: \xff\n",
    b"a: \x00\n",
    b"&a [*a]\n",
    b"a: |\n" + b"x" * 100_000,
    b'{"a": NaN}',
    b'{"a": 1, "a": 2}',
    b"[1" + b",1" * 30_000 + b"]",
]
_SEEDS = [*(data for path, data in FILES.items() if path.endswith((".yaml", ".json", ".jsonl"))), *_BOMBS]
_MORE = [
    b"&a ",
    b"*a",
    b"!!",
    b"<<: ",
    b"? ",
    b"- ",
    b"[",
    b"{",
    b"'",
    b'"',
    b"\\x",
    b"---\n",
    b"...\n",
    b"%TAG ! x\n",
    b"\t",
    b"0x",
    b".inf",
    b"~",
]


def _attempts(chance: random.Random, trials: int, place: Path) -> Iterator[Attempt]:
    del place
    for _ in range(trials):
        content = mutated(chance, chance.choice(_SEEDS)[:2000], 4)
        for _ in range(chance.randrange(3)):
            at = chance.randrange(len(content) + 1)
            content = content[:at] + chance.choice(_MORE) + content[at:]
        yield repr(content), lambda content=content: _read_or_refused(content)  # type: ignore[misc]


def _bombs(chance: random.Random, trials: int, place: Path) -> Iterator[Attempt]:
    del chance, place
    for content in _BOMBS[:trials]:
        yield repr(content[:60]), lambda content=content: _read_or_refused(content)  # type: ignore[misc]


def _read_or_refused(content: bytes) -> bool:
    for reading in (
        lambda: load(content, "x.yaml"),
        lambda: load_json(content, "x.json"),
        lambda: load_host(content, "guard.yaml"),
        lambda: parse_state(load(content, "stateguard.yaml"), "stateguard.yaml", default_policy()),
    ):
        try:
            reading()
        except InvalidDocument as error:
            if not error.problems or not all(p.message and p.line >= 0 for p in error.problems):
                return False
    return True


KINDS = (
    Kind("bombs", "read, or refused with line and column", len(_BOMBS), len(_BOMBS), _bombs),
    Kind("documents", "read, or refused with line and column", 40_000, 300, _attempts),
)
