"""What of a directory can be taken under guard: git says what is ignored, admission which names may come in."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pygit2.enums import ObjectType

from stateguard.admission.admit import MAX_BLOB_BYTES
from stateguard.admission.names import path_problems, shown_path, symlink_problem
from stateguard.config.defaults import default_policy
from stateguard.config.problem import InvalidDocument
from stateguard.config.sections import PathRules
from stateguard.config.state import STATE_FILE, parse_state
from stateguard.config.yaml import load
from stateguard.errors import RefusedError
from stateguard.host import files
from stateguard.host.walk import open_directory, open_root
from stateguard.live.scan import settled
from stateguard.model.policy import Policy
from stateguard.model.tree import EXECUTABLE, REGULAR, SYMLINK, Entry
from stateguard.state.batch import Batch
from stateguard.state.git import git_raw
from stateguard.state.repository import Repository
from stateguard.text.escape import line
from stateguard.text.words import count, size

_SHOWN = 100
_NAMED = 8
_KINDS = {stat.S_IFSOCK: "a socket", stat.S_IFIFO: "a pipe", stat.S_IFBLK: "a device", stat.S_IFCHR: "a device"}


@dataclass(frozen=True, slots=True)
class Skipped:
    """A path that is left alone, and why."""

    path: str
    reason: str


@dataclass(frozen=True, slots=True)
class Gathered:
    """What was taken of a directory, and what was not.

    ``ignored`` names what the patterns of the directory and of the policy leave out, a directory once with a slash;
    ``captured`` are paths that the running system owns and that stay where they are.
    """

    paths: dict[str, Entry]
    ignored: tuple[str, ...] = ()
    skipped: tuple[Skipped, ...] = ()
    captured: tuple[str, ...] = ()

    def lines(self) -> list[str]:
        """Return what was not taken, as people read it."""
        found = []
        if self.captured:
            found.append(f"{count(len(self.captured), 'file')} of conversations and the like stay the system's own")
        if self.ignored:
            found.append(f"ignored {count(len(self.ignored), 'path')}: {_some([line(p) for p in self.ignored])}")
        if self.skipped:
            reasons = [f"{line(s.path)} ({line(s.reason)})" for s in self.skipped]
            found.append(f"left alone {count(len(self.skipped), 'path')}: {_some(reasons)}")
        return found

    def as_json(self) -> dict[str, Any]:
        """Return the ``taken`` of ``init``; long lists are cut, the counts are whole."""
        return {
            "files": len(self.paths),
            "captured": len(self.captured),
            "ignored": {"count": len(self.ignored), "paths": list(self.ignored[:_SHOWN])},
            "skipped": {
                "count": len(self.skipped),
                "paths": [{"path": s.path, "reason": s.reason} for s in self.skipped[:_SHOWN]],
            },
        }


class Directory:
    """A directory of files seen as git sees one: what is ignored there is ignored here, and what is no file skipped."""

    def __init__(self, root: Path, repository: Repository, policy: Policy) -> None:
        """Look at a directory; what is taken is stored in the repository, whose settings of git hold."""
        self._root, self._repository, self._policy = root, repository, policy
        self._rules = PathRules(policy)
        self._batch = Batch(repository)

    def visible(self, below: str = "") -> list[bytes]:
        """Return every file and link that is not ignored, and with a slash at its end each repository inside.

        Raises:
            StorageError: git failed.
        """
        return self._listed("--others", "--", below or ".")

    def ignored(self) -> list[str]:
        """Return what is ignored; a directory of nothing else stands for all that is in it.

        Raises:
            StorageError: git failed.
        """
        return [os.fsdecode(raw) for raw in self._listed("--others", "--ignored", "--directory")]

    def gather(self, *, captured: bool) -> Gathered:
        """Take every file that is not ignored and may come in; ``captured`` takes the running system's own too.

        Raises:
            StorageError: git failed, or the repository cannot be written.
        """
        paths: dict[str, Entry] = {}
        skipped: list[Skipped] = []
        own: list[str] = []
        for raw in self.visible():
            path = raw.decode("utf-8", "replace")
            if raw.endswith(b"/"):
                skipped.append(Skipped(path, "a git repository of its own"))
            elif not captured and self._rules.captured(path):
                own.append(path)
            elif isinstance(found := self._take(raw), Skipped):
                skipped.append(found)
            elif found is not None:
                paths[path] = found
        self._batch.flush()
        ignored = self.ignored()
        closed = tuple(p for p in ignored if p.endswith("/"))
        skipped += [s for s in self._special("") if not s.path.startswith(closed)]
        return Gathered(dict(sorted(paths.items())), tuple(ignored), tuple(sorted(skipped, key=_path)), tuple(own))

    def read(self, raw: bytes) -> Entry | None:
        """Store one file or link whatever its name; None if it has just gone.

        Raises:
            OSError: it cannot be read.
            StorageError: the repository cannot be written.
        """
        entry = self._read(raw)
        self._batch.flush()
        return entry

    def _read(self, raw: bytes) -> Entry | None:
        path = os.fsdecode(raw)
        *parts, name = path.split("/")
        try:
            with open_root(self._root) as root, open_directory(root, tuple(parts)) as directory:
                content, found = files.read_at(directory, name)
                if self._rules.captured(path) and stat.S_ISREG(found.st_mode):
                    content = settled(directory, name, content)
        except FileNotFoundError:
            return None
        executable = EXECUTABLE if found.st_mode & stat.S_IXUSR else REGULAR
        mode = SYMLINK if stat.S_ISLNK(found.st_mode) else executable
        return Entry(mode, self._batch.write(ObjectType.BLOB, content))

    def take(self, raw: bytes) -> Entry | Skipped | None:
        """Store one file or link, or say why it is left alone; None if it has just gone.

        Raises:
            StorageError: the repository cannot be written.
        """
        found = self._take(raw)
        self._batch.flush()
        return found

    def _take(self, raw: bytes) -> Entry | Skipped | None:
        shown, path = shown_path(raw), self._root / os.fsdecode(raw)
        try:
            reason = _unfit(raw, path.lstat())
            entry = self._read(raw) if not reason else None
            target = os.fsencode(path.readlink()) if entry is not None and entry.mode == SYMLINK else b""
        except FileNotFoundError:
            return None
        except OSError as error:
            return Skipped(shown, f"it cannot be read: {error.strerror or error}")
        if entry is not None and entry.mode == SYMLINK:
            wrong = symlink_problem(shown, target)
            reason = wrong.message if wrong else ""
        return Skipped(shown, reason) if reason else entry

    def _listed(self, *words: str) -> list[bytes]:
        private = self._root / ".git" / "info" / "exclude"
        excludes = [f"--exclude={p}" for p in self._policy.ignore]
        excludes += [f"--exclude-from={private}"] if private.is_file() else []
        place = ("--git-dir", str(self._repository.path), "--work-tree", str(self._root), "--literal-pathspecs")
        listed = git_raw((*place, "ls-files", "-z", "--exclude-standard", *excludes, *words), cwd=self._root)
        return [raw for raw in listed.split(b"\0") if raw]

    def _special(self, lead: str) -> Iterator[Skipped]:
        """Yield what git does not even list: sockets, pipes and devices, in directories that are not ignored."""
        try:
            found = sorted(os.scandir(self._root / lead), key=lambda e: e.name)
        except OSError as error:
            yield Skipped(f"{lead}/", f"it cannot be read: {error.strerror or error}")
            return
        for entry in found:
            path = f"{lead}/{entry.name}".lstrip("/")
            if entry.is_dir(follow_symlinks=False):
                if not self._rules.ignored(path + "/"):
                    yield from self._special(path)
            elif not (entry.is_file(follow_symlinks=False) or entry.is_symlink()) and not self._rules.ignored(path):
                mode = stat.S_IFMT(entry.stat(follow_symlinks=False).st_mode)
                yield Skipped(shown_path(os.fsencode(path)), f"{_KINDS.get(mode, 'no file')}, which git cannot hold")


def policy_of(source: Path, ignore: Sequence[str] = ()) -> Policy:
    """Return the policy that a directory declares, the shipped one where it declares none that can be read."""
    try:
        policy = parse_state(load((source / STATE_FILE).read_bytes(), STATE_FILE), STATE_FILE, default_policy())
    except (OSError, InvalidDocument):
        policy = default_policy()  # what is wrong in the file is found when the whole state is judged
    return policy.ignoring(ignore)


def read_directory(source: Path, repository: Repository) -> dict[str, Entry]:
    """Store every file of a directory that is not ignored, for judging all of it; returns its path map.

    Raises:
        RefusedError: a file cannot be read or has a name that cannot be kept.
        StorageError: git failed.
    """
    directory = Directory(source, repository, policy_of(source))
    found: dict[str, Entry] = {}
    for raw in directory.visible():
        if raw.endswith(b"/"):
            continue
        try:
            path, entry = raw.decode(), directory.read(raw)
        except UnicodeDecodeError as error:
            raise RefusedError(f"{raw!r} has a name that is no UTF-8", next_step="rename it or ignore it") from error
        except OSError as error:
            message = f"{shown_path(raw)} cannot be read: {error.strerror or error}"
            raise RefusedError(message, next_step="let yourself read it, or ignore it") from error
        if entry is not None:
            found[path] = entry
    return dict(sorted(found.items()))


def _unfit(raw: bytes, found: os.stat_result) -> str:
    """Return why a path may not come in by its name, kind or size; empty if it may."""
    kind = stat.S_IFMT(found.st_mode)
    if kind not in (stat.S_IFREG, stat.S_IFLNK):
        return f"{_KINDS.get(kind, 'no file')}, which git cannot hold"
    wrong = path_problems(raw, REGULAR)
    if wrong:
        return wrong[0].message
    if found.st_size > MAX_BLOB_BYTES:
        return f"too large: {size(found.st_size)}, at most {size(MAX_BLOB_BYTES)} are taken"
    return ""


def _some(words: Sequence[str]) -> str:
    shown = ", ".join(words[:_NAMED])
    return shown if len(words) <= _NAMED else f"{shown} and {len(words) - _NAMED} more"


def _path(skipped: Skipped) -> str:
    return skipped.path
