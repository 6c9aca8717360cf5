from __future__ import annotations

import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from report.samples import rejected_push
from stateguard.errors import StorageError
from stateguard.model.identity import INCIDENTS, ZERO
from stateguard.report.incident import render
from stateguard.report.publish import publish
from stateguard.state.repository import RefMove, Repository
from stateguard.trust.ssh import SigningKey

AT = 1_782_900_000.0
KEY = SigningKey.generate()


@pytest.fixture
def repository(tmp_path: Path) -> Repository:
    return Repository.create(tmp_path / "repo.git", served=True)


def git(repository: Repository, *arguments: str) -> str:
    command = ["git", "-C", str(repository.path), *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def put(repository: Repository, number: int, text: str) -> str:
    return publish(repository, repository.move, number, text, AT, KEY.sign)


def test_a_report_is_readable_with_stock_git(repository: Repository) -> None:
    text = render(rejected_push())
    assert put(repository, 7, text) == "incidents/0007.md"
    assert git(repository, "show", f"{INCIDENTS}:incidents/0007.md") == text
    assert git(repository, "ls-tree", "-r", "--name-only", INCIDENTS).split() == ["README.md", "incidents/0007.md"]
    git(repository, "fsck", "--strict")


def test_the_commit_is_signed_by_the_guard(repository: Repository, tmp_path: Path) -> None:
    put(repository, 7, "# Incident 7: x\n")
    signers = tmp_path / "allowed_signers"
    signers.write_text(f"guard {KEY.public.line}\n")
    git(repository, "-c", "gpg.format=ssh", "-c", f"gpg.ssh.allowedSignersFile={signers}", "verify-commit", INCIDENTS)


def test_the_index_lists_every_report_newest_first(repository: Repository) -> None:
    facts = rejected_push()
    put(repository, 7, render(facts))
    incident = replace(facts.incident, id=12, summary="a | b `c` <i> # d_e")
    put(repository, 12, render(replace(facts, incident=incident)))
    put(repository, 12345, "no heading at all")
    rows = [r for r in git(repository, "show", f"{INCIDENTS}:README.md").splitlines() if r.startswith("| [")]
    told = "Level 2 (HIGH) | RESOLVED | 2026-07-01 10:02:11 UTC"
    assert rows == [
        "| [12345](incidents/12345.md) | – | – | – | – |",
        f"| [12](incidents/0012.md) | {told} | a \\| b \\`c\\` \\<i\\> \\# d\\_e |",
        f"| [7](incidents/0007.md) | {told} | nutrition: ready failed 3 times (connection refused on 127.0.0.1:9102) |",
    ]


def test_each_report_is_a_commit_on_the_one_before(repository: Repository) -> None:
    put(repository, 1, "# Incident 1: x\n")
    put(repository, 2, "# Incident 2: y\n")
    put(repository, 2, "# Incident 2: z\n")
    subjects = git(repository, "log", "--format=%s", INCIDENTS).splitlines()
    assert subjects == ["Update the report of incident 2", "Report incident 2", "Report incident 1"]


def test_the_same_report_again_changes_nothing(repository: Repository) -> None:
    moves: list[RefMove] = []

    def move(wanted: list[RefMove]) -> None:
        moves.extend(wanted)
        repository.move(wanted)

    for _ in range(2):
        assert publish(repository, move, 7, "# Incident 7: x\n", AT, KEY.sign) == "incidents/0007.md"
    assert [(m.name, m.old) for m in moves] == [(INCIDENTS, ZERO)]
    assert repository.ref(INCIDENTS) == moves[0].new


def test_a_branch_that_moved_meanwhile_is_left_alone(repository: Repository) -> None:
    put(repository, 1, "# Incident 1: x\n")

    def late(wanted: list[RefMove]) -> None:
        put(repository, 2, "# Incident 2: y\n")
        repository.move(wanted)

    with pytest.raises(StorageError):
        publish(repository, late, 3, "# Incident 3: z\n", AT, KEY.sign)
    assert "incidents/0003.md" not in git(repository, "ls-tree", "-r", "--name-only", INCIDENTS)


def test_other_files_of_the_branch_stay(repository: Repository) -> None:
    put(repository, 1, "# Incident 1: \udc80\n")
    assert "\\udc80" in git(repository, "show", f"{INCIDENTS}:incidents/0001.md")
    put(repository, 2, "# Incident 2: y\n")
    assert "# Incident 1" in git(repository, "show", f"{INCIDENTS}:incidents/0001.md")
