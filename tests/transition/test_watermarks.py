"""Lines of conversations are put down to the state under which they were written, whatever became of it."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from stateguard.guard.applies import Applies
from stateguard.guard.commands.desk import Desk
from stateguard.guard.commands.table import COMMANDS
from stateguard.guard.rollback import roll_back
from stateguard.host.database import Database
from stateguard.model.tree import REGULAR, Entry, blob_id
from stateguard.model.watermark import Force
from stateguard.record.watermarks import Watermarks
from transition.setting import BREAKS, CHANGE, Setting, ignored

SEED = "conversations/seed.jsonl"
HELPER = "conversations/helper.jsonl"


def add(setting: Setting, path: str, number: int = 1) -> None:
    """Write lines as an agent does."""
    with (setting.guard.live / path).open("a") as stream:
        for _ in range(number):
            stream.write(f'{{"turn": {next(setting.numbers)}}}\n')


def under(setting: Setting, path: str) -> list[tuple[int, int, str]]:
    """Return from line, to line and revision of all that is known about a path."""
    return [(t.from_line, t.to_line, t.force.revision) for t in setting.guard.watermarks.turns(path)]


def shown(setting: Setting, path: str) -> dict[str, Any]:
    guard = setting.guard
    return COMMANDS["conversations-show"].answer(Desk(guard, Applies(guard), None, list, str), {"path": path}, ignored)


def test_what_lay_there_before_the_first_apply_is_put_down_to_nothing(setting: Setting) -> None:
    assert under(setting, SEED) == [(1, 1, "")]
    assert shown(setting, SEED)["turns"][0]["revision"] is None


def test_last_words_belong_to_the_old_prompt_and_what_follows_to_the_new(setting: Setting) -> None:
    old = setting.guard.main
    add(setting, HELPER, 2)
    before = len((setting.guard.live / HELPER).read_bytes().splitlines())
    assert setting.push(setting.commit(CHANGE)).accepted
    new = setting.guard.main
    add(setting, HELPER, 3)
    setting.guard.operations.preparation.keep_all(new)
    assert under(setting, HELPER) == [(1, before + 1, old), (before + 2, before + 4, new)]


def test_what_was_said_under_a_push_that_failed_is_put_down_to_it(setting: Setting) -> None:
    old = setting.guard.main
    setting.guard.operations.preparation.keep_all(old)
    before = len((setting.guard.live / HELPER).read_bytes().splitlines())
    culprit = setting.commit(BREAKS)
    assert not setting.push(culprit).accepted
    assert setting.guard.main == old
    assert under(setting, HELPER) == [(1, before + 1, old), (before + 2, before + 2, culprit)]
    assert setting.guard.archive.force(culprit).fingerprint


def test_also_if_the_engine_turns_round(setting: Setting) -> None:
    old = setting.guard.main
    assert setting.push(setting.commit(CHANGE)).accepted
    middle = setting.guard.main
    (setting.guard.live / "stuck-helper").touch()
    record = roll_back(setting.guard, {"target": "baseline/1"}, "person:ann", ignored)
    assert record.outcome == "undone"
    found = [(revision, to - begin + 1) for begin, to, revision in under(setting, HELPER)]
    assert found[-3:] == [(old, 2), (middle, 1), (old, 1)], "its last words under each"


def test_a_file_that_is_too_large_to_be_kept_is_not_displaced(setting: Setting) -> None:
    assert setting.push(setting.commit(CHANGE)).accepted
    seed, large = setting.guard.live / SEED, 65 * 1024 * 1024
    os.truncate(seed, large)
    roll_back(setting.guard, {"target": "baseline/1", "conversations": "restore"}, "person:ann", ignored)
    assert seed.stat().st_size == large
    assert [one.path for one in setting.guard.archive.captured().over] == [SEED]


def test_restored_lines_keep_their_place(setting: Setting) -> None:
    old = setting.guard.main
    lines = (setting.guard.live / SEED).read_bytes()
    assert setting.push(setting.commit(CHANGE)).accepted
    add(setting, SEED, 5)
    roll_back(setting.guard, {"target": "baseline/1", "conversations": "restore"}, "person:ann", ignored)
    assert (setting.guard.live / SEED).read_bytes() == lines
    back = setting.guard.main
    add(setting, SEED)
    setting.guard.operations.preparation.keep_all(back)
    assert under(setting, SEED) == [(1, 1, ""), (2, 2, back)]
    document = shown(setting, SEED)
    assert (document["generation"], document["marked_lines"]) == (2, 2)
    assert [(t["from_line"], t["to_line"]) for t in document["earlier"]] == [(1, 1), (2, 6)]
    assert old != back


def test_what_is_not_marked_yet_is_shown_and_told_apart(setting: Setting) -> None:
    add(setting, SEED, 2)
    document = shown(setting, SEED)
    assert [(t["from_line"], t["to_line"], t["revision"]) for t in document["turns"]] == [
        (1, 1, None),
        (2, 3, setting.guard.main),
    ]
    assert (document["lines"], document["marked_lines"]) == (3, 1)
    assert under(setting, SEED) == [(1, 1, "")], "showing marks nothing"


class TestTable:
    @pytest.fixture
    def marks(self, tmp_path: Path) -> Watermarks:
        self.blobs: dict[str, bytes] = {}
        self.database = Database(tmp_path / "guard.db")
        return Watermarks(self.database)

    def see(self, marks: Watermarks, content: bytes, force: Force, operation: int | None = None) -> int:
        self.blobs[blob_id(content)] = content
        seen = {SEED: Entry(REGULAR, blob_id(content))}
        return marks.mark(seen, self.blobs.get, force, "2026-01-01T00:00:00Z", operation)

    def test_captures_stretch_the_last_row_and_a_new_guard_goes_on(self, marks: Watermarks, tmp_path: Path) -> None:
        one, two = Force("1" * 40, "sha256:1"), Force("2" * 40, "sha256:2")
        content = b""
        for number in range(6):
            content += b"%d\n" % number
            assert self.see(marks, content, one if number < 4 else two) == 1
            assert self.see(marks, content, one if number < 4 else two) == 0
        assert len(marks.of(SEED)) == 2
        self.database.close()
        again = Watermarks(Database(tmp_path / "guard.db"))
        assert self.see(again, content + b"6\n", two) == 1
        assert [(t.from_line, t.to_line, t.force) for t in again.turns(SEED)] == [(1, 4, one), (5, 7, two)]
        assert again.paths() == [SEED]

    def test_a_blob_that_is_gone_loses_only_what_it_shared(self, marks: Watermarks) -> None:
        one = Force("1" * 40, "sha256:1")
        self.see(marks, b"a\nb\n", one)
        self.blobs.clear()
        self.see(marks, b"a\n", Force("2" * 40, "sha256:2"))
        found = marks.turns(SEED)
        assert [(t.generation, t.from_line, t.to_line, t.force.revision[0]) for t in found] == [(2, 1, 1, "2")]
