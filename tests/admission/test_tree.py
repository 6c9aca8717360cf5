"""What is read of a tree, and what is made of one that nobody would write by honest means."""

from collections.abc import Iterable, Iterator

import pytest

from admission.trees import FILES, Objects, tree
from stateguard.admission.admit import MAX_PATHS, Verdict, judge
from stateguard.admission.known import Known, Row
from stateguard.admission.tree import Tree
from stateguard.config.defaults import default_policy
from stateguard.errors import StorageError
from stateguard.model.tree import DIRECTORY, REGULAR

POLICY = default_policy()
OBJECTS = Objects()
BLOB, OTHER = OBJECTS.put(b"x"), OBJECTS.put(b"y")


class Made:
    """Directories by any id one likes, as nobody checked them."""

    def __init__(self, directories: dict[str, Iterable[Row]]) -> None:
        self.directories = directories
        self.read: list[str] = []

    def listing(self, identity: str) -> Iterable[Row]:
        self.read.append(identity)
        if identity not in self.directories:
            raise StorageError(f"no directory {identity}")
        return self.directories[identity]

    def tree(self, root: str = "root") -> Tree:
        return Tree(root, self.listing, OBJECTS.read, OBJECTS.size)


def counted(made: Tree) -> tuple[Tree, list[str]]:
    """Return a tree that notes which directories are read."""
    read: list[str] = []

    def listing(identity: str) -> Iterable[Row]:
        read.append(identity)
        return made.listing(identity)

    return Tree(made.root, listing, made.read, made.size), read


def told(verdict: Verdict) -> list[tuple[str, str]]:
    return [(problem.path, problem.code) for problem in verdict.problems]


def test_only_changed_directories_are_read() -> None:
    many = {f"notes/n{n}/{m}": b"x" for n in range(50) for m in range(3)}
    known = Known()
    before, cold = counted(tree({**FILES, **many}))
    assert judge(before, None, POLICY, known=known).admitted
    assert len(cold) == len(set(cold))
    before, first = counted(before)
    after, second = counted(tree({**FILES, **many, "notes/n7/1": b"new"}))
    assert judge(after, before, POLICY, known=known).changed == ("notes/n7/1",)
    assert len(first) == 3
    looked_up = ("agents", "agents/a", "bin", "config")
    assert len(second) == 3 + len(looked_up)


def test_a_tree_that_did_not_change_is_hardly_read() -> None:
    known = Known()
    judge(tree(), None, POLICY, known=known)
    before, read = counted(tree())
    assert judge(tree(), before, POLICY, known=known).changed == ()
    assert read == []


def test_a_bomb_is_recognised_and_not_walked() -> None:
    levels: dict[str, Iterable[Row]] = {
        f"{n}": [(b"a", DIRECTORY, f"{n + 1}"), (b"b", DIRECTORY, f"{n + 1}")] for n in range(5000)
    }
    made = Made(levels | {"5000": [(b"x", REGULAR, BLOB)]})
    assert told(judge(made.tree("0"), None, POLICY)) == [("", "budget")]
    assert len(made.read) == 5001


@pytest.mark.parametrize("again", [False, True])
def test_no_depth_is_too_deep(again: bool) -> None:
    levels: dict[str, Iterable[Row]] = {f"{n}": [(b"a", DIRECTORY, f"{n + 1}")] for n in range(20_000)}
    made = Made(levels | {"20000": [(b"agents.yaml", REGULAR, "f" * 40)], "none": []})
    problems = judge(made.tree("0"), made.tree("none") if again else None, POLICY).problems
    assert [problem.code for problem in problems] == ["path", "path"]
    assert "more than 64 directories" in problems[0].message
    assert "more than 1024 bytes" in problems[1].message
    assert judge(made.tree("none"), made.tree("0"), POLICY).admitted


def test_paths_of_the_greatest_length_come_in() -> None:
    longest = "/".join([*["x" * 200] * 5, "x" * 18])
    assert judge(tree({longest: b""}), None, POLICY).changed == (longest,)
    assert told(judge(tree({longest + "/y": b""}), None, POLICY)) == [(longest + "/y", "path")]


