"""What people would use instead: working copies of git, plain and tuned, and the tools that restore copies."""

from __future__ import annotations

import shutil
from abc import ABC, abstractmethod
from pathlib import Path

from benchmarks.commands import missing, run
from benchmarks.timing import timed
from benchmarks.tree import Tree, check

_FSMONITOR = "#!/bin/sh\nprintf 'token\\0'\n"
_RESTIC = {"RESTIC_PASSWORD": "bench"}


class GitCopy:
    """A clone that is reset from one of two commits to the other, and back."""

    def __init__(self, served: Path, place: Path, states: dict[str, Tree]) -> None:
        """Clone a repository; ``states`` holds the tree of each commit, last the one that is checked out at first."""
        run("git", "clone", "-q", served, place)
        self.place, self._states = place, states
        self._next = list(states)
        run("git", "reset", "-q", "--hard", self._next[-1], cwd=place)

    def tune(self) -> None:
        """Use all that makes git faster on large trees; the monitor answers that nobody else wrote anything."""
        hook = self.place / ".git" / "hooks" / "query-fsmonitor"
        hook.write_text(_FSMONITOR, encoding="ascii")
        hook.chmod(0o755)
        settings = {
            "core.fsmonitor": str(hook), "core.fsmonitorHookVersion": "2",
            "core.untrackedCache": "true", "index.version": "4", "core.preloadIndex": "true",
        }  # fmt: skip
        for key, value in settings.items():
            run("git", "config", key, value, cwd=self.place)
        run("git", "update-index", "--index-version", "4", "--untracked-cache", "--fsmonitor", cwd=self.place)
        run("git", "status", cwd=self.place)

    def reset(self) -> float:
        """Reset to the other commit; returns the seconds it took."""
        target = self._next.pop(0)
        self._next.append(target)
        run("git", "status", "--porcelain", cwd=self.place)  # the index knows the times of every file
        took = timed(lambda: run("git", "reset", "-q", "--hard", target, cwd=self.place))
        check(self.place, self._states[target])
        return took


class Restored(ABC):
    """A directory into which a tool puts one of two trees back, of which it holds a copy."""

    removes = False
    """Whether the tool removes what should not be there; else it gets an emptied directory."""

    def __init__(self, place: Path, states: list[tuple[Path, Tree]]) -> None:
        """``states`` are two directories with the tree that each holds."""
        self.place, self._states = place, states
        shutil.copytree(states[1][0], place, symlinks=True)

    @abstractmethod
    def prepare(self) -> None:
        """Let the tool take its copies."""

    def put_back(self) -> float:
        """Put the other tree back; returns the seconds it took."""
        source, tree = self._states[0]
        self._states.reverse()
        if not self.removes:
            shutil.rmtree(self.place)
            self.place.mkdir()
        took = timed(lambda: self._work(source))
        check(self.place, tree)
        return took

    @abstractmethod
    def _work(self, source: Path) -> None:
        """Put the tree of this directory back."""


class Rsync(Restored):
    """Rsync from a copy, which is the directory itself."""

    removes = True

    def prepare(self) -> None:
        """There is nothing to take."""

    def _work(self, source: Path) -> None:
        run("rsync", "-a", "--delete", f"{source}/", f"{self.place}/")


class Restic(Restored):
    """Restic restore: this version neither removes nor compares."""

    def prepare(self) -> None:
        """Back both trees up."""
        self._repository = self.place.with_suffix(".restic")
        run("restic", "init", "--repo", self._repository, extra=_RESTIC)
        for source, _ in self._states:
            argv = ("restic", "backup", "--quiet", "--repo", self._repository, "--tag", source.name, ".")
            run(*argv, cwd=source, extra=_RESTIC)

    def _work(self, source: Path) -> None:
        argv = ("restic", "restore", "latest", "--quiet", "--repo", self._repository, "--tag", source.name)
        run(*argv, "--target", self.place, extra=_RESTIC)


class Borg(Restored):
    """Borg extract: it neither removes nor compares."""

    def prepare(self) -> None:
        """Back both trees up."""
        self._repository = self.place.with_suffix(".borg")
        self._alone = {"BORG_BASE_DIR": str(self.place.with_suffix(".borgbase"))}
        run("borg", "init", "--encryption", "none", self._repository, extra=self._alone)
        for source, _ in self._states:
            run("borg", "create", f"{self._repository}::{source.name}", ".", cwd=source, extra=self._alone)

    def _work(self, source: Path) -> None:
        run("borg", "extract", f"{self._repository}::{source.name}", cwd=self.place, extra=self._alone)


def tools() -> dict[str, type[Restored]]:
    """Return the tools that are installed, by the name under which they are shown."""
    every: dict[str, type[Restored]] = {"rsync": Rsync, "restic": Restic, "borg": Borg}
    shown = {"rsync": "`rsync -a --delete`", "restic": "`restic restore`", "borg": "`borg extract`"}
    return {shown[name]: tool for name, tool in every.items() if not missing(name)}
