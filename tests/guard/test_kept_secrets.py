"""Secrets of agents from ``secret set`` to the process, and nowhere else."""

from __future__ import annotations

import json
from pathlib import Path

import pyrage
import pytest
from pyrage import x25519

from driving import Driver, git, sh
from stateguard.admission.secrets.scan import find
from tiny import FILES, write_tiny

VALUE = "plainly-Gesehen-4711-never"
AGENT = FILES["agents/beta/agent.yaml"]
WITH_SECRET = AGENT + "environment: {PLAIN: here, API_KEY: 'secret://weather-key'}\n"


def environment_of(drive: Driver, name: str) -> dict[str, str]:
    pid = drive.agents()[name]["pid"]
    pairs = Path(f"/proc/{pid}/environ").read_text().split("\0")
    return dict(pair.split("=", 1) for pair in pairs if pair)


def everywhere(drive: Driver) -> dict[str, bytes]:
    """Return all that lies in the home, the clone and the live directory, the objects of git readable."""
    found = {}
    for root in (drive.home, drive.live, drive.work):
        found |= {str(p.relative_to(drive.root)): p.read_bytes() for p in root.rglob("*") if p.is_file()}
    for repository in (drive.repository, drive.home / "captured.git"):
        said = sh("git", "-C", repository, "cat-file", "--batch-all-objects", "--batch").stdout
        found[repository.name] = said.encode("utf-8", "replace")
    return found | {"log": drive.log.read_bytes()}


@pytest.fixture
def named(tiny: Driver) -> Driver:
    tiny.run("secret", "remove", "weather-key", "--force")
    (tiny.work / "secrets" / "weather-key.age").unlink(missing_ok=True)
    if "secret://" in (tiny.work / "agents/beta/agent.yaml").read_text():
        assert tiny.offer("agents/beta/agent.yaml", AGENT).returncode == 0
    return tiny


def test_a_push_needs_what_it_names_and_nothing_tells_the_value(named: Driver) -> None:
    main = named.main
    refused = named.offer("agents/beta/agent.yaml", WITH_SECRET)
    assert (refused.returncode, named.main) == (1, main)
    assert "agents/beta/agent.yaml:15:28:" in refused.stderr
    assert "API_KEY names the secret weather-key, which is not set here" in refused.stderr
    assert "stateguard secret set weather-key" in refused.stderr
    assert find(WITH_SECRET.encode()) == []

    done = named.run("--json", "secret", "set", "weather-key", stdin=VALUE + "\n")
    assert (done.returncode, json.loads(done.stdout)) == (0, {"name": "weather-key", "replaced": False, "agents": []})
    pushed = named.push()
    assert pushed.returncode == 0, pushed.stderr
    found = environment_of(named, "beta")
    assert (found["API_KEY"], found["PLAIN"]) == (VALUE, "here")
    assert "API_KEY" not in environment_of(named, "alpha")

    listed = named.ask("secret", "list")["secrets"]
    assert listed == [{"name": "weather-key", "from": "home", "problem": None, "agents": ["beta"]}]
    entries = [e["body"] for e in named.ask("audit", "log")["entries"] if e["kind"] == "secret"]
    assert entries[0] == {"action": "set", "name": "weather-key"}
    said = [
        named.must(*words) for words in (("status",), ("agent", "list"), ("secret", "list"), ("validate", named.work))
    ]
    assert VALUE not in "".join([done.stdout, done.stderr, pushed.stderr, refused.stderr, *said])
    assert [path for path, content in everywhere(named).items() if VALUE.encode() in content] == [
        "home/secrets/weather-key"
    ]


def test_a_secret_in_use_stays_and_a_new_value_comes_with_a_restart(named: Driver) -> None:
    assert named.run("secret", "set", "weather-key", stdin="first").returncode == 0
    assert named.offer("agents/beta/agent.yaml", WITH_SECRET).returncode == 0
    refused = named.refused("secret", "remove", "weather-key", status=1)
    assert "beta would not start any more" in refused["message"]
    replaced = named.run("secret", "set", "weather-key", stdin="second\n\n")
    assert (replaced.returncode, replaced.stdout) == (0, "in force at the next start: stateguard agent restart beta\n")
    assert environment_of(named, "beta")["API_KEY"] == "first"
    named.must("agent", "restart", "beta")
    assert environment_of(named, "beta")["API_KEY"] == "second\n"
    named.must("agent", "start", "beta")

    named.must("secret", "remove", "weather-key", "--force")
    (listed,) = named.ask("secret", "list")["secrets"]
    assert (listed["from"], listed["agents"]) == (None, ["beta"])
    assert listed["problem"] == "which is not set here; set it: stateguard secret set weather-key"
    assert environment_of(named, "beta")["API_KEY"] == "second\n"


def test_nobody_types_a_value_where_it_is_seen(named: Driver) -> None:
    for words in (("weather-key", VALUE), (VALUE, VALUE)):
        done = named.run("secret", "set", *words, stdin="x")
        assert done.returncode == 2
        assert VALUE not in done.stdout + done.stderr
    token = "gh" + "p_" + "Ab3dEf5hIj7lMn9pQr1tUv3xYz5bCd7fGh9j"
    for name in (token, "a b c", "../keys/guard"):
        error = named.run("--json", "secret", "set", name, stdin="x")
        assert error.returncode == 2
        assert name not in error.stdout + error.stderr
    done = named.run("secret", "set", "weather-key")
    assert (done.returncode, "the value is empty" in done.stderr) == (2, True)
    assert named.refused("secret", "remove", "nothing", status=15)
    assert not (named.home / "secrets" / "weather-key").exists()
    assert token not in git(named.repository, "log", "refs/stateguard/audit")


