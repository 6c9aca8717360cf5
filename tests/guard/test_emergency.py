"""Breaking the glass: what an admin's signature waives, what it never does, and what is left on record."""

from __future__ import annotations

import getpass
import random
import string
from collections.abc import Callable, Iterator

import pytest

from driving import Document, Driver, end_pushing, git, sh
from signers import Signer
from stateguard.guard.compose import compose
from stateguard.host.clock import now_text
from stateguard.host.home import Home
from stateguard.trust.people import removed
from tiny import ALPHA, GOOD, write_tiny

USER = getpass.getuser()
FIRE = ("-o", "emergency=the kitchen burns")
TOKEN = "gh" + "p_" + "".join(random.Random(11).choices(string.ascii_letters + string.digits, k=36))

People = dict[str, Signer]


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Driver, People]]:
    """Make a home with a small budget, where ann and cyd are admins and bob may push."""
    root = tmp_path_factory.mktemp("emergency")
    driver = Driver(root, write_tiny(root / "source")).init("--no-baseline")
    settings = driver.home / "guard.yaml"
    settings.write_text(settings.read_text() + "push: {max_files: 4}\n")
    people = {name: Signer(root, name) for name in ("ann", "bob", "cyd")}
    try:
        driver.start()
        people["ann"].trusted(driver, "push", "admin")
        people["bob"].trusted(driver, "push")
        people["cyd"].trusted(driver, "admin")
        yield driver, people
    finally:
        driver.close()


@pytest.fixture
def people(home: tuple[Driver, People]) -> People:
    return home[1]


@pytest.fixture
def driver(home: tuple[Driver, People]) -> Driver:
    home[0].settled()
    home[0].sync()
    return home[0]


def entries(driver: Driver, kind: str) -> list[Document]:
    return [e for e in driver.ask("audit", "log", "--limit", "400")["entries"] if e["kind"] == kind]


def newest(driver: Driver) -> Document:
    return driver.ask("show", driver.newest(kind="apply")["operation"])


def refused(driver: Driver, says: str, *options: str, code: str = "emergency", ref: str = "HEAD:main") -> None:
    """Push what must be refused whole, with this sentence and an entry in the chain."""
    refs, seen = driver.refs(), entries(driver, "emergency")[:1]
    done = driver.push(*(options or FIRE), ref=ref)
    assert done.returncode == 1, done.stderr
    assert says in " ".join(done.stderr.split()), done.stderr
    assert driver.refs() == refs
    last = driver.ask("audit", "log")["entries"][0]
    assert last["kind"] == "refusal"
    assert code in {p["code"] for p in last["body"]["problems"]}
    assert entries(driver, "emergency")[:1] == seen


# what it waives


def test_secrets_and_the_budget_are_waived_and_named_without_their_values(driver: Driver, people: People) -> None:
    driver.edit("config/keys.conf", f"key = {TOKEN}\n")
    for number in range(5):
        driver.edit(f"etc/{number}.md", f"{number}\n")
    commit = people["ann"].commit(driver, "Put out the fire")
    assert driver.push().returncode == 1
    done = driver.push(*FIRE)
    assert done.returncode == 0, done.stderr
    assert "EMERGENCY by ann: the kitchen burns; waived: budget (push), secret (config/keys.conf)" in done.stderr
    assert driver.main == commit
    entry = entries(driver, "emergency")[0]
    waived = [["budget", "push"], ["secret", "config/keys.conf"]]
    assert entry["actor"] == f"person:{USER}"
    assert entry["body"] == {"commit": commit, "reason": "the kitchen burns", "person": "ann", "waived": waived}
    operation = newest(driver)
    assert operation["reason"] == "emergency: the kitchen burns"
    assert operation["detail"]["emergency"] == {"reason": "the kitchen burns", "person": "ann", "waived": waived}
    assert "emergency by ann: the kitchen burns; waived: budget" in driver.must("show", operation["operation"])
    assert TOKEN not in done.stderr + driver.log.read_text() + driver.must("audit", "log")
    assert driver.ask("audit", "verify")["valid"]


