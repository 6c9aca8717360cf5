"""Somebody who is locked: nothing of theirs comes in or counts, whatever else is right, until they are unlocked."""

from __future__ import annotations

import getpass
from collections.abc import Iterator

import pytest

from driving import Document, Driver
from signers import Signer
from stateguard.config.trust import TRUST_FILE
from stateguard.guard.admit import admit
from stateguard.guard.applies import Applies, quiet
from stateguard.guard.compose import compose
from stateguard.host.home import Home
from stateguard.model.identity import MAIN
from tiny import ALPHA, GOOD, write_tiny

USER = getpass.getuser()
WHY = "laptop stolen"

People = dict[str, Signer]


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Driver, People]]:
    root = tmp_path_factory.mktemp("lockdown")
    driver = Driver(root, write_tiny(root / "source")).init("--no-baseline")
    people = {name: Signer(root, name) for name in ("mallory", "bob")}
    try:
        driver.start()
        people["mallory"].trusted(driver, "push", "baseline", "approve")
        people["bob"].trusted(driver, "push")
        yield driver, people
    finally:
        driver.close()


@pytest.fixture
def people(home: tuple[Driver, People]) -> People:
    return home[1]


@pytest.fixture
def driver(home: tuple[Driver, People]) -> Iterator[Driver]:
    """Give the home with mallory locked."""
    driver = home[0]
    driver.settled()
    driver.sync()
    driver.must("trust", "lock", "mallory", "--reason", WHY)
    yield driver
    for lock in driver.ask("trust", "list")["locked"]:
        driver.must("trust", "unlock", lock["name"], "--force")


def refused(driver: Driver, *options: str, ref: str = "HEAD:main") -> str:
    refs = driver.refs()
    done = driver.push(*options, ref=ref)
    assert done.returncode == 1, done.stderr
    assert f": {WHY}; nothing of theirs comes in until somebody else runs: stateguard trust unlock" in done.stderr
    assert driver.refs() == refs
    last = driver.ask("audit", "log")["entries"][0]
    assert last["kind"] == "refusal"
    assert {p["code"] for p in last["body"]["problems"]} == {"locked"}
    return done.stderr


def locks(driver: Driver) -> list[Document]:
    found: list[Document] = driver.ask("trust", "list")["locked"]
    return found


def test_a_lock_is_shown_with_its_reason_and_recorded(driver: Driver) -> None:
    (lock,) = locks(driver)
    assert (lock["name"], lock["reason"]) == ("mallory", WHY)
    assert f"mallory is locked since {lock['since']}: {WHY}" in driver.must("trust", "list")
    assert driver.status()["locked"] == [lock]
    assert f"locked       mallory since {lock['since']}: {WHY}" in driver.must("status")
    assert 'reason: "laptop stolen"' in (driver.home / "trust" / TRUST_FILE).read_text()
    version = driver.ask("trust", "list")["version"]
    assert driver.ask("trust", "lock", "mallory")["version"] == version, "nothing new"
    driver.must("trust", "lock", "mallory", "--reason", "and the \x1b[31m phone")
    (again,) = locks(driver)
    assert (again["reason"], again["since"]) == ("and the [31m phone", lock["since"])
    driver.must("trust", "unlock", "mallory")
    assert locks(driver) == []
    bodies = [e["body"] for e in driver.ask("audit", "log")["entries"] if e["kind"] == "trust"][:3]
    assert [body["action"] for body in bodies] == ["unlock", "lock", "lock"]
    assert (bodies[2]["name"], bodies[2]["reason"], bodies[0]["forced"]) == ("mallory", WHY, False)
    assert driver.ask("audit", "verify")["valid"]


def test_what_cannot_be_locked_or_unlocked(driver: Driver) -> None:
    driver.refused("trust", "unlock", "bob", status=15)
    driver.refused("trust", "lock", "guard", status=2)
    driver.refused("trust", "lock", "-x y", status=2)
    driver.refused("trust", "lock", "bob", "--reason", "x" * 301, status=2)
    assert [lock["name"] for lock in locks(driver)] == ["mallory"]


def test_nobody_ends_their_own_lock_unless_forced(driver: Driver) -> None:
    driver.must("trust", "lock", USER)
    assert "nobody ends their own lock" in driver.refused("trust", "unlock", USER, status=1)["message"]
    driver.must("trust", "unlock", USER, "--force")
    assert driver.ask("audit", "log")["entries"][0]["body"]["forced"] is True


def test_what_a_locked_person_signed_is_refused_whoever_pushes_it(driver: Driver, people: People) -> None:
    """The user who pushes is not mallory: the signature of the last commit is."""
    driver.edit(ALPHA, GOOD + "# mallory\n")
    people["mallory"].commit(driver, "Change")
    assert "mallory is locked since" in refused(driver)
    refused(driver, ref="HEAD:refs/heads/topic")
    refused(driver, "-o", "wait=none")
    driver.must("trust", "unlock", "mallory")
    assert driver.push().returncode == 0


