"""Ordinary changes pushed by git to a guard at work: none may be refused."""

from __future__ import annotations

import random
from collections.abc import Iterator
from functools import partial
from pathlib import Path

from driving import Driver, git, sh
from hostile.benign import Line
from hostile.kinds import Attempt, Kind
from stateguard.model.tree import REGULAR
from stateguard.state.repository import Repository

_FILES = {"config/limits.yaml": b"days: 7\n", "config/free.yaml": b"a: 1\n---\na: 2\n", "bin/a.py": b"print()\n"}
_OPTIONS = ("--push-option=wait=healthy", "--push-option=wait=none", "--push-option=reason=because")


def _attempts(chance: random.Random, trials: int, place: Path) -> Iterator[Attempt]:
    """Push each change to main, and now and then a branch, a tag, or a merge of a side line."""
    source = place / "source"
    for name, content in _FILES.items():
        (source / name).parent.mkdir(parents=True, exist_ok=True)
        (source / name).write_bytes(content)
    driver = Driver(place, source).init("--no-baseline").start()
    try:
        repository = Repository.create(place / "people.git", served=False)
        git(repository.path, "fetch", "-q", str(driver.repository), "main:main")
        line = Line(repository, chance, {name: (REGULAR, content) for name, content in _FILES.items()}, driver.main)
        for number in range(trials):
            what = line.change()
            if number % 4 == 3:  # several commits at once, one of them a merge
                line.change()
                line.commit("A merge\n", (line.commits[-3],) if len(line.commits) > 3 else ())
            yield f"{number}: {what}", partial(_comes_in, driver, repository.path, line.commits[-1], number)
    finally:
        driver.close()


def _comes_in(driver: Driver, people: Path, commit: str, number: int) -> bool:
    specs = [f"{commit}:refs/heads/main"]
    if number % 5 == 4:
        git(people, "tag", "-a", "-m", "Überblick", f"v{number}", commit)
        specs = [f"{commit}:refs/heads/topic/ünï-{number}", f"refs/tags/v{number}", *specs]
    for spec in specs:
        option = _OPTIONS[number % len(_OPTIONS)]
        done = sh("git", "-C", people, "push", "-q", option, driver.repository, spec, check=False)
        assert done.returncode == 0, done.stderr
    assert driver.main == commit
    return True


KINDS = (Kind("ordinary pushes by git", "comes in", 500, 5, _attempts),)
