from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings, strategies as st

from stateguard.errors import LockHeldError, StorageError
from stateguard.live.lock import NAME, claim, release


def home(path: Path) -> Path:
    """Make a guard home that still exists."""
    path.mkdir()
    (path / "guard.yaml").touch()
    return path


def owner(root: Path) -> str:
    return str(json.loads((root / NAME).read_bytes())["owner"])


def test_the_first_guard_claims_it_and_may_claim_again(root: Path, tmp_path: Path) -> None:
    mine = home(tmp_path / "one")
    claim(root, "id-1", mine)
    before = (root / NAME).stat()
    claim(root, "id-1", mine)
    assert owner(root) == "id-1"
    assert (root / NAME).stat().st_ino == before.st_ino, "written once"


def test_a_second_home_is_refused_and_told_whose_it_is(root: Path, tmp_path: Path) -> None:
    claim(root, "id-1", home(tmp_path / "one"))
    with pytest.raises(LockHeldError, match=str(tmp_path / "one")) as refused:
        claim(root, "id-2", home(tmp_path / "two"))
    assert refused.value.exit == 11
    assert str(root / NAME) in refused.value.next_step
    assert owner(root) == "id-1"


def test_a_home_that_is_gone_is_taken_over(root: Path, tmp_path: Path) -> None:
    first = home(tmp_path / "one")
    claim(root, "id-1", first)
    (first / "guard.yaml").unlink()
    claim(root, "id-2", home(tmp_path / "two"))
    assert owner(root) == "id-2"


def test_a_home_that_moved_writes_its_new_place(root: Path, tmp_path: Path) -> None:
    first = home(tmp_path / "one")
    claim(root, "id-1", first)
    claim(root, "id-1", first.rename(tmp_path / "moved"))
    assert json.loads((root / NAME).read_bytes())["home"] == str(tmp_path / "moved")


@given(st.binary(max_size=40))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=40)
def test_a_damaged_note_names_nobody(root: Path, tmp_path: Path, content: bytes) -> None:
    (root / NAME).write_bytes(content)
    claim(root, "id-1", tmp_path)
    assert owner(root) == "id-1"


def test_a_planted_link_is_not_written_through(root: Path, tmp_path: Path) -> None:
    (tmp_path / "victim").write_text("kept")
    (root / NAME).symlink_to(tmp_path / "victim")
    claim(root, "id-1", tmp_path)
    assert (tmp_path / "victim").read_text() == "kept"


def test_a_place_that_cannot_be_written_is_a_storage_error(root: Path, tmp_path: Path) -> None:
    (root / NAME).mkdir()
    with pytest.raises(StorageError, match="cannot be written"):
        claim(root, "id-1", tmp_path)
    with pytest.raises(StorageError, match="No such file"):
        claim(root / "gone", "id-1", tmp_path)


def test_a_copy_of_a_home_is_another_home(root: Path, tmp_path: Path) -> None:
    for name in ("home", "copy"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "guard.yaml").touch()
    claim(root, "id-1", tmp_path / "home")
    with pytest.raises(LockHeldError, match="belongs to the guard home"):
        claim(root, "id-1", tmp_path / "copy")
    release(root, "id-1", tmp_path / "copy")
    assert owner(root) == "id-1"
    release(root, "id-1", tmp_path / "home")
    assert not (root / NAME).exists()
