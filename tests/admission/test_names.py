import posixpath

import pytest
from hypothesis import example, given, strategies as st

from admission.trees import collisions
from stateguard.admission.names import is_git, path_problems, shown_path, symlink_problem


@pytest.mark.parametrize(
    "path",
    [
        "a", "agents/nutrition/agent.yaml", ".gitignore", ".gitattributes", "a/.hidden", "é/ü.md", "a b/c-d", "x" * 200,
        "/".join("a" * 64), "console.md", "com/lpt.txt", "nullable", "auxiliary/con-fig", "~", "a;b", "日本語.yaml",
    ],
)  # fmt: skip
def test_ordinary_paths_come_in(path: str) -> None:
    assert path_problems(path.encode(), 0o100644) == []


@pytest.mark.parametrize(
    ("path", "word"),
    [
        (b"a\xff", "not UTF-8"),
        ("e\u0301".encode(), "normal form C"),
        (b"a\nb", "control character"),
        (b"a/\x1b[31m", "control character"),
        (b"a\x7f", "control character"),
        ("a\u0085".encode(), "control character"),
        (b"a\\b", "backslash"),
        (b"", "empty component"),
        (b"/a", "empty component"),
        (b"a//b", "empty component"),
        (b"a/", "empty component"),
        (b"./a", "component ."),
        (b"a/../b", "component .."),
        (b".git", ".git"),
        (b"a/.git/hooks/x", ".git"),
        (b".GIT/config", ".git"),
        (b".git /x", ".git"),
        (b".git./x", ".git"),
        (b".git. . /x", ".git"),
        (b"git~1/x", ".git"),
        (b"GIT~2", ".git"),
        (b".git::$INDEX_ALLOCATION/x", ".git"),
        (".g\u200cit/x".encode(), ".git"),
        ("\ufeff.git".encode(), ".git"),
        ("a\u202e".encode(), "invisible"),
        (b"x" * 201, "200 bytes"),
        (b"/".join([b"a"] * 65), "64 directories"),
        ("a\u2066b".encode(), "invisible"),
        ("a\u200bb".encode(), "invisible"),
        ("a\u061c".encode(), "invisible"),
        ("a\U000e0041".encode(), "invisible"),
        (b"a:b", "some file systems refuse"),
        (b"a/b?", "some file systems refuse"),
        (b'"a"', "some file systems refuse"),
        (b"a|b", "some file systems refuse"),
        (b"<a>", "some file systems refuse"),
        (b"*", "some file systems refuse"),
        (b"CON", "device"),
        (b"a/nul.txt", "device"),
        (b"a/Com1 .tar.gz", "device"),
        ("lpt²".encode(), "device"),
        (b"conin$", "device"),
        (b"/".join([b"x" * 100] * 11), "1024 bytes"),
        (b"-rf", "option"),
        (b"a/-rf", "option"),
        (b"a ", "blank or a dot"),
        (b"a./b", "blank or a dot"),
        (b".stateguard", "belong to the guard"),
        (b".stateguard-lock/x", "belong to the guard"),
        (b"config/.stateguard-tmp-x", "files being written"),
        (b".StateGuard", "belong to the guard"),
    ],
)
def test_hostile_paths_do_not(path: bytes, word: str) -> None:
    found = path_problems(path, 0o100644)
    assert any(word in problem.message for problem in found)
    assert {problem.line for problem in found} == {0}


def test_own_names_are_free_below_the_top() -> None:
    assert path_problems(b"a/.stateguard", 0o100644) == []


@pytest.mark.parametrize("mode", [0o100644, 0o100755, 0o120000])
def test_three_modes_come_in(mode: int) -> None:
    assert path_problems(b"a", mode) == []


@pytest.mark.parametrize("mode", [0o104755, 0o100777, 0o100666, 0o40000, 0, 0o100664, 0o20000])
def test_other_modes_do_not(mode: int) -> None:
    (problem,) = path_problems(b"a", mode)
    assert problem.code == "mode"
    assert f"{mode:o}" in problem.message


def test_submodules_are_not_supported() -> None:
    (problem,) = path_problems(b"a", 0o160000)
    assert problem.message == "submodules are not supported; add the files themselves"


