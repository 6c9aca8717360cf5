"""The measurements run, and notice an end state that is wrong; how fast anything is they say elsewhere."""

import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks import page, tree
from benchmarks.timing import Row, interleaved

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.timeout(300)
def test_the_quick_run_reaches_every_right_end_state(tmp_path: Path) -> None:
    argv = [sys.executable, "-m", "benchmarks", "--quick", "--scratch", str(tmp_path)]
    done = subprocess.run(argv, cwd=ROOT, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr
    for work in (
        "rollback, with emergency backup",
        "drift answer",
        "small push",
        "snapshot commit",
        "fingerprint after",
    ):
        assert work in done.stdout
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("files", [500, 1000, 10_000])
@pytest.mark.parametrize("part", [0.002, 0.01])
def test_a_change_is_as_large_as_was_asked_and_mixed(files: int, part: float) -> None:
    before = tree.grown(files)
    assert len(before) == files
    count = int(files * part) // 10 * 10 or 10
    after = tree.changed(before, count, 3)
    assert after == tree.changed(tree.grown(files), count, 3)
    both = before.keys() & after.keys()
    modified = [p for p in both if before[p] != after[p]]
    assert tree.difference(before, after) == count
    assert (len(modified), len(after.keys() - both), len(before.keys() - both)) == (
        count * 8 // 10,
        count // 10,
        count // 10,
    )
    assert any(before[p].executable != after[p].executable for p in modified)
    assert any(f in before.values() for p, f in after.items() if p not in both)
    if count >= 100:
        assert any(p.rpartition("/")[0] in before for p in after)
        assert any(p.rpartition("/")[0] in after for p in before)


@pytest.mark.parametrize("spoil", ["byte", "mode", "missing", "unwanted", "directory", "link"])
def test_a_wrong_end_state_is_noticed(tmp_path: Path, spoil: str) -> None:
    held = tree.grown(60)
    root = tmp_path / "tree"
    tree.write(root, held)
    tree.check(root, held)
    victim = root / next(p for p in held if p.startswith("data/"))
    if spoil == "byte":
        victim.write_bytes(victim.read_bytes()[:-1] + b"!")
    elif spoil == "mode":
        victim.chmod(victim.stat().st_mode ^ 0o100)
    elif spoil == "missing":
        victim.unlink()
    elif spoil == "unwanted":
        (root / "more").touch()
    elif spoil == "directory":
        (root / "empty").mkdir()
    else:
        victim.rename(tmp_path / "elsewhere")
        victim.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(tree.WrongTreeError):
        tree.check(root, held)


def test_a_tree_is_turned_into_another(tmp_path: Path) -> None:
    before = tree.grown(1000)
    after = tree.changed(before, 100, 1)
    tree.write(tmp_path / "tree", before)
    tree.turn_into(tmp_path / "tree", before, after)
    tree.check(tmp_path / "tree", after)
    tree.turn_into(tmp_path / "tree", after, before)
    tree.check(tmp_path / "tree", before)


def test_methods_take_turns_and_the_first_does_not_count() -> None:
    turns: list[str] = []

    def method(name: str) -> float:
        turns.append(name)
        return float(len(turns))

    took = interleaved({"a": lambda: method("a"), "b": lambda: method("b")}, 2)
    assert turns == ["a", "b"] * 3
    assert took == {"a": (3.0, 5.0), "b": (4.0, 6.0)}


def test_a_promise_is_held_or_missed() -> None:
    held = Row("w", 10, 1, (0.1, 0.9, 0.2), "p", (1.0, 2.0, 3.0), 0.1, gate=True)
    assert held.figure == pytest.approx(0.1)
    assert held.held
    missed = Row("w", 10, 1, (0.5,), "p", (0.3,), 0.15, beyond=True)
    assert not missed.held
    assert Row("w", 10, 1, (0.5,), "p", (0.4,), 0.15, beyond=True).held
    assert not Row("m", 10, 0, (201.0,), most=200.0, unit="MB").held
    assert Row("m", 10, 0, (201.0,), unit="MB").held
    written = page.table([held, missed], {"processor": "one"})
    assert "**missed**" in written
    assert "held (gate)" in written
