"""Ordinary changes of ordinary repositories: none may be refused."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path

from pygit2.enums import ObjectType

from admission.trees import FILES
from hostile.kinds import Attempt, Kind
from stateguard.admission.admit import judge
from stateguard.config.defaults import default_policy
from stateguard.guard.admit import tree_reader
from stateguard.guard.secrets import Search
from stateguard.model.tree import EXECUTABLE, REGULAR, SYMLINK, Entry
from stateguard.state import trees
from stateguard.state.batch import Batch
from stateguard.state.commits import raw_commit
from stateguard.state.repository import Repository

_WORDS = [
    "config",
    "prompts",
    "Überblick",
    "日本語",
    "naïve",
    "données",
    "données été",
    "a b",
    "README",
    "notes (old)",
    "v1.2.3",
    "tests",
    "x" * 120,
    "café",
    "Ελλάδα",
    "данные",
    "emoji😀",
    ".hidden",
    ".github",
    "@scope",
    "a+b",
    "a,b",
    "50%",
    "#tag",
    "a=b",
    "it's",
    "~draft",
    "console",
    "com",
    "aux_1",
]
_ENDINGS = [".md", ".yaml", ".json", ".txt", ".py", ".toml", ".csv", "", ".schema.md", ".tar.gz"]
_AT = 1_782_900_000.0
_FILES = {p: (REGULAR, data) for p, data in FILES.items() if "schema" not in p}
_LONG, _MANY = 25, 80
"""So many commits has a history, and so many files a state."""


class Line:
    """A line of commits that grows by ordinary changes, each written as a pack of its own."""

    def __init__(
        self,
        repository: Repository,
        chance: random.Random,
        files: Mapping[str, tuple[int, bytes]] = _FILES,
        head: str = "",
    ) -> None:
        """Begin with these files: those of a commit that is there, or of a new one."""
        self.repository, self.chance, self.commits = repository, chance, [head] if head else []
        self.files = dict(files)
        if not head:
            self.commit("the first")

    def commit(self, message: str, more_parents: tuple[str, ...] = ()) -> str:
        batch = Batch(self.repository)
        paths = {p: Entry(mode, batch.write(ObjectType.BLOB, data)) for p, (mode, data) in self.files.items()}
        tree = trees.build(batch, paths)
        parents = [*self.commits[-1:], *more_parents]
        made = batch.write(
            ObjectType.COMMIT, raw_commit(tree, parents, message, _AT, author="Ада Lovelace <ada@example.org>")
        )
        batch.flush()
        self.commits.append(made)
        return made

    def change(self) -> str:
        """Do something that people do; returns what."""
        chance, own = (
            self.chance,
            [p for p in self.files if not p.startswith(("agents/", "stateguard", "protocols", "bin/", "conv"))],
        )
        match chance.randrange(7):
            case 0 | 1:
                for _ in range(chance.randint(1, 30)):
                    self.put(self.name(), self.text())
                what = "files added"
            case 2 if own := [path for path in own if self.files[path][0] != SYMLINK]:
                path = chance.choice(own)
                self.files[path] = (self.files[path][0], self.text())
                what = f"{path} edited"
            case 3 if own:
                path = chance.choice(own)
                self.put(self.name(), self.files.pop(path)[1])
                what = f"{path} renamed"
            case 4 if len(own) > 3:
                for path in chance.sample(own, 2):
                    del self.files[path]
                what = "two files removed"
            case 5:
                self.put("docs/latest", b"../config/limits.yaml", SYMLINK)
                self.put(self.name(), b"#!/bin/sh\nexit 0\n", EXECUTABLE)
                what = "a link and a script"
            case _:
                document = {
                    f"key {n}": [n, n / 3, None, True, "ünïcode", {"deeper": [[n]]}]
                    for n in range(chance.randint(1, 800))
                }
                self.put(self.name(), json.dumps(document, ensure_ascii=chance.random() < 0.5, indent=2).encode())
                what = "a large JSON document"
        if len(self.files) > _MANY:
            for path in own[: _MANY // 2]:
                self.files.pop(path, None)
        side = (self.commits[chance.randrange(len(self.commits))],) if chance.random() < 0.1 else ()
        self.commit(f"{what}\n\nas people do — «so»\n", side if side != tuple(self.commits[-1:]) else ())
        return what

    def name(self) -> str:
        directories = [self.chance.choice(_WORDS) for _ in range(self.chance.randint(0, 5))]
        return "/".join(["config", *directories, self.chance.choice(_WORDS).strip(".") + self.chance.choice(_ENDINGS)])

    def put(self, path: str, content: bytes, mode: int = REGULAR) -> None:
        """Put a file where none is in the way, in no other case either."""
        folded = {p.casefold(): p for p in self.files}
        parts = path.casefold().split("/")
        above = {"/".join(parts[:n]) for n in range(1, len(parts))}
        if above & folded.keys() or any(p.startswith(path.casefold() + "/") for p in folded):
            return
        known = {d.casefold(): d for p in self.files for d in _above(p)}
        if any(known.get(d.casefold(), d) != d for d in _above(path)) or folded.get(path.casefold(), path) != path:
            return
        if not path.endswith((".yaml", ".json")) or content.startswith(b"{"):
            self.files[path] = (mode, content)

    def text(self) -> bytes:
        words = [self.chance.choice(_WORDS) for _ in range(self.chance.randint(1, 200))]
        return (" ".join(words) + "\n").encode()


def _above(path: str) -> list[str]:
    parts = path.split("/")
    return ["/".join(parts[:n]) for n in range(1, len(parts))]


def _attempts(chance: random.Random, trials: int, place: Path) -> Iterator[Attempt]:
    repository = Repository.create(place / "repo.git", served=False)
    line = Line(repository, chance)
    for number in range(trials):
        if number % _LONG == _LONG - 1:  # a new history in a new repository: each commit is a pack of its own
            repository = Repository.create(place / f"repo-{number}.git", served=False)
            line = Line(repository, chance)
        before = line.commits[-1]
        what = line.change()
        after = line.commits[-1]
        yield f"{number}: {what}", partial(_comes_in, repository, before, after)


def _comes_in(repository: Repository, before: str, after: str) -> bool:
    old, new = (tree_reader(repository, repository.commit(one).tree) for one in (before, after))
    verdict = judge(new, old, default_policy())
    search = Search(repository, (), None)
    search.through(after)
    if verdict.problems or search.problems:
        raise AssertionError([p.text() for p in (*verdict.problems, *search.problems)][:3])
    return True


KINDS = (Kind("ordinary changes", "comes in", 9_500, 60, _attempts),)