@given(st.binary(max_size=80))
@example(b"\xe2\x80\x8c.git")
def test_any_bytes_are_judged(path: bytes) -> None:
    found = path_problems(path, 0o100644)
    if not found:
        text = path.decode()
        assert posixpath.normpath(text) == text
        assert text.isprintable() or not text.isascii()
        assert not any(is_git(part) for part in text.split("/"))
    assert all(problem.text() for problem in found)


@given(st.text(alphabet=".gitGIT~1 :\u200c", min_size=1, max_size=8))
def test_whatever_reads_as_git_is_git(name: str) -> None:
    plain = name.replace("\u200c", "").split(":")[0].rstrip(" .").lower()
    if plain == ".git":
        assert is_git(name)


def test_undecodable_paths_are_shown() -> None:
    assert shown_path(b"a\xff") == "a\\xff"


@pytest.mark.parametrize(
    ("path", "target"),
    [
        ("a", b"b"),
        ("a/b", b"../c"),
        ("a/b/c", b"../../d/e"),
        ("a/b", b"./c"),
        ("a/b", b".."),
        ("a", b"."),
    ],
)
def test_links_inside_come_in(path: str, target: bytes) -> None:
    assert symlink_problem(path, target) is None


@pytest.mark.parametrize(
    ("path", "target", "word"),
    [
        ("a", b"/etc/passwd", "absolute"),
        ("a", b"..", "out of the state"),
        ("a", b"../x", "out of the state"),
        ("a/b", b"../../x", "out of the state"),
        ("a", b"b/..", "behind a name"),
        ("a/b", b"c/../../../x", "behind a name"),
        ("a", b".git/config", ".git"),
        ("a/b", b"../.GIT/hooks", ".git"),
        ("a", b"git~1", ".git"),
        ("a", b"", "1 to 1024 bytes"),
        ("a", b"x" * 1025, "1 to 1024 bytes"),
        ("a", b"\xff", "not UTF-8"),
        ("a", b"a\x00b", "control character"),
        ("a", b"a\\b", "backslash"),
    ],
)
def test_links_that_lead_astray_do_not(path: str, target: bytes, word: str) -> None:
    problem = symlink_problem(path, target)
    assert problem is not None
    assert (problem.path, problem.code) == (path, "symlink")
    assert word in problem.message


@given(st.lists(st.sampled_from(["a", "b"]), min_size=1, max_size=4), st.text(alphabet="ab./", max_size=12))
def test_a_link_that_comes_in_stays_inside(parts: list[str], target: str) -> None:
    path = "/".join(parts)
    if symlink_problem(path, target.encode()) is None:
        joined = posixpath.normpath(posixpath.join("/state", posixpath.dirname(path), target))
        assert joined == "/state" or joined.startswith("/state/")


def test_names_that_differ_by_case_collide() -> None:
    found = collisions(["a/B/x", "a/b/y", "c", "C", "d/e"])
    assert {(p.path, p.code) for p in found} == {("a/b", "collision"), ("c", "collision")}
    assert found[0].message.startswith("this differs from ")


def test_letters_beyond_ascii_collide_too() -> None:
    assert len(collisions(["É", "é"])) == 1
    assert len(collisions(["straße", "STRASSE"])) == 1


def test_a_file_that_is_a_directory_collides() -> None:
    (problem,) = collisions(["a", "a/b", "ab"])
    assert problem.path == "a"
    assert "file and a directory" in problem.message


@given(st.sets(st.text(alphabet="aAbB/", min_size=1, max_size=6).filter(lambda p: "" not in p.split("/")), max_size=12))
def test_collisions_are_those_of_a_case_insensitive_disk(paths: set[str]) -> None:
    every = {"/".join(p.split("/")[:n]) for p in paths for n in range(1, p.count("/") + 2)}
    directories = {"/".join(p.split("/")[:n]) for p in paths for n in range(1, p.count("/") + 1)}
    clash = len({name.lower() for name in every}) < len(every) or bool(paths & directories)
    assert bool(collisions(paths)) is clash
