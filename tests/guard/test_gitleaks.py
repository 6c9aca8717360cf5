"""A second opinion on secrets: by gitleaks where it is there, and by a small program that keeps to its contract."""

from __future__ import annotations

import json
import os
import shutil
import sys
import tempfile
import time
from pathlib import Path

import pytest
from pygit2.enums import ObjectType

from driving import Driver, sh
from stateguard.guard.doctor import running
from stateguard.guard.doctor.finding import Level, Subject
from stateguard.guard.gitleaks import Gitleaks, Leak, on_path
from stateguard.guard.secrets import Search
from stateguard.host.sandbox import UNCONFINED, Unconfined
from stateguard.model.policy import Harmless
from stateguard.model.tree import REGULAR, Entry
from stateguard.state import trees
from stateguard.state.repository import Repository
from tiny import write_tiny

REAL = shutil.which("gitleaks")
TOKEN = "gh" + "p_" + "Ab3dEf5hIj7lMn9pQr1tUv3xYz5bCd7fGh9j"
MARKED = "x-secret-of-the-house"
"""What the rule ``house`` of the program finds, and no built-in rule does."""

FAKE = """\
import json, os, re, sys
words = sys.argv[1:]
if words == ["version"]:
    print("8.21.2")
    sys.exit(0)
assert words[0] == "dir" and "--redact" in words and words[-1] == "."
assert not [name for name in os.environ if name.startswith(("GIT_", "GITLEAKS"))]
given = dict(zip(words, words[1:]))
rules = [("github-pat", r"ghp_[A-Za-z0-9]{36}"), ("house", r"x-secret-of-the-house")]
found = []
for place, _, names in os.walk("."):
    for name in names:
        file = os.path.normpath(os.path.join(place, name))
        for number, line in enumerate(open(file, encoding="utf-8", errors="replace"), 1):
            for rule, pattern in rules:
                if re.search(pattern, line):
                    found.append({"RuleID": rule, "Description": "A secret", "StartLine": number, "EndLine": number,
                                  "StartColumn": 1, "EndColumn": 9, "Match": "REDACTED", "Secret": "REDACTED",
                                  "File": file, "SymlinkFile": "", "Commit": "", "Entropy": 3.1, "Author": "",
                                  "Email": "", "Date": "", "Message": "", "Tags": [], "Fingerprint": ""})
with open(given["--report-path"], "w") as report:
    json.dump(found, report)
sys.exit(int(given["--exit-code"]) if found else 0)
"""
"""The fields of a report as gitleaks 8 documents them; exit status and report as it has them."""


def program(folder: Path, text: str) -> str:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "program.py").write_text(text)
    path = folder / "gitleaks"
    path.write_text(f'#!/bin/sh\nexec {sys.executable} {folder / "program.py"} "$@"\n')
    path.chmod(0o755)
    return str(path)


@pytest.fixture(params=["fake", pytest.param("real", marks=pytest.mark.skipif(not REAL, reason="no gitleaks here"))])
def gitleaks(request: pytest.FixtureRequest, tmp_path: Path) -> Gitleaks:
    return Gitleaks(program(tmp_path / "bin", FAKE) if request.param == "fake" else REAL or "")


class TestContract:
    def test_nothing_is_found_where_nothing_is(self, gitleaks: Gitleaks) -> None:
        opinion = gitleaks.look([("a.md", b"plain\n"), ("b/\xff", b""), ("c.bin", bytes(range(256)))])
        assert (opinion.leaks, opinion.trouble) == ((), "")
        assert gitleaks.look([]).trouble == ""

    def test_place_and_rule_are_told_and_nothing_else(self, gitleaks: Gitleaks) -> None:
        files = [("a.md", b"plain\n"), ("deep/../../.gitleaks.toml", f"one\ntwo {TOKEN}\n".encode()), ("a.md", b"x\n")]
        opinion = gitleaks.look(files)
        assert opinion.trouble == ""
        assert opinion.leaks == (Leak(1, 2, "github-pat"),)


@pytest.mark.parametrize(
    ("text", "trouble"),
    [
        ("import sys; sys.exit(2)", "its version is not to be had"),
        ("print('8.18.4')", "its version is 8.18.4, not 8.19 or later"),
        ("print('version is set by build process')", "its version is version is set by build process"),
        (FAKE.replace("found = []", "sys.exit(1)"), "it ended with status 1"),
        (FAKE.replace("found = []", "sys.exit(0)"), "its report cannot be understood"),
        (FAKE.replace("found = []", "sys.exit(9)"), "its report cannot be understood"),
        (FAKE.replace("found = []", "found = [7]"), "its report cannot be understood"),
        (FAKE.replace("found = []", "found = [{'File': '99/a', 'StartLine': 1, 'RuleID': 'x'}]"), "its report cannot"),
        (FAKE.replace("json.dump(found, report)", "report.write('[' * 100000)"), "its report cannot be understood"),
        (FAKE.replace("found = []", "import time; time.sleep(60)"), "it did not end within 1.0 s"),
        (FAKE.replace("found = []", "found = []\nprint('x' * 10_000_000)"), ""),
    ],
)
def test_a_program_that_cannot_be_used_is_told_and_never_raises(tmp_path: Path, text: str, trouble: str) -> None:
    before = set(Path(tempfile.gettempdir()).glob("stateguard-look-*"))
    began = time.monotonic()
    opinion = Gitleaks(program(tmp_path, text)).look([("a", f"{TOKEN}\n".encode())], 1.0 if "sleep" in text else 15.0)
    assert opinion.trouble.startswith(trouble)
    assert bool(opinion.trouble) == bool(trouble)
    assert bool(opinion.leaks) == (not trouble)
    assert time.monotonic() - began < 15
    assert set(Path(tempfile.gettempdir()).glob("stateguard-look-*")) <= before


