"""What a kind of fault is: what it needs, which trials there are, and how one is run."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any, Protocol, Self

PREFIX = "kind_"
"""A file of this package whose name begins so holds one kind, as ``KIND``."""


class Outcome(StrEnum):
    """What a trial showed."""

    SURVIVED = "survived"
    TORN = "torn"
    LOST = "lost"
    DOUBLED = "doubled"
    STUCK = "stuck"
    ERROR = "error"


@dataclass(frozen=True, slots=True)
class Trial:
    """One thing to try: a journey, and the faults that strike it and then each recovery, in order.

    ``seed`` decides whatever else is random in it, so that the same trial can be run again.
    """

    kind: str
    journey: str
    faults: tuple[str, ...]
    seed: int = 0

    @property
    def text(self) -> str:
        """The trial in one word, as ``--repeat`` takes it."""
        return f"{self.kind}/{self.journey}/{'+'.join(self.faults)}/{self.seed}"

    @classmethod
    def parse(cls, text: str) -> Self:
        """Return the trial that a word describes.

        Raises:
            ValueError: it describes none.
        """
        parts = text.split("/")
        if len(parts) != 4 or not parts[3].isdigit():
            message = f"a trial reads KIND/JOURNEY/FAULT[+FAULT...]/SEED, not {text!r}"
            raise ValueError(message)
        return cls(parts[0], parts[1], tuple(f for f in parts[2].split("+") if f), int(parts[3]))


@dataclass(frozen=True, slots=True)
class Result:
    """How a trial went.

    ``hit`` says whether its first fault struck, ``again`` how many of its recoveries were struck as well; ``detail``
    explains what was not survived.
    """

    trial: Trial
    outcome: Outcome
    seconds: float
    detail: str = ""
    hit: bool = True
    again: int = 0

    def as_json(self) -> dict[str, Any]:
        """Return it as a line of the results file holds it."""
        return {
            **asdict(self.trial),
            "outcome": str(self.outcome),
            "seconds": round(self.seconds, 3),
            "hit": self.hit,
            **({"again": self.again} if self.again else {}),
            **({"detail": self.detail} if self.detail else {}),
            "reproduce": reproduce(self.trial),
        }

    @classmethod
    def from_json(cls, document: dict[str, Any]) -> Self:
        """Return the result that a line of a results file holds."""
        trial = Trial(document["kind"], document["journey"], tuple(document["faults"]), document["seed"])
        outcome, seconds = Outcome(document["outcome"]), float(document["seconds"])
        hit, again = bool(document.get("hit", True)), int(document.get("again", 0))
        return cls(trial, outcome, seconds, document.get("detail", ""), hit, again)


class Kind(Protocol):
    """One kind of fault.

    ``default`` is how many trials there are if nobody says a number. ``counts`` is False where failures are the point,
    as with the peers.
    """

    name: str
    default: int
    counts: bool

    def available(self) -> str:
        """Return why it cannot be tried on this machine; nothing if it can."""
        ...

    def trials(self, seed: int, number: int) -> Iterable[Trial]:
        """Return so many trials, always the same ones for the same seed."""
        ...

    def run(self, trial: Trial, room: Path) -> Result:
        """Run a trial in a directory of its own, which the caller removes, or keeps if it was not survived."""
        ...

    def close(self) -> None:
        """End and remove what trials of this process have left for the next ones."""
        ...


def reproduce(trial: Trial) -> str:
    """Return the command that runs a trial again."""
    return f"PYTHONPATH=tests .venv/bin/python -m faults --repeat '{trial.text}'"


def all_kinds() -> dict[str, Kind]:
    """Return every kind by its name."""
    package = importlib.import_module("faults")
    found: dict[str, Kind] = {}
    for module in sorted(pkgutil.iter_modules(package.__path__), key=lambda m: m.name):
        if module.name.startswith(PREFIX):
            kind: Kind = importlib.import_module(f"faults.{module.name}").KIND
            found[kind.name] = kind
    return found