def test_a_withdrawn_state_comes_in_and_the_same_commit_only_once(driver: Driver, people: People) -> None:
    """What failed through no fault of its own: the live directory held a file that it could not bear."""
    (driver.live / "lit").touch()
    try:
        driver.edit(ALPHA, GOOD + "fuse\n")
        first = people["ann"].commit(driver, "Light it")
        assert "rolled back" in driver.push(*FIRE).stderr
        refused(driver, f"commit {first[:10]} was tried already in operation")
        people["ann"].commit(driver, "Light it again", "--amend")
        assert "withdrawn" in driver.push().stderr
        assert "waived: withdrawn (main)" in driver.push(*FIRE).stderr, "it may be tried, and fails by itself"
        assert newest(driver)["outcome"] == "failed"
        assert newest(driver)["detail"]["emergency"]["waived"] == [["withdrawn", "main"]]
        refused(driver, "was tried already")
    finally:
        (driver.live / "lit").unlink()
    people["ann"].commit(driver, "Light it once more", "--amend")
    assert driver.push(*FIRE).returncode == 0
    assert driver.push(*FIRE).returncode == 0, "git has nothing to push any more"
    driver.offer(ALPHA, GOOD)


def test_a_lock_of_whoever_pushes_is_waived_for_another_admin(driver: Driver, people: People) -> None:
    driver.must("trust", "lock", USER, "--reason", "on holiday")
    try:
        driver.edit(ALPHA, GOOD + "# locked out\n")
        people["ann"].commit(driver, "Mend")
        refused(driver, "on holiday", "-o", "wait=healthy", code="locked")
        done = driver.push(*FIRE)
        assert done.returncode == 0, done.stderr
        assert "waived: locked (push)" in done.stderr
    finally:
        driver.must("trust", "unlock", USER, "--force")


def test_nothing_needs_to_be_waived(driver: Driver, people: People) -> None:
    driver.edit(ALPHA, GOOD + "# no need\n")
    people["cyd"].commit(driver, "Change")
    done = driver.push(*FIRE, "-o", "wait=none")
    assert done.returncode == 0, done.stderr
    assert "EMERGENCY by cyd: the kitchen burns; waived: nothing that had to be" in done.stderr
    driver.settled()


# who may not


@pytest.mark.parametrize(
    ("who", "says"), [("bob", "is signed by bob, who has not the role admin"), ("", "is unsigned")]
)
def test_anybody_else_is_refused_whole(driver: Driver, people: People, who: str, says: str) -> None:
    driver.edit(ALPHA, GOOD + f"# by {who}\n")
    if who:
        people[who].commit(driver, "Change")
    else:
        driver.commit("Change")
    needed = "an emergency takes a last commit signed by somebody trusted with the role admin"
    refused(driver, f"{needed}; commit {driver.head[:10]} {says}")


def test_a_stranger_and_a_removed_admin_are_refused(driver: Driver, people: People) -> None:
    stranger = Signer(driver.root, "eve")
    driver.edit(ALPHA, GOOD + "# by eve\n")
    stranger.commit(driver, "Change")
    refused(driver, "is signed by an unknown key")
    stranger.trusted(driver, "admin")
    driver.must("trust", "remove", "eve", "--force")
    refused(driver, "a key of eve's that was removed")


def test_an_admin_who_is_locked_is_refused(driver: Driver, people: People) -> None:
    driver.must("trust", "lock", "ann", "--reason", "laptop stolen")
    try:
        driver.edit(ALPHA, GOOD + "# by ann\n")
        people["ann"].commit(driver, "Change")
        refused(driver, "is signed by ann, who is locked since")
    finally:
        driver.must("trust", "unlock", "ann", "--force")


@pytest.mark.parametrize("reason", ["emergency", "emergency=", "emergency=  "])
def test_an_emergency_has_a_reason(driver: Driver, people: People, reason: str) -> None:
    driver.edit(ALPHA, GOOD + f"# no reason {reason}\n")
    people["ann"].commit(driver, "Change")
    refused(driver, "an emergency has a reason", "-o", reason, code="push-option")


def test_a_signature_below_the_last_commit_does_not_count(driver: Driver, people: People) -> None:
    driver.edit(ALPHA, GOOD + "# signed\n")
    people["ann"].commit(driver, "Signed")
    driver.edit(ALPHA, GOOD + "# and more\n")
    driver.commit("Not signed")
    refused(driver, "is unsigned")


def test_main_goes_alone(driver: Driver, people: People) -> None:
    driver.edit(ALPHA, GOOD + "# beside\n")
    people["ann"].commit(driver, "Change")
    refused(driver, "an emergency moves main and nothing else", ref="HEAD:refs/heads/topic")


# what it never waives


def add_path(driver: Driver, path: str, mode: str = "100644") -> None:
    blob = sh("git", "hash-object", "-w", "--stdin", cwd=driver.work, stdin="target").stdout.strip()
    sh("git", "update-index", "--add", "--cacheinfo", f"{mode},{blob},{path}", cwd=driver.work)


def bad_path(driver: Driver) -> None:
    add_path(driver, "config/a:b")


