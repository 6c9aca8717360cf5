"""Libraries with known holes are not let near what strangers push."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from driving import Driver, environment
from stateguard.errors import RefusedError
from stateguard.guard.libraries import LIBRARIES, Library, refuse_holes, version_in
from tiny import write_tiny

OLD = """\
import importlib.metadata, sys
told = importlib.metadata.version
importlib.metadata.version = lambda name: "1.2.11" if name == "dulwich" else told(name)
from stateguard.__main__ import main
sys.exit(main())
"""
"""The command line where an old dulwich is installed."""


def library(name: str) -> Library:
    return next(one for one in LIBRARIES if one.name == name)


def test_what_is_installed_may_be_used() -> None:
    refuse_holes()
    assert {one.name for one in LIBRARIES} == {"libgit2", "dulwich"}


@pytest.mark.parametrize(
    ("name", "said", "fits"),
    [
        ("libgit2", "1.7.1", False),
        ("libgit2", "1.7.2", True),
        ("libgit2", "1.10.0", True),
        ("dulwich", "0.24.1", False),
        ("dulwich", "1.2.11", False),
        ("dulwich", "1.2.12", True),
        ("dulwich", "1.3", True),
        ("dulwich", "of today", False),
        ("dulwich", "", False),
    ],
)
def test_the_floors(name: str, said: str, fits: bool) -> None:
    one = replace(library(name), read=lambda: said)
    if fits:
        refuse_holes([one])
        return
    with pytest.raises(RefusedError, match=name) as error:
        refuse_holes([one])
    assert "pip install --upgrade" in error.value.next_step


@pytest.mark.parametrize(
    ("text", "version"), [("git version 2.39.5 (x)", (2, 39, 5)), ("1.2", (1, 2)), ("v7", None), ("", None)]
)
def test_versions_are_read(text: str, version: tuple[int, ...] | None) -> None:
    assert version_in(text) == version


def test_no_guard_starts_and_no_hook_admits_with_one(tmp_path: Path) -> None:
    drive = Driver(tmp_path, write_tiny(tmp_path / "source"))
    try:
        drive.init("--no-baseline")
        before = drive.refs()
        asked = json.dumps({"updates": [], "options": [], "user": "ann", "token": "t", "answer": "x"})
        for words in (["run"], ["hook", "admit"]):
            done = subprocess.run(
                [sys.executable, "-c", OLD, "--home", str(drive.home), *words],
                env=environment(),
                input=asked,
                capture_output=True,
                text=True,
                timeout=60,
                check=False,
            )
            assert done.returncode == 1, done
            assert "dulwich 1.2.11 is older than 1.2.12" in done.stderr + done.stdout
        assert drive.refs() == before
    finally:
        drive.close()