def test_a_branch_that_came_before_the_lock_stays_off_main(driver: Driver, people: People) -> None:
    driver.must("trust", "unlock", "mallory")
    driver.edit(ALPHA, GOOD + "# before the lock\n")
    people["mallory"].commit(driver, "Change")
    assert driver.push(ref="HEAD:refs/heads/early").returncode == 0
    driver.must("trust", "lock", "mallory", "--reason", WHY)
    assert driver.push(ref="HEAD:refs/heads/renamed").returncode == 0, "who names it again did not get it from mallory"
    refused(driver)


def test_a_locked_user_pushes_nothing_whoever_signed_it(driver: Driver, people: People) -> None:
    driver.must("trust", "lock", USER, "--reason", WHY)
    driver.edit(ALPHA, GOOD + "# bob\n")
    people["bob"].commit(driver, "Change")
    assert f"{USER} is locked since" in refused(driver)
    refused(driver, ref="HEAD:refs/heads/by-bob")
    refused(driver, ref="HEAD:refs/tags/by-bob")
    driver.must("trust", "unlock", USER, "--force")
    assert driver.push().returncode == 0


def test_a_name_that_nobody_trusts_can_be_locked(driver: Driver) -> None:
    driver.must("trust", "unlock", "mallory")  # who may have signed what main has by now
    driver.must("trust", "lock", "temp", "--reason", WHY)
    guard = compose(Home(driver.home), lambda *_: None)
    try:
        update = (guard.main, guard.main, MAIN)
        assert [p.code for p in admit(guard, [update], None, [], "temp").problems] == ["locked"]
        assert admit(guard, [update], None, [], "other").admitted
    finally:
        guard.close()


def test_it_approves_no_baseline(driver: Driver, people: People) -> None:
    error = driver.refused("baseline", "create", "--sign", people["mallory"].path, status=10)
    assert "mallory is locked since" in error["message"]
    assert error["next"] == "stateguard trust unlock mallory, if that is over"


def test_it_counts_not_where_signatures_are_required(driver: Driver, people: People) -> None:
    settings = driver.home / "guard.yaml"
    text = settings.read_text()
    try:
        settings.write_text(text.replace("require_signed_commits: none", "require_signed_commits: all"))
        driver.edit(ALPHA, GOOD + "# below\n")
        below = people["mallory"].commit(driver, "Below")
        driver.edit(ALPHA, GOOD + "# above\n")
        people["bob"].commit(driver, "Above")
        done = driver.push()
        assert done.returncode == 1
        assert f"commit {below[:10]}: signed by mallory, who is locked since" in done.stderr
    finally:
        settings.write_text(text)


def test_removing_and_adding_a_person_unlocks_nobody(driver: Driver, people: People) -> None:
    driver.must("trust", "remove", "mallory")
    people["mallory"].trusted(driver, "push", "baseline", "approve")
    driver.edit(ALPHA, GOOD + "# back again\n")
    people["mallory"].commit(driver, "Change")
    refused(driver)


def test_stock_tools_are_told_too(driver: Driver, people: People) -> None:
    signers = driver.home / "trust" / "allowed_signers"
    key = people["mallory"].key.public.line
    assert key not in signers.read_text()
    driver.must("trust", "unlock", "mallory")
    assert key in signers.read_text()


def test_the_hook_holds_to_it_while_no_guard_runs(driver: Driver, people: People) -> None:
    driver.stop()
    try:
        driver.edit(ALPHA, GOOD + "# down\n")
        people["mallory"].commit(driver, "Change")
        assert f": {WHY}; nothing of theirs comes in" in driver.push().stderr
    finally:
        driver.start()


def test_taking_the_document_away_unlocks_nobody(driver: Driver) -> None:
    document = driver.home / "trust" / TRUST_FILE
    kept = document.read_bytes()
    document.unlink()
    try:
        told = driver.wait(lambda s: any(c["type"] == "TRUST_INVALID" for c in s["conditions"]))
        assert (told["health"], told["locked"]) == ("HEALTHY", [])
        driver.edit(ALPHA, GOOD + "# no document\n")
        driver.commit("Change")
        done = driver.push()
        assert done.returncode == 1
        assert "was in force" in done.stderr
    finally:
        document.write_bytes(kept)


def test_a_lock_that_comes_between_admission_and_its_turn_holds(driver: Driver, people: People) -> None:
    """What admitted a push is asked again when it is tried."""
    driver.must("trust", "unlock", "mallory")
    driver.edit(ALPHA, GOOD + "# queued\n")
    commit = people["mallory"].commit(driver, "Change")
    assert driver.push(ref="HEAD:refs/heads/queued").returncode == 0
    driver.must("trust", "lock", "mallory", "--reason", WHY)
    driver.stop()
    guard = compose(Home(driver.home), lambda *_: None)
    try:
        for user in ("mallory", "other"):
            answer = Applies(guard).receive(f"token-{user}", guard.main, commit, [], user, quiet)
            assert not answer.accepted
            assert f"mallory is locked since {locks(driver)[0]['since']}: {WHY}" in answer.reason
    finally:
        guard.close()
        driver.start()