def bad_link(driver: Driver) -> None:
    blob = sh("git", "hash-object", "-w", "--stdin", cwd=driver.work, stdin="/etc/passwd").stdout.strip()
    sh("git", "update-index", "--add", "--cacheinfo", f"120000,{blob},config/link", cwd=driver.work)


def captured(driver: Driver) -> None:
    add_path(driver, "conversations/alpha.jsonl")


def invalid(driver: Driver) -> None:
    driver.edit("agents/alpha/agent.yaml", "name: alpha\nnonsense: true\n")
    sh("git", "add", "agents/alpha/agent.yaml", cwd=driver.work)


@pytest.mark.parametrize(
    ("spoil", "code"),
    [(bad_path, "path"), (bad_link, "symlink"), (captured, "captured-path"), (invalid, "unknown-key")],
)
def test_integrity_is_never_waived(driver: Driver, people: People, spoil: Callable[[Driver], None], code: str) -> None:
    ann = people["ann"]
    driver.edit("config/keys.conf", f"another = {TOKEN[:-4]}abcd\n")
    sh("git", "add", "-A", cwd=driver.work)
    spoil(driver)
    key = ["-c", "gpg.format=ssh", "-c", f"user.signingkey={ann.path}"]
    sh("git", *key, "commit", "-q", "-S", "-m", "Spoil", cwd=driver.work)
    refused(driver, "refused; nothing was changed", code=code)


def test_what_is_no_fast_forward_and_protected_refs_are_never_waived(driver: Driver, people: People) -> None:
    before = driver.head
    driver.offer(ALPHA, GOOD + "# ahead\n")
    sh("git", "reset", "-q", "--hard", before, cwd=driver.work)
    driver.edit(ALPHA, GOOD + "# aside\n")
    people["ann"].commit(driver, "Aside")
    refused(driver, "main only goes forward", "--force", *FIRE, code="not-fast-forward")
    refused(driver, "issued by the guard alone", *FIRE, code="protected-ref", ref="HEAD:refs/tags/baseline/99")


def test_signatures_are_never_waived(driver: Driver, people: People) -> None:
    settings = driver.home / "guard.yaml"
    text = settings.read_text()
    try:
        settings.write_text(text.replace("require_signed_commits: none", "require_signed_commits: all"))
        driver.edit(ALPHA, GOOD + "# below\n")
        driver.commit("Not signed")
        driver.edit(ALPHA, GOOD + "# above\n")
        people["ann"].commit(driver, "Signed")
        refused(driver, "unsigned; this guard takes commits signed by", code="signature")
    finally:
        settings.write_text(text)


# a guard that dies, and none at all


def taken_away(driver: Driver, name: str) -> None:
    """Trust somebody no longer, without the recovery that a command would begin with."""
    guard = compose(Home(driver.home), lambda *_: None)
    try:
        before = guard.people.trust()
        guard.people.change(before, removed(before, name, None, now_text()), "guard", {"action": "remove"})
    finally:
        guard.close()


@pytest.mark.parametrize("gone", [False, True])
def test_the_signature_is_verified_again_after_a_crash(driver: Driver, people: People, gone: bool) -> None:
    driver.edit("config/keys.conf", f"crash = {TOKEN[:-5]}{'VWXYZ' if gone else 'ABCDE'}\n")
    commit = people["ann"].commit(driver, "Change")
    before = driver.main
    driver.stop()
    driver.start(fault="journal.opened:1:kill")
    push = driver.begin_push(*FIRE)
    driver.gone()
    if gone:
        taken_away(driver, "ann")
    driver.start()
    status, said = end_pushing(push)
    if gone:
        people["ann"].trusted(driver, "push", "admin")
    assert status == int(gone), said
    assert driver.main == (before if gone else commit)
    operation = newest(driver)
    assert operation["outcome"] == ("refused" if gone else "succeeded")
    assert ("emergency" in operation["detail"]) == (not gone)
    if not gone:
        assert operation["detail"]["emergency"]["waived"] == [["secret", "config/keys.conf"]]


def test_the_hook_holds_to_it_while_no_guard_runs(driver: Driver, people: People) -> None:
    driver.stop()
    try:
        driver.edit("config/keys.conf", f"down = {TOKEN[:-4]}wxyz\n")
        people["bob"].commit(driver, "Change")
        assert "who has not the role admin" in driver.push(*FIRE).stderr
        commit = people["ann"].commit(driver, "Change", "--amend")
        done = driver.push(*FIRE)
        assert done.returncode == 0, done.stderr
        assert "EMERGENCY by ann" in done.stderr
    finally:
        driver.start()
    driver.settled()
    assert driver.main == commit
    assert git(driver.repository, "rev-parse", "refs/stateguard/applied") == commit
