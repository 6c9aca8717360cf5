"""What programs can reach that somebody else chose; tried by programs that try."""

from __future__ import annotations

import os
import pwd
import subprocess
import sys
import tempfile
from functools import partial
from pathlib import Path

import pytest

from faults.box import boxed
from stateguard.host import landlock
from stateguard.host.command import run
from stateguard.host.process import gains_no_privileges
from stateguard.host.sandbox import AsUser, Confined, Sandbox, Start, Unconfined, beside, choose

confined = pytest.mark.skipif(landlock.version() == 0, reason="this kernel has no Landlock")
root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")

SECRET = "the guard's key"


@pytest.fixture
def home(tmp_path: Path) -> Path:
    home = tmp_path / "state" / "home"
    for directory in ("keys", "run", "live", "repo.git/hooks"):
        (home / directory).mkdir(parents=True)
    (home / "keys" / "guard").write_text(SECRET)
    (home / "live" / "prompt.md").write_text("answer shortly\n")
    (tmp_path / "state" / "other").mkdir()
    (tmp_path / "state" / "file").write_text("beside\n")
    home.chmod(0o700)
    return home


def confined_to(home: Path) -> Confined:
    return Confined(os.path.realpath(home), (os.path.realpath(home / "live"),))


def tried(sandbox: Sandbox, directory: Path, script: str) -> str:
    """Run a script of Python in a sandbox, in a directory; returns what it prints."""
    argv = [sys.executable, "-IS", "-c", "import os, shutil, subprocess\n" + script]
    variables = {"PATH": os.environ["PATH"]}
    start = Start(argv, directory, variables, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    process = sandbox.start(start)
    said, _ = process.communicate(timeout=60)
    return str(said.decode())


ATTEMPTS = {
    "read a key": "open('../keys/guard').read()",
    "write a key": "open('../keys/guard', 'w').write('mine')",
    "empty a key": "os.truncate('../keys/guard', 0)",
    "remove a key": "os.unlink('../keys/guard')",
    "move a key away": "os.rename('../keys/guard', 'stolen')",
    "link a key": "os.link('../keys/guard', 'stolen')",
    "make a hook": "open('../repo.git/hooks/pre-receive', 'w').write('#!/bin/sh')",
    "make a directory": "os.mkdir('../keys/more')",
    "make a link": "os.symlink('/etc/passwd', '../keys/link')",
    "read through a process": f"open('/proc/{os.getpid()}/root' + os.path.realpath('../keys/guard')).read()",
    "read by a program it starts": "subprocess.run(['cat', '../keys/guard'], check=True)",
    "move the home away": "os.rename(os.path.realpath('..'), os.path.realpath('../../other') + '/home')",
}


@confined
@pytest.mark.parametrize("attempt", ATTEMPTS.values(), ids=ATTEMPTS.keys())
def test_what_is_hidden_is_out_of_reach(home: Path, attempt: str) -> None:
    said = tried(confined_to(home), home / "live", attempt)
    assert "Error" in said, said
    assert SECRET not in said
    assert (home / "keys" / "guard").read_text() == SECRET
    assert sorted(p.name for p in (home / "keys").iterdir()) == ["guard"]
    assert list((home / "repo.git" / "hooks").iterdir()) == []


@pytest.mark.parametrize("attempt", [ATTEMPTS["read a key"], ATTEMPTS["read by a program it starts"]])
def test_without_a_sandbox_it_is_not(home: Path, attempt: str) -> None:
    said = tried(Unconfined(), home / "live", f"print({attempt})")
    assert "Error" not in said, said


@confined
def test_what_is_shown_is_as_ever(home: Path) -> None:
    script = """
assert open('prompt.md').read() == 'answer shortly\\n'
os.makedirs('conversations/new')
open('conversations/a', 'w').write('hello')
os.rename('conversations/a', 'conversations/new/a')
os.truncate('conversations/new/a', 1)
open('../../file', 'a').write('and more\\n')
open('../../other/x', 'w').write('x')
os.rename('../../other/x', 'x')
assert os.listdir('/') and os.listdir('..')
subprocess.run(['sh', '-c', 'cat /dev/null > /dev/null'], check=True)
shutil.rmtree('conversations')
print('well')
"""
    assert tried(confined_to(home), home / "live", script) == "well\n"


@confined
def test_it_holds_for_what_is_started_and_for_nobody_else(home: Path) -> None:
    sandbox = confined_to(home)
    assert "PermissionError" in tried(sandbox, home / "live", ATTEMPTS["read a key"])
    assert (home / "keys" / "guard").read_text() == SECRET
    assert not gains_no_privileges(os.getpid())
    done = run([sys.executable, "-c", "import os; print(os.getpid(), flush=True); input()"], sandbox=sandbox)
    assert done.status == 1


@confined
def test_who_is_confined_shows_it(home: Path) -> None:
    sandbox = confined_to(home)
    process = sandbox.start(Start(["cat"], None, {}, stdin=subprocess.PIPE))
    try:
        assert gains_no_privileges(process.pid)
    finally:
        process.kill()
        process.communicate()
    assert not gains_no_privileges(process.pid)


UNFIT: list[tuple[list[str], type[Exception]]] = [
    (["no-such-program"], FileNotFoundError),
    (["/etc/passwd"], PermissionError),
    (["a\0b"], ValueError),
]


@confined
@pytest.mark.parametrize(("argv", "error"), UNFIT)
def test_what_cannot_be_started_is_told_as_without(home: Path, argv: list[str], error: type[Exception]) -> None:
    for sandbox in (Unconfined(), Confined(os.path.realpath(home))):
        with pytest.raises(error):
            sandbox.start(Start(argv, home, {"PATH": os.environ["PATH"]}))


def test_what_lies_beside(tmp_path: Path, home: Path) -> None:
    every = set(beside(os.path.realpath(home), (str(tmp_path / "state" / "other"),)))
    assert {str(tmp_path / "state" / "file"), "/proc"} <= every
    hidden = Path(os.path.realpath(home))
    assert not every & {str(hidden), *map(str, hidden.parents), str(home / "keys"), str(tmp_path / "state" / "other")}


@root
def test_another_user_cannot_reach_it(home: Path) -> None:
    for directory in (home.parent.parent, home.parent):
        directory.chmod(0o755)
    nobody = pwd.getpwnam("nobody")
    script = f"id -u; id -g; echo $USER; cat {home}/keys/guard"
    done = run(["/bin/sh", "-c", script], cwd=home.parent, sandbox=AsUser("nobody"))
    assert done.output.decode().split() == [str(nobody.pw_uid), str(nobody.pw_gid), "nobody"]
    assert b"Permission denied" in done.errors
    assert done.status == 1


def test_a_user_who_does_not_exist_is_named(home: Path) -> None:
    with pytest.raises(OSError, match="there is no user no-such-user"):
        AsUser("no-such-user").start(Start(["true"], home, {}))


def test_how_programs_are_started_is_chosen(tmp_path: Path) -> None:
    home, live = tmp_path / "home", tmp_path / "live"
    for directory in (home, live, live / ".stateguard"):
        directory.mkdir()
    assert not choose(home, live, "", confine=False).keeps_out
    assert "lies in the live directory" in choose(live / ".stateguard", live, "", confine=True).words
    if landlock.version():
        assert isinstance(choose(home, live, "", confine=True), Confined)
        assert isinstance(choose(home, home / "live", "", confine=True), Confined)
    if os.geteuid() == 0:
        assert choose(home, live, "nobody", confine=True) == AsUser("nobody")
    elif landlock.version():
        assert isinstance(choose(home, live, "nobody", confine=True), Confined)


def test_a_live_directory_that_is_made_a_link_shows_nothing_more(home: Path, tmp_path: Path) -> None:
    live = tmp_path / "app" / "live"
    live.mkdir(parents=True)
    sandbox = choose(home, live, "", confine=True)
    live.rename(tmp_path / "app" / "old")
    live.symlink_to(home / "keys")
    if isinstance(sandbox, Confined):
        assert "Error" in tried(sandbox, live, "open('guard').read()")
        again = choose(home, live, "", confine=True)
        assert isinstance(again, Confined)
        assert again.shown == ()


@confined
def test_the_log_can_be_opened_once_more(home: Path) -> None:
    log = home / "log"
    with log.open("wb") as stream:
        start = Start(["/bin/sh", "-c", "echo one; echo two > /dev/stderr"], home / "live", {}, stdout=stream.fileno(),
                      stderr=stream.fileno())  # fmt: skip
        assert confined_to(home).start(start).wait(60) == 0
    assert b"two\n" in log.read_bytes()


def bound(home: Path) -> None:
    other = home.parent.parent / "mounted"
    other.mkdir()
    subprocess.run(["mount", "--bind", home, other], check=True)
    assert str(other) not in set(beside(os.path.realpath(home)))


@root
def test_another_mount_of_it_beside_is_hidden_too(home: Path) -> None:
    boxed(partial(bound, home))


def unlisted(home: Path) -> None:
    above = home.parent
    for path in (above, *above.rglob("*")):
        os.chown(path, 65534, 65534)
    os.chown(above, 0, 0)
    above.chmod(0o711)
    for path in [*above.parents][:4]:
        path.chmod(0o755)
    os.setgroups([])
    os.setresgid(65534, 65534, 65534)
    os.setresuid(65534, 65534, 65534)
    sandbox = choose(home, home / "live", "", confine=True)
    assert isinstance(sandbox, Confined)
    done = run(["/bin/sh", "-c", "cat prompt.md; cat ../keys/guard"], cwd=home / "live", sandbox=sandbox)
    assert done.output == b"answer shortly\n", done
    assert b"denied" in done.errors


@root
@confined
def test_a_directory_above_that_may_not_be_listed_keeps_nobody_from_starting() -> None:
    with tempfile.TemporaryDirectory() as directory:
        home = Path(directory) / "state" / "home"
        for name in ("keys", "live"):
            (home / name).mkdir(parents=True)
        (home / "keys" / "guard").write_text(SECRET)
        (home / "live" / "prompt.md").write_text("answer shortly\n")
        boxed(partial(unlisted, home))


def overheard(home: Path) -> None:
    """Start one with a secret among its variables, and another that tries to read them, as an ordinary user."""
    for path in (home.parent, *home.parent.rglob("*")):
        os.chown(path, 65534, 65534)
    for path in [*home.parents][:4]:
        path.chmod(0o755)
    os.setgroups([])
    os.setresgid(65534, 65534, 65534)
    os.setresuid(65534, 65534, 65534)
    sandbox = choose(home, home / "live", "", confine=True)
    one = sandbox.start(Start(["sleep", "60"], home / "live", {"KEY": SECRET}))
    try:
        looks = ["/bin/sh", "-c", f"cat /proc/{one.pid}/environ; tr '\\0' ' ' < /proc/{one.pid}/cmdline"]
        done = run(looks, cwd=home / "live", sandbox=sandbox)
        assert run(looks, cwd=home / "live").output == f"KEY={SECRET}\0sleep 60 ".encode()
    finally:
        one.kill()
        one.wait()
    assert done.output == b"sleep 60 ", done
    assert b"denied" in done.errors


@root
@confined
def test_what_is_confined_cannot_read_the_variables_of_others() -> None:
    with tempfile.TemporaryDirectory() as directory:
        home = Path(directory) / "state" / "home"
        for name in ("keys", "live"):
            (home / name).mkdir(parents=True)
        boxed(partial(overheard, home))
