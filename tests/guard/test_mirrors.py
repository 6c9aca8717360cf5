"""Mirrors as people meet them: a home with remotes, pushes, and remotes that are gone, dead or somebody else's."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from driving import Document, Driver, command_of, git
from helpers import eventually
from mirror.faulty import Fault, FaultyServer
from mirror.setting import bare, forced, refs
from stateguard.cli.main import run
from stateguard.guard.client import ask
from stateguard.model.identity import MAIN


class Mirrored(Driver):
    """A guard of plain configuration with mirrors."""

    def mirrors(self) -> dict[str, Document]:
        """Return the document of every mirror by name, from the running guard."""
        return {m["name"]: m for m in ask(self.home / "run" / "control.sock", "mirror-status", {})["mirrors"]}

    def in_sync(self, name: str) -> bool:
        """Say whether a mirror is in sync and equals what is served."""
        return self.mirrors()[name]["state"] == "IN_SYNC" and refs(self.root / f"{name}.git") == refs(self.repository)


@pytest.fixture
def driver(tmp_path: Path) -> Iterator[Mirrored]:
    source = tmp_path / "source"
    (source / "config").mkdir(parents=True)
    (source / "config" / "plain.conf").write_text("n = 0\n", encoding="utf-8")
    made = Mirrored(tmp_path, source)
    try:
        yield made
    finally:
        made.close()


def test_the_life_of_mirrors(driver: Mirrored, tmp_path: Path) -> None:
    near, gone = bare(tmp_path / "near.git"), "https://someone:s3cret@127.0.0.1:1/gone.git"
    driver.init("--remote", f"near={near}", "--remote", f"gone={gone}")
    before = driver.ask("mirror", "status", status=1)["mirrors"]
    assert [(m["state"], m["last_success"]) for m in before] == [("BEHIND", None)] * 2
    driver.start()
    assert driver.offer("config/plain.conf", "n = 1\n").returncode == 0
    eventually(lambda: driver.in_sync("near"), 30)
    eventually(lambda: driver.mirrors()["gone"]["failures"], 30)
    assert "near IN_SYNC, gone BEHIND" in driver.must("status")

    done = driver.run("mirror", "sync")
    assert done.returncode == 14, done.stderr
    assert "near: IN_SYNC" in done.stderr

    git(near, "update-ref", MAIN, f"{MAIN}~1")
    rewound = refs(near)
    assert driver.offer("config/plain.conf", "n = 2\n").returncode == 0
    eventually(lambda: driver.mirrors()["near"]["state"] == "DIVERGED", 30)
    assert refs(near) == rewound
    found = driver.wait(lambda s: s["conditions"])["conditions"]
    assert [(c["type"], c["component"], c["severity"]) for c in found] == [("MIRROR_DIVERGED", "near", 4)]
    done = driver.run("mirror", "sync", "near")
    assert done.returncode == 1
    assert "git fetch" in done.stdout
    assert "--reset" in done.stdout
    assert driver.refused("mirror", "sync", "near", "--reset", status=2)
    assert refs(near) == rewound
    assert driver.ask("mirror", "sync", "near", "--reset", "--yes")["mirrors"][0]["state"] == "IN_SYNC"
    assert refs(near) == refs(driver.repository)
    assert forced(near) == []
    assert [e["body"]["refs"] for e in driver.ask("audit", "log")["entries"] if e["kind"] == "mirror"] == [
        {MAIN: rewound[MAIN]}
    ]

    asked = [driver.run(*words) for words in (("mirror", "status"), ("mirror", "sync"), ("--json", "status"))]
    everything = "".join((driver.log.read_text(), *(done.stdout + done.stderr for done in asked)))
    assert "gone" in everything
    assert "s3cret" not in everything
    begun = time.monotonic()
    driver.stop()
    assert time.monotonic() - begun < 10
    assert driver.run("mirror", "sync", "near").returncode == 0


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Driver]:
    made = Driver(tmp_path_factory.mktemp("plain"))
    yield made.init("--no-baseline")
    made.close()


@pytest.mark.parametrize(
    ("words", "status"),
    [
        (["mirror", "status"], 0),
        (["mirror", "sync", "nobody"], 15),
        (["mirror", "sync"], 15),
        (["mirror", "verify"], 15),
        (["mirror", "sync", "--reset"], 2),
        (["mirror", "sync", "nobody", "--reset", "--yes"], 15),
        (["mirror", "forget"], 2),
    ],
)
def test_a_home_without_mirrors(
    plain: Driver, words: list[str], status: int, capsys: pytest.CaptureFixture[str]
) -> None:
    before = plain.refs()
    assert run(["--home", str(plain.home), "--json", *words]) == status
    told = json.loads(capsys.readouterr().out)
    assert told == {"mirrors": []} if status == 0 else told["error"]["exit"] == status
    assert plain.refs() == before


@pytest.mark.parametrize(
    ("remotes", "message"),
    [
        (["near"], "NAME=URL"),
        (["=x"], "NAME=URL"),
        (["near="], "NAME=URL"),
        (["near=relative"], "no address of a git repository"),
        (["Near=/x"], "is no name"),
        (["near=ext::sh -c id"], "no address of a git repository"),
        (["a=/x", "a=/y"], "two mirrors are called a"),
    ],
)
def test_a_remote_that_cannot_be_makes_no_home(
    tmp_path: Path, remotes: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    words = [word for remote in remotes for word in ("--remote", remote)]
    assert run(["--home", str(tmp_path / "home"), "init", *words]) == 2
    assert message in capsys.readouterr().err
    assert not (tmp_path / "home").exists()


def test_a_killed_guard_leaves_nothing_running_and_goes_on(driver: Mirrored, tmp_path: Path) -> None:
    faults = [Fault(black_hole=True)]
    with FaultyServer(tmp_path, lambda: faults[0]) as server:
        bare(tmp_path / "far.git")
        url = server.url("far.git")
        driver.init("--no-baseline", "--remote", f"far={url}").start()
        eventually(lambda: server.connections, 30)
        assert speaking(url)
        assert driver.offer("config/plain.conf", "n = 1\n").returncode == 0
        driver.kill()
        eventually(lambda: not speaking(url), 10)
        faults[0] = Fault()
        driver.start()
        eventually(lambda: driver.in_sync("far"), 30)
        assert forced(tmp_path / "far.git") == []


def speaking(url: str) -> list[int]:
    """Return the processes that were started to speak with a remote."""
    pids = [int(path.name) for path in Path("/proc").iterdir() if path.name.isdigit()]
    return [pid for pid in pids if url in command_of(pid)]
