"""Single checks: versions and their holes, limits of a made-up machine, space, lists of packages."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, strategies as st

from stateguard.errors import StorageError
from stateguard.guard.doctor import machine, space, testing, tools
from stateguard.guard.doctor.finding import Level, Subject
from stateguard.host.home import Home
from stateguard.host.space import Space
from stateguard.model.policy import SHIPPED_ARMING, HostSettings

GIB = 1 << 30


def tool(name: str) -> tools.Tool:
    return next(t for t in tools.TOOLS if t.name == name)


def judged(name: str, said: str) -> list[tuple[Level, str]]:
    from dataclasses import replace

    return [(f.level, f.message) for f in tools.judge(replace(tool(name), read=lambda: said))]


@pytest.mark.parametrize(
    ("name", "said", "level", "says"),
    [
        ("git", "git version 2.33.8", Level.PROBLEM, "older than 2.34"),
        ("git", "git version 2.34.1", Level.NOTE, "CVE-2022-23521"),
        ("git", "git version 2.39.3", Level.NOTE, "CVE-2024-32002"),
        ("git", "git version 2.39.5 (Apple Git-154)", Level.NOTE, "CVE-2025-48384"),
        ("git", "git version 2.47.0.rc1", Level.NOTE, "CVE-2025-48384"),
        ("git", "git version 2.43.7", Level.OK, "2.43.7"),
        ("git", "git version 2.51.0", Level.OK, "2.51"),
        ("git", "gti", Level.WARNING, "does not say its version"),
        ("gpg", "gpg (GnuPG) 2.2.19", Level.WARNING, "older"),
        ("gpg", "gpg (GnuPG) 2.2.35", Level.NOTE, "CVE-2022-34903"),
        ("gpg", "gpg (GnuPG) 2.4.4", Level.OK, ""),
        ("sqlite", "3.44.6", Level.OK, ""),
        ("sqlite", "3.45.0", Level.NOTE, "WAL-reset"),
        ("sqlite", "3.51.3", Level.OK, ""),
        ("sqlite", "3.23.1", Level.PROBLEM, "older"),
        ("libgit2", "1.7.1", Level.PROBLEM, "CVE-2024-24577"),
        ("libgit2", "1.7.2", Level.OK, ""),
        ("dulwich", "1.2.11", Level.PROBLEM, "older than 1.2.12"),
        ("dulwich", "1.2.12", Level.OK, ""),
        ("linux", "5.3.0-generic", Level.PROBLEM, "pidfd"),
    ],
)  # fmt: skip
def test_versions_are_held_against_what_is_known(name: str, said: str, level: Level, says: str) -> None:
    found = judged(name, said)
    assert found[0][0] is level
    assert any(says in message for _, message in found)


@pytest.mark.parametrize(("name", "level"), [("git", Level.PROBLEM), ("gpg", Level.WARNING)])
def test_a_missing_program_says_what_to_install(name: str, level: Level) -> None:
    from dataclasses import replace

    def missing() -> str:
        raise (StorageError("git cannot be started") if name == "git" else FileNotFoundError(2, "No such file"))

    found = next(iter(tools.judge(replace(tool(name), read=missing))))
    assert found.level is level
    assert found.mend.startswith("apt-get install ")


@given(st.tuples(st.integers(0, 5), st.integers(0, 60), st.integers(0, 20)))
def test_a_hole_is_never_in_the_release_that_mends_it_nor_in_later_ones_of_its_series(version: tools.Version) -> None:
    for one in tools.TOOLS:
        for hole in one.holes:
            for mended in hole.mended_in:
                assert not hole.affects(mended)
                if version[:2] == mended[:2]:
                    assert hole.affects(version) == (version < mended)
            if version >= hole.mended_in[-1] and version[:2] not in {m[:2] for m in hole.mended_in}:
                assert not hole.affects(version)


def made_up(root: Path, live: Path, **limits: int) -> Subject:
    for name, value in limits.items():
        path = root / "proc/sys/fs/inotify" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"{value}\n")
    return Subject(Home(root / "home"), HostSettings(str(live), SHIPPED_ARMING), root)


def test_watches_are_held_against_the_directories(tmp_path: Path) -> None:
    live = tmp_path / "live"
    for number in range(9):
        (live / str(number)).mkdir(parents=True)
    levels = {}
    for allowed in (10, 12, 1000):
        subject = made_up(tmp_path, live, max_user_watches=allowed, max_user_instances=500, max_queued_events=99999)
        (found,) = machine.watches(subject)
        assert "10 directories" in found.message
        levels[allowed] = found.level
    assert levels == {10: Level.PROBLEM, 12: Level.WARNING, 1000: Level.OK}


def test_small_limits_are_told(tmp_path: Path) -> None:
    subject = made_up(tmp_path, tmp_path, max_user_watches=10**6, max_user_instances=8, max_queued_events=100)
    assert [f.level for f in machine.watches(subject)] == [Level.OK, Level.WARNING, Level.NOTE]
    assert [f.level for f in machine.watches(Subject(None, None, tmp_path / "none"))] == [Level.NOTE]


def test_the_clock_believes_timesyncd(tmp_path: Path) -> None:
    assert [f.level for f in machine.clock(Subject(None, None, tmp_path))] == [Level.NOTE]
    (tmp_path / "run/systemd/timesync").mkdir(parents=True)
    assert [f.level for f in machine.clock(Subject(None, None, tmp_path))] == [Level.WARNING]
    (tmp_path / "run/systemd/timesync/synchronized").touch()
    assert [f.level for f in machine.clock(Subject(None, None, tmp_path))] == [Level.OK]


@pytest.mark.parametrize(
    ("free", "inodes", "total_inodes", "level"),
    [
        (50 * GIB, 10**6, 10**7, Level.OK),
        (50 * GIB, 0, 0, Level.OK),
        (GIB - 1, 10**6, 10**7, Level.WARNING),
        (50 * GIB, 5000, 10**7, Level.WARNING),
        (50 * 1024 * 1024, 10**6, 10**7, Level.PROBLEM),
        (50 * GIB, 10, 10**7, Level.PROBLEM),
    ],
)
def test_space_is_judged(free: int, inodes: int, total_inodes: int, level: Level) -> None:
    assert space.judge("here", Space(free, 100 * GIB, inodes, total_inodes, 1)).level is level


def test_packages_are_one_list_for_doctor_and_continuous_integration(tmp_path: Path) -> None:
    text = testing.LIST.read_text()
    assert "git" in {p.name for p in testing.packages(text)}
    assert ".ci/packages" in (testing.LIST.parent / "run").read_text()
    listed = tmp_path / "packages"
    listed.write_text("# head\n\nnosuch no-such-program a test of nothing\npython3-venv - set up\n")
    (found,) = testing.judge(listed)
    assert found.level is Level.PROBLEM
    assert found.mend == "apt-get install nosuch"
    assert "a test of nothing" in found.message
    assert [f.level for f in testing.judge(tmp_path / "none")] == [Level.NOTE]
