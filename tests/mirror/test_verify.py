"""Reading a mirror back: what is whole is found whole, and every kind of lie is found."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from driving import Driver, git, past_hooks, sh, stock_fingerprint
from mirror.setting import bare, refs
from stateguard.guard.compose import Guard, compose
from stateguard.host.home import Home
from stateguard.mirror.remote import RemoteError
from stateguard.mirror.verify import Verdict, Verifier, unlike
from stateguard.model.identity import AUDIT, MAIN
from stateguard.model.mirror import MirrorSpec, MirrorState
from stateguard.state.tags import raw_tag, write_tag
from stateguard.trust.statement import canonical

BASELINE = "refs/tags/baseline/1"


class Kept(Driver):
    """A guard whose home has a baseline and two mirrors, one of them trusted; nothing runs."""

    guard: Guard

    def spec(self, name: str) -> MirrorSpec:
        """Return a mirror."""
        return next(spec for spec in self.guard.settings.mirrors if spec.name == name)

    def verify(self, name: str, *, complete: bool = False) -> Verdict:
        """Verify a mirror in this process."""
        home = self.guard.home
        verifier = Verifier(self.guard.mirrors, self.guard.baselines, home.run)
        return verifier.verify(self.spec(name), complete=complete)


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kept]:
    root = tmp_path_factory.mktemp("kept")
    (root / "source" / "conversations").mkdir(parents=True)
    (root / "source" / "plain.conf").write_text("n = 0\n", encoding="utf-8")
    (root / "source" / "conversations" / "a.jsonl").write_text('{"id": "1"}\n', encoding="utf-8")
    made = Kept(root, root / "source")
    made.init("--remote", f"open={bare(root / 'open.git')}", "--remote", f"private={bare(root / 'private.git')}")
    settings = made.home / "guard.yaml"
    head, _, tail = settings.read_text(encoding="utf-8").rpartition("trusted: false")
    settings.write_text(f"{head}trusted: true{tail}", encoding="utf-8")
    made.guard = compose(Home(made.home), lambda *_: None)
    for spec in made.guard.settings.mirrors:
        made.guard.mirrors.sync(spec)
    yield made
    made.guard.close()
    made.close()


@pytest.fixture
def place(kept: Kept) -> Iterator[Path]:
    """Lend the mirror ``open``; afterwards it is as it was."""
    place, saved = kept.root / "open.git", kept.root / "saved.git"
    sh("cp", "-a", place, saved)
    yield place
    sh("rm", "-rf", place)
    sh("mv", saved, place)
    kept.guard.mirrors.store.verified(kept.spec("open"), 0.0, [])


@pytest.mark.parametrize("complete", [True, False])
@pytest.mark.parametrize("name", ["open", "private"])
def test_a_whole_mirror_verifies(kept: Kept, name: str, complete: bool) -> None:
    found = kept.verify(name, complete=complete)
    assert (found.state, found.evidence) == (MirrorState.IN_SYNC, ())
    checked = {c.what: c.fingerprint for c in found.checked}
    assert {MAIN, "refs/stateguard/applied", "baseline/1"} <= set(checked)
    captured = "refs/captured/stateguard/snapshots/baseline/1"
    assert (captured in checked) == (complete and name == "private")
    assert kept.guard.mirrors.store.standing(kept.spec(name)).verified_at
    assert not list((kept.home / "run").glob("verify-*"))


def test_fingerprints_are_those_of_stock_git(kept: Kept) -> None:
    checked = {c.what: c.fingerprint for c in kept.verify("open").checked}
    assert checked[MAIN] == stock_fingerprint(kept.root / "open.git", MAIN)


def test_a_mirror_that_lacks_something_is_behind(kept: Kept, place: Path) -> None:
    git(kept.repository, "update-ref", "refs/heads/later", MAIN)
    found = kept.verify("open")
    git(kept.repository, "update-ref", "-d", "refs/heads/later")
    assert found.state is MirrorState.BEHIND
    assert "refs/heads/later" in found.evidence[0]


def alien(place: Path, *words: str, tree: str = "") -> str:
    tree = tree or git(place, "rev-parse", f"{MAIN}^{{tree}}")
    return git(place, "-c", "user.name=x", "-c", "user.email=x", "commit-tree", tree, *words, "-m", "alien")


def test_a_moved_main_is_diverged(kept: Kept, place: Path) -> None:
    git(place, "update-ref", MAIN, alien(place, "-p", MAIN))
    found = kept.verify("open")
    assert (found.state, found.evidence) == (MirrorState.DIVERGED, (f"{MAIN}: somebody moved it there",))


def forge_baseline(place: Path) -> None:
    """Sign nothing, but say the same about another commit."""
    message = git(place, "cat-file", "tag", BASELINE).partition("\n\n")[2]
    sh("git", "-C", place, "tag", "-f", "-a", "-F", "-", "baseline/1", alien(place, "-p", MAIN), stdin=message)


def add_baseline(place: Path) -> None:
    """Offer a later number with an earlier statement."""
    message = git(place, "cat-file", "tag", BASELINE).partition("\n\n")[2].replace('"number":1', '"number":2')
    message = message.replace("baseline/1", "baseline/2")
    sh("git", "-C", place, "tag", "-a", "-F", "-", "baseline/2", MAIN, stdin=message)


def fork_audit(place: Path) -> None:
    git(place, "update-ref", AUDIT, alien(place, "-p", f"{AUDIT}~1"))


def flip_a_bit(place: Path) -> None:
    blob = git(place, "rev-parse", f"{MAIN}:plain.conf")
    path = place / "objects" / blob[:2] / blob[2:]
    if not path.exists():
        for pack in (place / "objects" / "pack").glob("*.pack"):
            moved = pack.rename(place / pack.name)
            pack.with_suffix(".idx").unlink()
            with moved.open("rb") as stream:
                subprocess.run(["git", "-C", place, "unpack-objects", "-q"], stdin=stream, check=True)
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 0x10
    path.chmod(0o644)
    path.write_bytes(bytes(content))


def swap_a_blob(place: Path) -> None:
    """File other bytes under the id of a blob of main."""
    blob = git(place, "rev-parse", f"{MAIN}:plain.conf")
    flip_a_bit(place)
    other = sh("git", "-C", place, "hash-object", "-w", "--stdin", stdin="n = 666\n").stdout.strip()
    content = (place / "objects" / other[:2] / other[2:]).read_bytes()
    (place / "objects" / blob[:2] / blob[2:]).write_bytes(content)


def drop_a_blob(place: Path) -> None:
    flip_a_bit(place)
    blob = git(place, "rev-parse", f"{MAIN}:plain.conf")
    (place / "objects" / blob[:2] / blob[2:]).unlink()


@pytest.mark.parametrize("spoil", [forge_baseline, add_baseline, fork_audit, flip_a_bit, swap_a_blob, drop_a_blob])
def test_a_lie_is_found_remembered_and_nothing_more_is_sent(kept: Kept, place: Path, spoil: object) -> None:
    assert callable(spoil)
    spoil(place)
    before = refs(place)
    found = kept.verify("open")
    assert found.state is MirrorState.TAMPERED
    assert found.tampered
    kept.guard.mirrors.sync(kept.spec("open"))
    assert kept.guard.mirrors.store.standing(kept.spec("open")).tampered == found.tampered
    assert refs(place) == before


def test_a_baseline_that_says_another_fingerprint_is_found_although_it_is_signed(kept: Kept, place: Path) -> None:
    guard = kept.guard
    true = guard.baselines.get(1).statement
    wrong = replace(true, tag="baseline/2", number=2, desired_fingerprint="sha256:" + "7" * 64)
    unsigned = raw_tag(wrong.tag, wrong.revision, canonical(wrong), 1_700_000_000)
    tag = write_tag(guard.repository, unsigned, guard.books.signer(unsigned))
    accepted = "INSERT INTO baseline (number, tag_object, accepted_at) VALUES (2, ?, ?)"
    guard.database.execute(accepted, (tag, wrong.issued_at))
    past_hooks(kept.repository, "update-ref", "refs/tags/baseline/2", tag)
    guard.mirrors.sync(kept.spec("open"))
    found = kept.verify("open")
    past_hooks(kept.repository, "update-ref", "-d", "refs/tags/baseline/2")
    guard.database.execute("DELETE FROM baseline WHERE number=2")
    assert found.tampered == (
        f"baseline/2: its fingerprint there is {true.desired_fingerprint}, not {wrong.desired_fingerprint}",
    )


def test_every_entry_of_the_chain_is_compared_byte_for_byte(kept: Kept, tmp_path: Path) -> None:
    own = kept.guard.repository
    head = own.ref(AUDIT) or ""
    oldest = list(own.first_parents(head))[-1]
    copy = bare(tmp_path / "copy.git")
    git(copy, "-c", "fetch.unpackLimit=100000", "fetch", "-q", str(kept.repository), f"{AUDIT}:{AUDIT}")
    assert unlike(copy, own, head) is None
    path = copy / "objects" / oldest[:2] / oldest[2:]
    path.chmod(0o644)
    path.write_bytes((copy / "objects" / head[:2] / head[2:]).read_bytes())
    assert unlike(copy, own, head) == oldest
    path.unlink()
    assert unlike(copy, own, head) == oldest


def test_a_mirror_that_is_away_is_not_called_a_liar(kept: Kept, place: Path) -> None:
    place.rename(kept.root / "away.git")
    with pytest.raises(RemoteError, match="does not appear to be a git repository"):
        kept.verify("open")
    (kept.root / "away.git").rename(place)
    assert kept.guard.mirrors.store.standing(kept.spec("open")).tampered == ()


def test_what_a_killed_verification_left_is_swept_away(kept: Kept) -> None:
    gone = subprocess.Popen(["true"])
    gone.wait()
    left = kept.home / "run" / f"verify-{gone.pid}-abc"
    left.mkdir()
    kept.verify("open")
    assert not left.exists()


def test_the_command_says_what_was_found(kept: Kept, place: Path) -> None:
    told = kept.ask("mirror", "verify")["mirrors"]
    assert [(m["name"], m["state"], m["error"]) for m in told] == [
        ("open", "IN_SYNC", None),
        ("private", "IN_SYNC", None),
    ]
    fork_audit(place)
    assert kept.ask("mirror", "verify", "open", "--complete", status=10)["mirrors"][0]["tampered"]
    done = kept.run("mirror", "sync", "open")
    assert (done.returncode, "TAMPERED" in done.stdout) == (1, True)
    place.rename(kept.root / "away.git")
    assert kept.ask("mirror", "verify", "open", status=14)["mirrors"][0]["state"] is None
    (kept.root / "away.git").rename(place)
    assert kept.refused("mirror", "verify", "nobody", status=15)


def test_a_chain_that_was_cut_here_is_told_by_the_mirrors_and_blamed_on_none(kept: Kept, place: Path) -> None:
    guard = kept.guard
    head = guard.repository.ref(AUDIT) or ""
    before = guard.repository.commit(head).parents[0]
    whole = kept.ask("audit", "verify")
    assert [(m["standing"], m["asked"], m["entries"]) for m in whole["mirrors"]] == [
        ("holds", True, whole["entries"]),
    ] * 2
    past_hooks(kept.repository, "update-ref", AUDIT, before)
    guard.database.execute("UPDATE audit_head SET commit_id=?", (before,))
    try:
        told = "the audit chain here was cut: it ends with entry"
        document = kept.ask("audit", "verify", status=10)
        assert [p.partition(": ")[0] for p in document["problems"]] == ["open", "private"]
        assert all(told in p for p in document["problems"])
        done = kept.run("audit", "verify", "--offline")
        assert (done.returncode, done.stdout.count(told), "the chain holds" in done.stdout) == (10, 2, False)
        found = kept.verify("open")
        assert (found.state, found.tampered) == (MirrorState.DIVERGED, ())
        assert found.evidence[0].startswith(f"{AUDIT}: {told}")
    finally:
        past_hooks(kept.repository, "update-ref", AUDIT, head)
        guard.database.execute("UPDATE audit_head SET commit_id=?", (head,))
    place.rename(kept.root / "away.git")
    done = kept.run("audit", "verify")
    (kept.root / "away.git").rename(place)
    assert done.returncode == 0
    assert "open: did not answer: " in done.stdout
    assert "(as last seen there)" in done.stdout
    assert done.stdout.endswith("the chain holds\n")