def test_a_rule_and_a_line_that_are_none_are_not_repeated(tmp_path: Path) -> None:
    told = "found = [{'File': './0/a', 'StartLine': 'x', 'RuleID': '\\x1b[2J'}]"
    (leak,) = Gitleaks(program(tmp_path, FAKE.replace("found = []", told))).look([("a", b"x")]).leaks
    assert leak == Leak(0, 0, "(unnamed)")


def test_it_is_found_on_path_and_confined_as_agents_are(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert on_path() is None
    assert [f.level for f in running.gitleaks(Subject(None, None))] == [Level.OK]
    path = program(tmp_path, FAKE)
    assert on_path(Unconfined("as told")) == Gitleaks(path, UNCONFINED)
    assert [(f.level, "8.21.2" in f.message) for f in running.gitleaks(Subject(None, None))] == [(Level.OK, True)]
    program(tmp_path, FAKE.replace("8.21.2", "7.0"))
    (found,) = running.gitleaks(Subject(None, None))
    assert (found.level, "cannot be used: its version is 7.0" in found.message) == (Level.WARNING, True)


class TestBesides:
    """What it says joins what the built-in rules say."""

    LINES = f"one\ntwo {TOKEN}\nthree {MARKED}\n".encode()

    def found(self, root: Path, second: Gitleaks, harmless: tuple[Harmless, ...] = ()) -> Search:
        repository = Repository.create(root / "repo.git", served=False)
        blobs = {path: repository.write(ObjectType.BLOB, data) for path, data in (("a", b"x\n"), ("b", self.LINES))}
        tree = trees.build(repository, {path: Entry(REGULAR, blob) for path, blob in blobs.items()})
        search = Search(repository, harmless, second=second.look)
        search.through(tree)
        return search

    def kinds(self, search: Search) -> list[tuple[str, int, bool]]:
        return [(p.path, p.line, "gitleaks" in p.message) for p in search.problems]

    def test_a_place_is_told_once(self, tmp_path: Path) -> None:
        search = self.found(tmp_path, Gitleaks(program(tmp_path / "bin", FAKE)))
        assert self.kinds(search) == [("b", 2, False), ("b", 3, True)]
        assert search.trouble == ""

    @pytest.mark.parametrize("broken", ["sys.exit(0)", "sys.exit(1)", "rules = []"])
    def test_nothing_is_let_in_by_it(self, tmp_path: Path, broken: str) -> None:
        second = Gitleaks(program(tmp_path / "bin", FAKE.replace("found = []", f"{broken}; found = []")))
        search = self.found(tmp_path, second)
        assert self.kinds(search) == [("b", 2, False)]
        assert bool(search.trouble) == ("exit" in broken)

    def test_the_policy_on_main_makes_exceptions(self, tmp_path: Path) -> None:
        second = Gitleaks(program(tmp_path / "bin", FAKE))
        assert self.kinds(self.found(tmp_path / "1", second, (Harmless(("b",), ("gitleaks",)),))) == [("b", 2, False)]
        assert self.kinds(self.found(tmp_path / "2", second, (Harmless(("b",), ("github-token",)),))) == [
            ("b", 2, True), ("b", 3, True),
        ]  # fmt: skip


@pytest.fixture(scope="module")
def drive(tmp_path_factory: pytest.TempPathFactory) -> Driver:
    """Return a home without a daemon: the hook admits, with the PATH of who pushes."""
    root = tmp_path_factory.mktemp("gitleaks")
    made = Driver(root, write_tiny(root / "source"))
    made.init("--no-baseline")
    return made


def pushes(drive: Driver, folder: Path, text: str) -> tuple[int, str]:
    drive.edit("config/shared.yaml", text)
    drive.commit("Change")
    path = f"{folder}{os.pathsep}{os.environ['PATH']}"
    done = sh("git", "push", "origin", "HEAD:main", cwd=drive.work, check=False, PATH=path)
    return done.returncode, done.stderr


def test_a_push_is_refused_for_what_it_finds_and_let_in_where_it_fails(drive: Driver, tmp_path: Path) -> None:
    try:
        program(tmp_path / "bin", FAKE)
        status, said = pushes(drive, tmp_path / "bin", f"limits: {{plans: 4}}\n# {MARKED}\n")
        assert status == 1
        assert "config/shared.yaml:2:1: this looks like a secret to gitleaks, by its rule house (gitleaks)" in said
        assert MARKED not in said
        drive.sync()
        program(tmp_path / "bin", FAKE.replace("found = []", "sys.exit(1)"))
        status, said = pushes(drive, tmp_path / "bin", "limits: {plans: 5}\n")
        assert (status, "note: gitleaks did not look through this: it ended with status 1" in said) == (0, True), said
        settings = drive.home / "guard.yaml"
        settings.write_text(settings.read_text() + "secrets: {gitleaks: off}\n")
        program(tmp_path / "bin", FAKE)
        status, said = pushes(drive, tmp_path / "bin", f"limits: {{plans: 6}}\n# {MARKED}\n")
        assert status == 0, said
        entries = json.dumps(drive.ask("audit", "log")["entries"])
        assert "gitleaks, by its rule house" in entries
        assert MARKED not in entries
    finally:
        drive.close()
