from __future__ import annotations

import sys
import time
from pathlib import Path

import pytest

from helpers import eventually
from stateguard.host import command
from stateguard.host.process import identify


def test_status_output_and_errors_come_back(tmp_path: Path) -> None:
    done = command.run(["sh", "-c", "pwd; echo oops >&2; exit 7"], cwd=tmp_path)
    assert done == command.Done(7, f"{tmp_path}\n".encode(), b"oops\n")


def test_a_signal_is_a_negative_status() -> None:
    assert command.run(["sh", "-c", "kill -9 $$"]).status == -9


def test_the_deadline_ends_the_whole_group(tmp_path: Path) -> None:
    begun = time.monotonic()
    script = "sleep 600 & echo $! > child; echo partial; wait"
    done = command.run(["sh", "-c", script], cwd=tmp_path, deadline_seconds=0.3)
    assert (done.status, done.output) == (None, b"partial\n")
    assert time.monotonic() - begun < 5
    child = int((tmp_path / "child").read_text())
    eventually(lambda: identify(child) is None)


def test_what_a_program_leaves_running_is_ended(tmp_path: Path) -> None:
    command.run(["sh", "-c", "sleep 600 >/dev/null 2>&1 & echo $! > child"], cwd=tmp_path)
    child = int((tmp_path / "child").read_text())
    eventually(lambda: identify(child) is None)


def test_a_program_that_closes_its_output_is_waited_for() -> None:
    assert command.run(["sh", "-c", "exec >&- 2>&-; sleep 0.2; exit 3"]).status == 3
    assert command.run(["sh", "-c", "exec >&- 2>&-; sleep 60"], deadline_seconds=0.2).status is None


def test_output_beyond_the_cap_is_dropped_not_waited_for() -> None:
    script = "import sys; sys.stdout.write('x' * 5_000_000); sys.stderr.write('y' * 5_000_000); print('end')"
    done = command.run([sys.executable, "-c", script], cap_bytes=1000)
    assert (done.status, done.output, done.errors) == (0, b"x" * 1000, b"y" * 1000)


def test_big_input_goes_through_while_output_comes_back() -> None:
    sent = b"0123456789" * 500_000
    done = command.run(["cat"], stdin=sent, cap_bytes=len(sent))
    assert done.status == 0
    assert done.output == sent


def test_input_that_is_not_read_does_no_harm() -> None:
    assert command.run(["true"], stdin=b"x" * 5_000_000).status == 0
    assert command.run(["sleep", "60"], stdin=b"x" * 5_000_000, deadline_seconds=0.2).status is None


def test_without_input_there_is_none() -> None:
    assert command.run(["cat"]).output == b""


def test_the_environment_is_clean(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GIT_DIR", "/x")
    monkeypatch.setenv("PYTHONPATH", "/x")
    output = command.run(["env"]).output.decode()
    assert "GIT_DIR" not in output
    assert "PYTHONPATH" not in output
    assert "PATH=" in output
    assert command.run(["env"], environment=command.clean_environment({"A": "1"})).output.decode().count("A=1\n") == 1


def test_what_cannot_be_started_is_an_os_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        command.run(["python9"])
    with pytest.raises(FileNotFoundError):
        command.run(["true"], cwd=tmp_path / "gone")
