"""A guard that dies while it writes a pack leaves a part of it; the next one removes that."""

from __future__ import annotations

from transition.setting import Setting, leftovers


def test_what_is_left_of_a_pack_is_removed_at_the_next_start(setting: Setting) -> None:
    for repository in (setting.home.repository, setting.home.captured):
        (repository / "objects" / "pack").mkdir(exist_ok=True)
        (repository / "objects" / "pack" / ".stateguard-tmp-pack-0.idx").write_bytes(b"half")
    assert len(leftovers(setting.home)) == 2
    setting.restart()
    assert leftovers(setting.home) == []
