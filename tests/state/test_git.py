from __future__ import annotations

import time
from pathlib import Path

import pytest

from stateguard.errors import StorageError
from stateguard.state.git import git, git_raw
from stateguard.state.repository import Repository


def test_output_and_input_are_bytes(repository: Repository) -> None:
    content = bytes(range(256)) * 1000
    object_id = git(repository.path, "hash-object", "-w", "--stdin", stdin=content).decode().strip()
    assert git(repository.path, "cat-file", "blob", object_id) == content


def test_a_missing_git_says_what_to_install(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match="cannot be started") as refused:
        git_raw(["version"], extra={"PATH": str(tmp_path)})
    assert "install git" in refused.value.next_step
    assert refused.value.exit == 12


def test_a_failing_command_tells_what_git_said(repository: Repository) -> None:
    with pytest.raises(StorageError, match=r"ended with status 128: fatal: Needed a single revision"):
        git(repository.path, "rev-parse", "--verify", "nonsense")


def test_a_silent_failure_is_told_too(repository: Repository) -> None:
    with pytest.raises(StorageError, match="status 1: it said nothing"):
        git(repository.path, "config", "no.such")


def test_a_deadline_ends_it(repository: Repository) -> None:
    begun = time.monotonic()
    with pytest.raises(StorageError, match="did not end within"):
        git(repository.path, "-c", "alias.hang=!sleep 60", "hang", deadline_seconds=0.2)
    assert time.monotonic() - begun < 10


def test_the_callers_git_variables_and_configuration_do_not_count(
    repository: Repository, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / ".gitconfig").write_text("[broken")
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("GIT_DIR", "/nowhere")
    monkeypatch.setenv("GIT_OBJECT_DIRECTORY", "/nowhere")
    monkeypatch.setenv("GIT_CONFIG_PARAMETERS", "nonsense")
    assert git(repository.path, "rev-parse", "--is-bare-repository") == b"true\n"


def test_no_repository_is_a_storage_error(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match="not a git repository"):
        git(tmp_path, "rev-parse", "HEAD")


def test_the_working_directory_can_be_chosen(repository: Repository) -> None:
    assert git_raw(["rev-parse", "--git-dir"], cwd=repository.path) == b".\n"
