"""The paths of a tree, read from its objects when somebody asks for them: a large tree costs no memory."""

from __future__ import annotations

from collections.abc import Callable, ItemsView, Iterator
from typing import TypeVar, overload

from stateguard.errors import StorageError
from stateguard.model.tree import DIRECTORY, Entry, Nested
from stateguard.state import trees
from stateguard.state.repository import Repository

_Other = TypeVar("_Other")


class TreeMap(Nested):
    """Every path of an admitted tree, sorted, with its entry; some may be left out.

    Whatever is asked raises StorageError where an object is missing, or a path is no UTF-8.
    """

    __slots__ = ("_count", "_leaves_out", "_repository", "tree")

    def __init__(self, repository: Repository, tree: str, leaves_out: Callable[[str], bool] | None = None) -> None:
        """``tree`` is the id of its object; paths of which ``leaves_out`` is true are as if they were not there."""
        self._repository, self.tree, self._leaves_out = repository, tree, leaves_out
        self._count: int | None = None

    def __getitem__(self, path: str) -> Entry:
        """Return what lies at a path.

        Raises:
            KeyError: nothing does.
        """
        found = self.get(path)
        if found is None:
            raise KeyError(path)
        return found

    @overload
    def get(self, path: str, default: None = None, /) -> Entry | None: ...
    @overload
    def get(self, path: str, default: Entry | _Other, /) -> Entry | _Other: ...
    def get(self, path: str, default: object = None, /) -> object:
        """Return what lies at a path, or something else if nothing does."""
        row = self.row(path)
        if row is None or row[0] == DIRECTORY or (self._leaves_out is not None and self._leaves_out(path)):
            return default
        return Entry(*row)

    def __contains__(self, path: object) -> bool:
        """Say whether anything lies at a path."""
        return isinstance(path, str) and self.get(path) is not None

    def __iter__(self) -> Iterator[str]:
        """Yield every path, sorted."""
        return (path for path, _ in self.below(""))

    def __len__(self) -> int:
        """Return how many paths there are."""
        if self._count is None:
            self._count = sum(1 for _ in self)
        return self._count

    def items(self) -> ItemsView[str, Entry]:
        """Return every path with its entry, sorted; each object is read once."""
        return _Items(self)

    def below(self, path: str) -> Iterator[tuple[str, Entry]]:
        """Yield what lies at a path, and all below it, sorted; an empty text is the root."""
        row = self.row(path)
        if row is None:
            return
        if row[0] != DIRECTORY:
            found = self.get(path)
            if found is not None:
                yield path, found
            return
        leaves_out = self._leaves_out
        for one, entry in self._within(row[1], path + "/" if path else ""):
            if leaves_out is None or not leaves_out(one):
                yield one, entry

    def names(self, directory: str) -> list[str]:
        """Return the names of files and directories in a directory; none if it is none."""
        row = self.row(directory)
        if row is None or row[0] != DIRECTORY:
            return []
        return [_text(name, self.tree) for name in trees.rows(self._repository, row[1])]

    def _within(self, tree: str, lead: str) -> Iterator[tuple[str, Entry]]:
        """Yield everything in a directory; a stack, so that no depth is too deep."""
        stack = [(lead, trees.entries(self._repository, tree))]
        while stack:
            lead, rows = stack[-1]
            for name, mode, child in rows:
                path = lead + _text(name, tree)
                if mode == DIRECTORY:
                    stack.append((path + "/", trees.entries(self._repository, child)))
                    break
                yield path, Entry(mode, child)
            else:
                stack.pop()

    def row(self, path: str) -> tuple[int, str] | None:
        """Return mode and object id of what lies at a path, a directory or a file; an empty text is the root."""
        if not path:
            return DIRECTORY, self.tree
        *above, name = path.encode("utf-8", "surrogatepass").split(b"/")
        rows = trees.rows(self._repository, self.tree)
        for part in above:
            row = rows.get(part)
            if row is None:
                return None
            mode, child = trees.parsed(row)
            if mode != DIRECTORY:
                return None
            rows = trees.rows(self._repository, child)
        row = rows.get(name)
        return None if row is None else trees.parsed(row)


class _Items(ItemsView[str, Entry]):
    """What :meth:`TreeMap.items` returns."""

    _mapping: TreeMap

    def __iter__(self) -> Iterator[tuple[str, Entry]]:
        return self._mapping.below("")


def _text(name: bytes, tree: str) -> str:
    try:
        return name.decode()
    except UnicodeDecodeError as error:
        message = f"tree {tree} holds a path that is no UTF-8"
        raise StorageError(message) from error
