"""Bad input and damaged homes: a clear error, the right exit status, and nothing changed."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from driving import Driver, environment, git, past_hooks, sh
from tiny import ALPHA, write_tiny


@pytest.mark.parametrize(
    "words",
    [["nonsense"], ["status", "--bogus"], ["rollback", "--bogus"], ["plan", "--bogus"], ["history", "--limit", "0"],
     ["history", "--limit", "many"], ["history", "--since", "whenever"], ["incident", "show", "one"],
     ["arming", "set", "soak", "perhaps"], ["arming", "set", "moods", "act"], ["suspend", "--for", "ever"],
     ["suspend", "--for", "0"], ["incident", "show", "9" * 30],
     ["adopt", "x" * 5000], ["rollback", "1", "--conversations", "burn"],
     ["rollback", "-1", "--conversations", "restore", "--yes"],
     ["diff", "main"], ["fingerprint", "main", "--live"], ["fingerprint", "--files"], ["agent", "stop"],
     ["show", "one"], ["init", "--bogus"]],
    ids=lambda words: " ".join(words)[:60],
)  # fmt: skip
def test_a_wrong_command_line_is_2(tiny: Driver, words: list[str]) -> None:
    refs = tiny.refs()
    error = tiny.refused(*words, status=2)
    assert set(error) == {"code", "exit", "message", "changed", "next"}
    assert error["code"] == "usage"
    assert tiny.refs() == refs


@pytest.mark.parametrize(
    "words",
    [["rollback", "baseline/99", "--yes"], ["rollback", "99", "--yes"], ["rollback", "deadbeef" * 5, "--yes"],
     ["plan", "nothing-like-it"], ["incident", "show", "99"], ["incident", "report", "99"], ["show", "9999"],
     ["baseline", "show", "99"], ["baseline", "verify", "99"], ["baseline", "revoke", "99"], ["fingerprint", "nowhere"],
     ["apply", "nowhere"], ["diff", "nowhere", "--live"], ["validate", "nowhere"],
     ["rollback", "1", "--agent", "nobody", "--yes"]],
    ids=lambda words: " ".join(words)[:60],
)  # fmt: skip
def test_what_does_not_exist_is_15(tiny: Driver, words: list[str]) -> None:
    refs = tiny.refs()
    assert tiny.refused(*words, status=15)["code"] == "not-found"
    assert tiny.refs() == refs


def test_a_home_that_is_none_is_named(tmp_path: Path) -> None:
    driver = Driver(tmp_path)
    for words in (["status"], ["run"], ["rollback", "--yes"], ["agent", "list"], ["baseline", "create"]):
        error = driver.refused(*words, status=15)
        assert str(driver.home) in error["message"]
        assert "init --from" in error["next"]
    assert not driver.home.exists()
    by_variable = sh(sys.executable, "-m", "stateguard", "status", check=False, STATEGUARD_HOME=str(tmp_path / "other"))
    assert by_variable.returncode == 15
    assert str(tmp_path / "other") in by_variable.stderr


def test_an_error_for_people_says_what_was_changed_and_what_to_do(tiny: Driver) -> None:
    done = tiny.run("baseline", "show", "99")
    assert done.stdout == ""
    assert done.stderr.splitlines() == [
        "stateguard: there is no baseline 99",
        "  changed: nothing was changed",
        "  next: see: stateguard baseline list",
    ]


def test_a_rollback_to_what_is_live_is_refused(tiny: Driver) -> None:
    assert tiny.refused("rollback", "2", "--yes", status=1)["code"] == "refused"


# trust


def test_a_moved_baseline_tag_does_not_verify(home: Driver) -> None:
    assert home.offer("config/shared.yaml", "limits: {plans: 5}\n").returncode == 0
    tag = git(home.repository, "rev-parse", "refs/tags/baseline/1")
    past_hooks(home.repository, "update-ref", "refs/tags/baseline/1", home.main)
    document = home.ask("baseline", "verify", status=10)
    assert not document["valid"]
    home.ask("baseline", "verify", "1", status=10)
    assert home.refused("rollback", "1", "--yes", "--force", status=10)["code"] == "trust"
    past_hooks(home.repository, "update-ref", "refs/tags/baseline/1", tag)
    assert home.ask("baseline", "verify", "1")["valid"]


def test_a_baseline_copied_under_another_number_does_not_verify(home: Driver) -> None:
    past_hooks(home.repository, "update-ref", "refs/tags/baseline/7", "refs/tags/baseline/1")
    home.ask("baseline", "verify", "7", status=10)
    assert not home.ask("baseline", "list")["baselines"][0]["valid"]
    home.refused("rollback", "7", "--yes", status=10)
    past_hooks(home.repository, "update-ref", "-d", "refs/tags/baseline/7")


def test_a_revoked_baseline_is_not_gone_back_to(home: Driver) -> None:
    number = str(home.ask("baseline", "create", "--force")["number"])
    assert home.ask("baseline", "revoke", number, "--reason", "poisoned")["revoked"]
    home.refused("rollback", number, "--yes", status=10)
    home.refused("baseline", "revoke", number, status=1)


def test_a_key_that_others_can_read_is_not_used(home: Driver) -> None:
    before = home.ask("baseline", "list")
    (home.home / "keys/guard").chmod(0o644)
    error = home.refused("baseline", "create", "--force", status=10)
    assert "chmod 600" in error["next"]
    assert home.ask("baseline", "list") == before
    (home.home / "keys/guard").chmod(0o600)


def test_a_missing_key_is_10_and_reading_goes_on(home: Driver) -> None:
    (home.home / "keys/guard").rename(home.root / "kept")
    home.refused("baseline", "create", "--force", status=10)
    assert home.status()["baseline"]
    assert home.ask("audit", "verify")["valid"]
    (home.root / "kept").rename(home.home / "keys/guard")


def test_a_cut_audit_chain_is_10(home: Driver) -> None:
    head, parent = git(home.repository, "rev-parse", "refs/stateguard/audit", "refs/stateguard/audit~1").splitlines()
    past_hooks(home.repository, "update-ref", "refs/stateguard/audit", parent)
    document = home.ask("audit", "verify", status=10)
    assert document["problems"]
    past_hooks(home.repository, "update-ref", "refs/stateguard/audit", head)
    assert home.ask("audit", "verify")["valid"]


# locks


def test_a_second_daemon_on_a_home_is_11(tiny: Driver) -> None:
    assert "is held by daemon" in tiny.refused("run", status=11)["message"]
    assert tiny.status()["guard"]["running"]


def test_a_second_home_on_a_live_directory_is_11(home: Driver, tmp_path: Path) -> None:
    other = Driver(tmp_path / "other", home.source)
    other.root.mkdir()
    error = other.refused("init", "--from", home.source or "", "--live", home.live, "--no-baseline", status=11)
    assert str(home.home) in error["message"]
    assert home.ask("apply")["outcome"] == "succeeded"


# storage


@pytest.mark.parametrize("damage", ["garbage", "directory", "newer"])
def test_a_database_that_cannot_be_used_is_12(home: Driver, damage: str) -> None:
    database = home.home / "guard.db"
    kept = home.root / "kept.db"
    home.must("status")
    database.rename(kept)
    for suffix in ("-wal", "-shm"):
        Path(f"{database}{suffix}").unlink(missing_ok=True)
    if damage == "garbage":
        database.write_bytes(b"not a database " * 1000)
    elif damage == "directory":
        database.mkdir()
    else:
        database.write_bytes(kept.read_bytes())
        sh(
            sys.executable,
            "-c",
            f"import sqlite3; sqlite3.connect({str(database)!r}).execute('PRAGMA user_version=99')",
        )
    before = home.refs()
    for words in (["status"], ["rollback", "1", "--yes"], ["run"]):
        error = home.refused(*words, status=12)
        assert "guard.db" in error["message"]
        assert error["next"]
    assert home.refs() == before
    database.rmdir() if damage == "directory" else database.unlink()
    kept.rename(database)


def test_a_repository_that_is_none_is_12(home: Driver) -> None:
    (home.repository / "HEAD").rename(home.root / "HEAD")
    assert home.refused("status", status=12)["code"] == "storage"
    (home.root / "HEAD").rename(home.repository / "HEAD")


def test_settings_that_are_no_yaml_are_named_with_line(home: Driver) -> None:
    settings = home.home / "guard.yaml"
    text = settings.read_text()
    settings.write_text(text + "nonsense: [\n")
    for words in (["status"], ["run"], ["arming", "set", "soak", "act"]):
        assert "guard.yaml:" in home.refused(*words, status=1)["message"]
    settings.write_text(text)


def test_git_that_is_missing_is_12(home: Driver, tmp_path: Path) -> None:
    (tmp_path / "bin").mkdir()
    other = Driver(tmp_path / "fresh", home.source)
    other.root.mkdir()
    done = other.run("--json", "init", "--from", home.source or "", PATH=str(tmp_path / "bin"))
    assert done.returncode == 12, done.stdout + done.stderr
    assert "git cannot be started" in json.loads(done.stdout)["error"]["message"]


def test_a_hook_request_that_is_no_json_is_2(home: Driver) -> None:
    assert home.run("hook", "admit", stdin="no json").returncode == 2
    assert home.run("hook", "admit", stdin="{}").returncode == 2


def test_a_reader_that_goes_away_is_no_error(tiny: Driver) -> None:
    done = subprocess.run(
        ["sh", "-c", '"$@" | head -c 1', "sh", *tiny.command("history")],
        env=environment(), capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip
    assert done.stderr == ""


def test_arming_keeps_comments(home: Driver) -> None:
    settings = home.home / "guard.yaml"
    text = settings.read_text().replace("  soak: act\n", "  soak: act  # agreed with the team\n") + "# mine\n"
    settings.write_text(text)
    assert home.ask("arming", "set", "soak", "observe")["arming"]["soak"] == "observe"
    expected = text.replace("soak: act ", "soak: observe ")
    assert settings.read_text() == expected
    assert home.ask("arming", "list")["arming"]["soak"] == "observe"


def test_a_torn_live_lock_is_written_anew(home: Driver) -> None:
    (home.live / ".stateguard.lock").write_text('{"owner": "a')
    assert home.ask("apply")["outcome"] == "succeeded"
    assert (home.live / ALPHA).exists()


def test_a_source_that_lies_about_its_agents_is_refused_by_validate(tmp_path: Path) -> None:
    source = write_tiny(tmp_path / "source")
    (source / "agents/alpha/agent.yaml").write_text("name: other\ncommand: [true]\n")
    driver = Driver(tmp_path, source)
    assert driver.ask("validate", source, status=1)["problems"]


def test_who_starts_the_agents_decides_whether_they_need_a_command(tmp_path: Path) -> None:
    driver, source = Driver(tmp_path), write_tiny(tmp_path / "source")
    (source / "agents/beta/agent.yaml").write_text("name: beta\n")
    (problem,) = driver.ask("validate", source, status=1)["problems"]
    assert problem["code"] == "missing-key"
    assert driver.ask("validate", "--runtime", "embedded", source, status=1)["problems"] == [problem]
    assert driver.ask("validate", "--runtime", "supervisor", source)["valid"]
    assert driver.run("validate", "--runtime", "launchd", source).returncode == 2
