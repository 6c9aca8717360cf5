"""Help topics and completion: they say what is so, and a real shell really completes."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from driving import Driver, environment, sh
from stateguard.cli.help import topics
from stateguard.cli.main import COMMANDS
from stateguard.errors import StateguardError
from stateguard.model.policy import Arming, Trigger

BIN = Path(sys.executable).parent
REFERENCE = (Path(__file__).resolve().parents[2] / "docs" / "reference.md").read_text(encoding="utf-8")


def kinds(kind: type[StateguardError]) -> list[type[StateguardError]]:
    return [kind, *(leaf for child in kind.__subclasses__() for leaf in kinds(child))]


@pytest.fixture
def nowhere(tmp_path: Path) -> Driver:
    return Driver(tmp_path)


def test_topics_are_listed_and_shown_without_a_home(nowhere: Driver) -> None:
    listed = nowhere.must("help")
    for name, text in topics().items():
        assert f"{name} " in listed
        assert text.partition("\n")[0] in listed
    assert nowhere.must("help", "arming") == topics()["arming"]
    assert nowhere.ask("help", "home") == {"topic": "home", "text": topics()["home"]}
    assert [t["name"] for t in nowhere.ask("help")["topics"]] == list(topics())


def test_a_command_is_explained_too_and_a_stranger_is_not(nowhere: Driver) -> None:
    assert "--withdraw" in nowhere.must("help", "rollback") or "--reason" in nowhere.must("help", "rollback")
    assert "Usage: stateguard agent" in nowhere.must("help", "agent")
    error = nowhere.refused("help", "nonsense", status=15)
    assert "arming" in error["next"]


@pytest.mark.parametrize("name", topics())
def test_a_topic_fits_a_screen_and_names_commands_that_exist(name: str) -> None:
    lines = topics()[name].splitlines()
    assert len(lines) <= 40
    assert max(map(len, lines)) <= 120
    assert lines[1] == ""
    named = re.findall(r"^ *stateguard (\w+)", topics()[name], re.MULTILINE)
    assert set(named) <= set(COMMANDS)


@pytest.mark.parametrize("name", topics())
def test_a_topic_is_in_the_reference(name: str) -> None:
    row = next(line for line in REFERENCE.splitlines() if line.startswith("| `help` |"))
    assert f"`{name}`" in row


def test_topics_are_complete() -> None:
    known = topics()
    statuses = {int(n) for n in re.findall(r"^ +(\d+)  ", known["exit-status"], re.MULTILINE)}
    assert {0, 130, *(kind.exit for kind in kinds(StateguardError))} <= statuses
    assert all(re.search(rf"^  {trigger} ", known["arming"], re.MULTILINE) for trigger in Trigger)
    assert all(level in known["arming"] for level in Arming)
    pushing = REFERENCE.split("\n## Pushing\n")[1].split("\n## ")[0]
    for option in re.findall(r"^\| `(-o [a-z]+=[a-z]*)", pushing, re.MULTILINE):
        assert option in known["pushing"]


# completion


def completed(driver: Driver, *words: str) -> list[str]:
    """Return what bash offers at the last of some words, as if TAB had been pressed there."""
    script = driver.root / "completion.bash"
    script.write_text(driver.must("completion", "bash"))
    typed = " ".join(f"'{word}'" for word in words)
    program = (
        f"source {script}; COMP_WORDS=({typed}); COMP_CWORD={len(words) - 1};"
        ' _stateguard_completion stateguard; printf "%s\\n" "${COMPREPLY[@]}"'
    )
    path = f"{BIN}{os.pathsep}{os.environ['PATH']}"
    done = sh("bash", "--norc", "--noprofile", "-c", program, PATH=path)
    return done.stdout.split()


@pytest.mark.skipif(shutil.which("bash") is None, reason="there is no bash")
def test_bash_completes_commands_options_and_names(nowhere: Driver) -> None:
    (nowhere.home / "logs/agents").mkdir(parents=True)
    for name in ("alpha", "alps", "beta"):
        (nowhere.home / f"logs/agents/{name}.log").touch()
    (nowhere.repository / "refs/tags/baseline").mkdir(parents=True)
    (nowhere.repository / "refs/tags/baseline/12").touch()
    (nowhere.repository / "packed-refs").write_text("# pack-refs with: peeled\n" + "0" * 40 + " refs/tags/baseline/3\n")
    assert completed(nowhere, "stateguard", "roll") == ["rollback"]
    assert completed(nowhere, "stateguard", "baseline", "ver") == ["verify"]
    assert "--reason" in completed(nowhere, "stateguard", "rollback", "--re")
    home = ("stateguard", "--home", str(nowhere.home))
    assert completed(nowhere, *home, "agent", "restart", "al") == ["alpha", "alps"]
    assert completed(nowhere, *home, "baseline", "show", "") == ["12", "3"]
    assert completed(nowhere, *home, "help", "ar") == ["arming"]
    assert completed(nowhere, "stateguard", "--home", str(nowhere.root / "none"), "agent", "restart", "al") == []


@pytest.mark.parametrize(
    ("shell", "says"),
    [("bash", "complete -o nosort -F"), ("zsh", "#compdef stateguard"), ("fish", "--command stateguard")],
)
def test_every_shell_has_its_script(nowhere: Driver, shell: str, says: str) -> None:
    done = nowhere.run("completion", shell)
    assert done.returncode == 0
    assert says in done.stdout
    assert "Keep it in" in done.stderr
    if shutil.which(shell):
        subprocess.run([shell, "-n"], input=done.stdout, text=True, check=True, env=environment())


def test_other_shells_are_refused(nowhere: Driver) -> None:
    nowhere.refused("completion", "tcsh", status=2)


def test_a_group_without_a_command_shows_its_manual(nowhere: Driver) -> None:
    done = nowhere.run("secret")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("Usage: stateguard secret ")
    assert "an environment value secret://NAME" in done.stderr
    assert nowhere.refused("secret", status=2)["next"] == "see: stateguard secret --help"


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can try to be somebody else")
def test_whose_home_it_is_is_said_to_others(tmp_path: Path) -> None:
    tmp_path.chmod(0o700)
    home = tmp_path / "home"
    (home / "repo.git").mkdir(parents=True)
    (home / "guard.yaml").touch()
    # Imported before: that user may not be able to read the interpreter.
    needed = "os, sys, pwd, traceback, stateguard.text.redact, stateguard.guard.client, stateguard.cli.status"
    code = f"import {needed}; from stateguard.cli import main; os.setuid(65534); sys.exit(main.run(sys.argv[1:]))"
    argv = [sys.executable, "-c", code, "--home", str(home), "status"]
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    assert done.returncode == 12, done.stderr
    assert "is root's, and may not be read or written by others" in done.stderr
    assert "next: run it as that user: sudo -u root stateguard" in done.stderr