def test_one_that_others_can_read_keeps_a_push_out(named: Driver) -> None:
    assert named.run("secret", "set", "weather-key", stdin=VALUE).returncode == 0
    path = named.home / "secrets" / "weather-key"
    path.chmod(0o644)
    refused = named.offer("agents/beta/agent.yaml", WITH_SECRET)
    assert refused.returncode == 1
    assert "can be read by others (mode 0644)" in refused.stderr
    found = [f for f in named.ask("doctor", status=1)["findings"] if f["level"] == "problem"]
    assert [(f["check"], str(path) in f["message"], "replace the secret" in f["message"]) for f in found] == [
        ("permissions", True, True)
    ]
    named.run("doctor", "--fix")
    assert path.stat().st_mode & 0o777 == 0o600
    assert named.push().returncode == 0


def sealed(drive: Driver, value: str, *recipients: str) -> str:
    given = [word for one in recipients for word in ("--recipient", one)]
    done = drive.run("secret", "seal", *given, stdin=value)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_a_secret_travels_encrypted_with_the_state(named: Driver) -> None:
    own = named.ask("secret", "recipient")
    assert own["recipient"].startswith("age1")
    assert named.ask("secret", "recipient") == {"recipient": own["recipient"], "made": False}
    other = str(x25519.Identity.generate().to_public())
    theirs = pyrage.encrypt(b"x", [x25519.Recipient.from_str(other)], armored=True)
    named.edit("secrets/weather-key.age", theirs.decode())
    refused = named.offer("agents/beta/agent.yaml", WITH_SECRET)
    assert refused.returncode == 1
    assert "secrets/weather-key.age: this holds the secret weather-key, which cannot be opened here" in refused.stderr
    assert "API_KEY names the secret weather-key, which cannot be opened here" in refused.stderr

    pushed = named.offer("secrets/weather-key.age", sealed(named, VALUE, other))
    assert pushed.returncode == 0, pushed.stderr
    assert environment_of(named, "beta")["API_KEY"] == VALUE
    (listed,) = named.ask("secret", "list")["secrets"]
    assert listed == {"name": "weather-key", "from": "state", "problem": None, "agents": ["beta"]}
    assert [path for path, content in everywhere(named).items() if VALUE.encode() in content] == []

    assert named.offer("secrets/weather-key.age", sealed(named, "another")).returncode == 0
    assert environment_of(named, "beta")["API_KEY"] == "another"
    (named.live / "secrets/weather-key.age").write_text(sealed(named, "planted by an agent"))
    named.must("agent", "restart", "beta")
    named.must("agent", "start", "beta")
    assert environment_of(named, "beta")["API_KEY"] == "another"
    named.must("apply")
    assert named.run("secret", "set", "weather-key", stdin="of this host").returncode == 0
    named.must("agent", "restart", "beta")
    named.must("agent", "start", "beta")
    assert environment_of(named, "beta")["API_KEY"] == "of this host"
    named.must("secret", "remove", "weather-key")
    entries = [e["body"] for e in named.ask("audit", "log")["entries"] if e["kind"] == "secret"]
    assert {"action": "recipient", "recipient": own["recipient"]} in entries
    assert named.run("secret", "seal", "--recipient", "age1wrong", stdin="x").returncode == 2


def test_validate_says_what_only_a_guard_knows_and_what_no_guard_can_do(tmp_path: Path) -> None:
    drive, source = Driver(tmp_path), write_tiny(tmp_path / "source")
    (source / "agents/beta/agent.yaml").write_text(WITH_SECRET)
    (note,) = drive.ask("validate", source)["notes"]
    assert note == "note: only a guard knows whether these are set: secret://weather-key; stateguard secret list"
    (problem,) = drive.ask("validate", "--runtime", "supervisor", source, status=1)["problems"]
    assert (problem["path"], problem["line"], problem["code"]) == ("agents/beta/agent.yaml", 15, "missing-secret")
    assert "which the guard hands only to agents that it starts itself" in problem["message"]
    refused = drive.run("init", "--from", source, "--runtime", "supervisor:unix:///nowhere", "--live", drive.live)
    assert (refused.returncode, "hands only to agents that it starts itself" in refused.stderr) == (1, True)
    assert not (drive.home / "guard.yaml").exists()


def test_a_probe_that_says_it_is_not_repeated(named: Driver) -> None:
    """As one does that repeats what its agent answered; whoever encodes it first can still get it out."""
    assert named.run("secret", "set", "weather-key", stdin=VALUE).returncode == 0
    telling = WITH_SECRET.replace("command: [sh, bin/ready.sh, beta]", 'command: [sh, -c, "cat tmp/said >&2; exit 1"]')
    assert telling != WITH_SECRET
    (named.live / "tmp").mkdir(exist_ok=True)
    (named.live / "tmp" / "said").write_text(f"the key {VALUE} is refused\n")
    pushed = named.offer("agents/beta/agent.yaml", telling)
    assert pushed.returncode == 1
    assert "the key *** is refused" in pushed.stderr
    assert VALUE not in pushed.stderr
    (named.live / "tmp" / "said").unlink()
    named.sync()
    assert [p for p, c in everywhere(named).items() if VALUE.encode() in c] == ["home/secrets/weather-key"]