def test_no_more_is_read_than_may_come_in() -> None:
    def endless() -> Iterator[Row]:
        number = 0
        while True:
            number += 1
            yield b"%d" % number, REGULAR, BLOB

    assert told(judge(Made({"root": endless()}).tree(), None, POLICY)) == [("", "budget")]
    half = [(b"%d" % n, REGULAR, BLOB) for n in range(MAX_PATHS // 2)]
    made = Made({"root": [(b"%d" % n, DIRECTORY, f"{n}") for n in range(100)]} | {f"{n}": half for n in range(100)})
    assert told(judge(made.tree(), None, POLICY)) == [("", "budget")]
    assert len(made.read) <= 3


@pytest.mark.parametrize(
    ("rows", "words"),
    [
        ([(b"a", REGULAR, BLOB), (b"a", REGULAR, OTHER)], "twice"),
        ([(b"a", REGULAR, BLOB), (b"a", REGULAR, BLOB)], "twice"),
        ([(b"a", DIRECTORY, "one"), (b"a", DIRECTORY, "two")], "twice"),
        ([(b"a", REGULAR, BLOB), (b"a", DIRECTORY, "one")], "a file and a directory"),
        ([(b"a", REGULAR, BLOB), (b"A", DIRECTORY, "one")], "by case only"),
    ],
)
@pytest.mark.parametrize("before", [[], [(b"a", REGULAR, BLOB)], [(b"a", REGULAR, OTHER), (b"b", REGULAR, BLOB)]])
def test_a_name_is_there_once(rows: list[Row], words: str, before: list[Row]) -> None:
    held: dict[str, Iterable[Row]] = {"one": [(b"x", REGULAR, BLOB)], "two": [(b"y", REGULAR, BLOB)]}
    made = Made({"root": rows, "before": before, **held})
    (problem,) = judge(made.tree(), made.tree("before"), POLICY).problems
    assert problem.code == "collision"
    assert words in problem.message


@pytest.mark.parametrize("row", [(b"a/b", REGULAR, BLOB), (b"a/b", DIRECTORY, "one")])
def test_a_name_has_no_slash(row: Row) -> None:
    made = Made({"root": [row], "one": [(b"x", REGULAR, BLOB)]})
    verdict = judge(made.tree(), None, POLICY)
    assert told(verdict) == [("a/b", "path")]
    assert verdict.changed == ()


def test_a_directory_without_files_is_no_path() -> None:
    held: dict[str, Iterable[Row]] = {"none": [], "nested": [(b"x", DIRECTORY, "none")], "one": [(b"x", REGULAR, BLOB)]}
    made = Made(
        {
            "plain": [(b"a", REGULAR, BLOB)],
            "hollow": [(b"A", DIRECTORY, "nested"), (b"a", REGULAR, BLOB), (b"a", DIRECTORY, "none")],
            "full": [(b"A", DIRECTORY, "one"), (b"a", REGULAR, BLOB)],
            **held,
        }
    )
    verdict = judge(made.tree("hollow"), made.tree("plain"), POLICY)
    assert (verdict.problems, verdict.changed) == ((), ())
    verdict = judge(made.tree("full"), made.tree("hollow"), POLICY)
    assert (told(verdict), verdict.changed) == ([("a", "collision")], ("A/x",))


def test_that_a_directory_is_known_does_not_say_that_it_is_there() -> None:
    rows: dict[str, Iterable[Row]] = {"before": [], "root": [(b"a", DIRECTORY, "one")]}
    known = Known()
    whole, broken = Made({**rows, "one": [(b"x", REGULAR, BLOB)]}), Made(rows)
    assert judge(whole.tree(), whole.tree("before"), POLICY, known=known).admitted
    with pytest.raises(StorageError, match="no directory one"):
        judge(broken.tree(), broken.tree("before"), POLICY, known=known)


def test_what_is_known_is_bounded() -> None:
    known = Known(most=3)
    for number in range(20):
        judge(tree({f"a{number}/b/c": b""}), None, POLICY, known=known)
    kept = [n for n in range(20) if known.get(("", tree({f"a{n}/b/c": b""}).root))]
    assert kept == [19]
