from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from helpers import eventually
from stateguard.host import command
from stateguard.host.command import Cancel
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


def test_a_tethered_program_is_run_like_any_other() -> None:
    done = command.run_tethered(
        ["sh", "-c", 'cat; sleep 0.2; echo "$1"; echo oops >&2; exit 7', "x", "a b"], cancel=Cancel()
    )
    assert done == command.Done(7, b"a b\n", b"oops\n")


def test_a_tethered_program_may_tidy_up_at_its_deadline(tmp_path: Path) -> None:
    script = f"trap 'sleep 0.1; echo tidy > {tmp_path}/said; exit 1' TERM; echo begun; while :; do sleep 0.02; done"
    done = command.run_tethered(["sh", "-c", script], cancel=Cancel(), deadline_seconds=0.3)
    assert (done.status, done.output) == (None, b"begun\n")
    assert (tmp_path / "said").read_text() == "tidy\n"


def test_a_tethered_program_that_does_not_listen_is_killed_with_its_group(tmp_path: Path) -> None:
    script = f"trap '' TERM; sleep 600 & echo $! > {tmp_path}/child; wait"
    begun = time.monotonic()
    command.run_tethered(["sh", "-c", script], cancel=Cancel(), deadline_seconds=0.2, grace_seconds=0.2)
    assert time.monotonic() - begun < 5
    child = int((tmp_path / "child").read_text())
    eventually(lambda: identify(child) is None)


def test_what_is_called_off_ends_at_once_from_another_thread() -> None:
    cancel = Cancel()
    begun = time.monotonic()
    caller = threading.Timer(0.2, cancel.cancel)
    caller.start()
    done = command.run_tethered(["sleep", "600"], cancel=cancel, deadline_seconds=60)
    caller.join()
    assert done.status is None
    assert time.monotonic() - begun < 5
    assert command.run_tethered(["sleep", "600"], cancel=cancel, deadline_seconds=60).status is None


def test_a_tethered_program_does_not_outlive_a_killed_parent(tmp_path: Path) -> None:
    script = (
        "import sys; from stateguard.host import command\n"
        "command.run_tethered(['sh', '-c', f'sleep 600 & echo $$ $! > {sys.argv[1]}.new;"
        " mv {sys.argv[1]}.new {sys.argv[1]}; wait'], cancel=command.Cancel(), deadline_seconds=600)"
    )
    parent = subprocess.Popen([sys.executable, "-c", script, str(tmp_path / "pids")])
    try:
        eventually((tmp_path / "pids").exists, 20)
    finally:
        parent.kill()
        parent.wait()
    pids = [int(word) for word in (tmp_path / "pids").read_text().split()]
    eventually(lambda: not any(identify(pid) for pid in pids), 20)


def test_a_tethered_program_yields_to_others() -> None:
    assert int(command.run_tethered(["nice"], cancel=Cancel()).output) >= 10


LIMITS = "import resource as r; print(*(r.getrlimit(k) for k in (r.RLIMIT_CPU, r.RLIMIT_CORE, r.RLIMIT_FSIZE)))"


def test_a_bounded_program_and_what_it_starts_is_limited() -> None:
    argv = ("sh", "-c", f"read -r _; {sys.executable} -c '{LIMITS}'")
    done = command.run_bounded(argv, stdin=b"go\n", deadline_seconds=2.5)
    seconds = 3 * (os.cpu_count() or 1) + 1
    assert done.output.decode().strip() == f"({seconds}, {seconds}) (0, 0) ({1 << 30}, {1 << 30})"


def test_a_bounded_program_fills_no_disk(tmp_path: Path) -> None:
    file = tmp_path / "large"
    argv = ("sh", "-c", 'read -r _; exec dd if=/dev/zero of="$1" bs=1 seek=1073741824 count=1', "sh", str(file))
    assert command.run_bounded(argv, stdin=b"go\n").status not in (0, None)
    assert file.stat().st_size <= 1 << 30
    assert command.run(argv, stdin=b"go\n").status == 0


INSIDE = f"""\
from stateguard.host import command
argv = ("sh", "-c", "read -r _; {sys.executable} -c '{LIMITS}'")
print(command.run_bounded(argv, stdin=b"go\\n", deadline_seconds=60).output.decode())
"""


def test_a_limit_that_is_lower_already_stays() -> None:
    argv = ("sh", "-c", 'ulimit -t 2; exec "$@"', "sh", sys.executable, "-c", INSIDE)
    assert command.run(argv).output.startswith(b"(2, 2)")
