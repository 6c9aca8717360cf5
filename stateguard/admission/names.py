"""Paths, modes and symbolic links that may come in: rules over bytes, stricter than git's own."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterable

from stateguard.config.problem import Problem, clipped
from stateguard.model.tree import EXECUTABLE, REGULAR, SYMLINK

MAX_COMPONENT_BYTES = 200
MAX_PATH_BYTES = 1024
MAX_DEPTH = 64
MAX_TARGET_BYTES = 1024

_SHOWN = 1100
_SUBMODULE = 0o160000
_MODES = (REGULAR, EXECUTABLE, SYMLINK)
_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029]")
_IGNORABLE = re.compile("[\u061c\u180e\u200b-\u200f\u202a-\u202e\u2060-\u206f\ufeff\U000e0000-\U000e007f]")
_RESERVED = re.compile(r'[:*?"<>|]')
_DEVICE = re.compile(r"(?:con|prn|aux|nul|com[0-9¹²³]|lpt[0-9¹²³]|conin\$|conout\$) *(?:\..*)?", re.IGNORECASE)
_GIT = re.compile(r"\.git[ .]*(?:[:\\].*)?|git~[0-9]+", re.IGNORECASE)
_OWN = ".stateguard"
_WRITING = ".stateguard-tmp-"


def shown_path(path: bytes) -> str:
    r"""Return a path as text; bytes that are not UTF-8 become ``\xNN``."""
    return clipped(path.decode("utf-8", "backslashreplace"), _SHOWN)


def path_problems(path: bytes, mode: int) -> list[Problem]:
    """Return what is wrong with a path and the mode of what lies there; empty if both may come in."""
    shown = shown_path(path)
    problems = [Problem(shown, 0, "mode", message) for message in _mode_messages(mode)]
    if len(path) > MAX_PATH_BYTES:
        problems.append(Problem(shown, 0, "path", f"the path has more than {MAX_PATH_BYTES} bytes; shorten it"))
    try:
        text = path.decode("utf-8")
    except UnicodeDecodeError:
        return [*problems, Problem(shown, 0, "path", "the path is not UTF-8; rename it")]
    messages: dict[str, None] = {}
    if unicodedata.normalize("NFC", text) != text:
        messages["the path is not in Unicode normal form C; rename it"] = None
    if text.split("/")[0].casefold().startswith(_OWN):
        messages[f"names that begin with {_OWN} belong to the guard; rename it"] = None
    if any(component.casefold().startswith(_WRITING) for component in text.split("/")):
        messages[f"names that begin with {_WRITING} are those of files being written; rename it"] = None
    if text.count("/") >= MAX_DEPTH:
        messages[f"the path goes through more than {MAX_DEPTH} directories; make it flatter"] = None
    for component in text.split("/"):
        messages.update(dict.fromkeys(_component_messages(component)))
    return [*problems, *(Problem(shown, 0, "path", message) for message in messages)]


def _mode_messages(mode: int) -> list[str]:
    if mode in _MODES:
        return []
    if mode == _SUBMODULE:
        return ["submodules are not supported; add the files themselves"]
    return [f"the mode {mode:o} is none of 100644, 100755 and 120000; write the tree with git add"]


def _component_messages(component: str) -> list[str]:
    """Return what is wrong with one name between slashes."""
    if not component:
        return ["the path has an empty component; remove the extra slash"]
    if component in (".", ".."):
        return [f"the path has the component {component}; write it without"]
    return [message for is_wrong, message in _RULES if is_wrong(component)]


def is_git(component: str) -> bool:
    """Say whether some file system would take a name for ``.git``: by case, NTFS streams, ignorable characters."""
    return _GIT.fullmatch(_IGNORABLE.sub("", component)) is not None


_RULES: tuple[tuple[Callable[[str], object], str], ...] = (
    (_CONTROL.search, "the path has a control character; rename it"),
    (_IGNORABLE.search, "the path has an invisible character; rename it"),
    (lambda name: "\\" in name, "the path has a backslash; use / between directories"),
    (_RESERVED.search, 'the path has one of : * ? " < > |, which some file systems refuse; rename it'),
    (_DEVICE.fullmatch, "the path has the name of a device of Windows; rename it"),
    (is_git, "a name that some file systems take for .git is not let in; rename it"),
    (lambda name: name.startswith("-"), "a name that begins with - is taken for an option; rename it"),
    (
        lambda name: name.endswith((" ", ".")),
        "a name that ends with a blank or a dot is lost on some file systems; rename it",
    ),
    (
        lambda name: len(name.encode()) > MAX_COMPONENT_BYTES,
        f"a name in the path has more than {MAX_COMPONENT_BYTES} bytes; shorten it",
    ),
)
"""What makes a name wrong, and what is said then."""


def symlink_problem(path: str, target: bytes) -> Problem | None:
    """Return what is wrong with where a symbolic link points, or None.

    ``..`` may only stand at the beginning: behind a name it would depend on what that name links to.
    """
    message = _target_message(path, target)
    return Problem(path, 0, "symlink", message) if message else None


def _target_message(path: str, target: bytes) -> str | None:
    if not target or len(target) > MAX_TARGET_BYTES:
        return f"the link's target must have 1 to {MAX_TARGET_BYTES} bytes; shorten it"
    try:
        text = target.decode("utf-8")
    except UnicodeDecodeError:
        return "the link's target is not UTF-8; rename what it points to"
    if _CONTROL.search(text) or "\\" in text:
        return "the link's target has a control character or a backslash; rename what it points to"
    if text.startswith("/"):
        return "the link is absolute; make it relative"
    parts = [part for part in text.split("/") if part not in ("", ".")]
    up = next((n for n, part in enumerate(parts) if part != ".."), len(parts))
    if up > path.count("/"):
        return "the link leads out of the state; point it inside"
    if ".." in parts[up:]:
        return "the link has .. behind a name; write the target without"
    if any(is_git(part) for part in parts):
        return "the link leads into .git; point it elsewhere"
    return None


def collisions(lead: str, entries: Iterable[tuple[bytes, bool]]) -> list[Problem]:
    """Return those of the names in one directory of which only one can be there, where case is not told apart.

    ``lead`` is the path of the directory, with a slash at its end. ``entries`` are all names in it, each with whether
    it is that of a directory. Paths differ by case only where two names of one directory do.
    """
    every = [(raw.decode("utf-8", "backslashreplace"), is_directory) for raw, is_directory in entries]
    if len({_folded(name) for name, _ in every}) == len(every):
        return []
    spelled: dict[str, str] = {}
    seen: dict[str, set[bool]] = {}
    problems = []
    for name, is_directory in sorted(every):
        kinds, path = seen.setdefault(name, set()), clipped(lead + name, _SHOWN)
        if is_directory in kinds:
            message = "the directory has this name twice; write the tree with git add"
            problems.append(Problem(path, 0, "collision", message))
        elif kinds:
            problems.append(Problem(path, 0, "collision", "this is a file and a directory; rename one"))
        kinds.add(is_directory)
        other = spelled.setdefault(_folded(name), name)
        if other != name:
            message = f"this differs from {clipped(lead + other, _SHOWN)} by case only; rename one of them"
            problems.append(Problem(path, 0, "collision", message))
    return problems


def _folded(text: str) -> str:
    if text.isascii():
        return text.lower()
    return unicodedata.normalize("NFC", unicodedata.normalize("NFD", text).casefold())
