"""What mirrors say of the audit chain: that it was cut, or replaced from some entry on, and nothing that is not so."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import product
from pathlib import Path

import pytest
from pygit2.enums import ObjectType

from driving import git
from mirror.setting import KEY, NO_TREE, Setting, bare
from stateguard.mirror.witness import AGAINST, Account, Standing
from stateguard.model.identity import APPLIED, AUDIT, MAIN, ZERO
from stateguard.model.mirror import MirrorSpec
from stateguard.record.audit import Audit, Entry
from stateguard.state.commits import raw_commit
from stateguard.state.repository import Repository
from stateguard.trust.ssh import SigningKey

STRANGER = SigningKey.generate()


class Chained(Setting):
    """Repositories with an audit chain as the guard writes it, an entry for each change, and one mirror."""

    def grow(self) -> str:
        """Accept a change, and write that down."""
        self.note(KEY)
        head = self.put(MAIN, self.commit(parent=self.served.ref(MAIN)))
        return self.put(APPLIED, head)

    def note(self, key: SigningKey, repository: Repository | None = None) -> str:
        """Write an entry that no other equals, signed by somebody, into the chain of a repository."""
        self.count += 1
        where = repository or self.served
        Audit(where, self.database, key.sign).append([Entry("ref", "guard", {"n": self.count})])
        return where.ref(AUDIT) or ""

    def cut(self, entries: int) -> None:
        """Cut the chain after so many entries, and have the database say the same: nothing here shows it any more."""
        line = list(reversed(list(self.served.first_parents(self.served.ref(AUDIT) or ""))))
        self.put(AUDIT, line[entries - 1] if entries else ZERO)
        self.database.execute("DELETE FROM audit_head")
        self.database.execute("DELETE FROM audit_lost")

    def prune(self) -> None:
        """Remove all that no ref reaches, as git does in time."""
        git(self.served.path, "reflog", "expire", "--expire=now", "--all")
        git(self.served.path, "gc", "-q", "--prune=now")
        self.served = Repository(self.served.path)
        self.anew()

    def says(self, spec: MirrorSpec, *, ask: bool = True) -> Account:
        """Return what the mirror says."""
        return self.syncing.testify(spec, ask=ask, deadline_seconds=10.0)

    def valid(self) -> bool:
        """Say whether the chain holds by itself."""
        return not Audit(self.served, self.database, KEY.sign).verify(KEY.public).problems


@pytest.fixture
def chained(tmp_path: Path) -> Iterator[Chained]:
    made = Chained(tmp_path)
    for _ in range(3):
        made.grow()
    yield made
    made.syncing.cancel.cancel()
    made.database.close()


@pytest.fixture
def spec(chained: Chained, mirror: Path) -> MirrorSpec:
    found = chained.spec("m", mirror)
    chained.sync(found)
    return found


def test_a_beginning_of_the_chain_speaks_against_nobody(chained: Chained, spec: MirrorSpec) -> None:
    chained.grow()
    for ask in (True, False):
        told = chained.says(spec, ask=ask)
        assert (told.finding.standing, told.finding.common, told.asked) == (Standing.HOLDS, 4, ask)
    empty = chained.spec("empty", bare(chained.root / "empty.git"))
    assert [chained.says(empty, ask=ask).finding.standing for ask in (True, False)] == [Standing.NOTHING] * 2


@pytest.mark.parametrize("pruned", [False, True])
def test_a_chain_that_was_cut_is_found_though_nothing_here_shows_it(
    chained: Chained, spec: MirrorSpec, mirror: Path, pruned: bool
) -> None:
    chained.cut(2)
    if pruned:
        chained.prune()
    assert chained.valid()
    told = chained.says(spec)
    assert (told.finding.standing, told.finding.common) == (Standing.CUT, 2)
    assert told.finding.message == (
        "the audit chain here was cut: it ends with entry 2, and 2 entries more that this guard signed are there"
    )
    mirror.rename(chained.root / "away.git")
    away = chained.says(spec)
    assert (away.asked, away.finding.standing) == (False, Standing.LOST if pruned else Standing.CUT)
    assert "does not appear to be a git repository" in (away.error or "")
    assert away.finding == chained.says(spec, ask=False).finding
    assert not list(chained.root.glob("verify-*"))


def test_a_chain_that_was_cut_and_gone_on_with_is_forked(chained: Chained, spec: MirrorSpec) -> None:
    chained.cut(2)
    for _ in range(3):
        chained.grow()
    assert chained.valid()
    finding = chained.says(spec).finding
    assert (finding.standing, finding.common) == (Standing.FORKED, 2)
    assert "forked: behind entry 2 there are others here than there" in finding.message
    chained.cut(0)
    assert chained.says(spec).finding.standing is Standing.CUT


def alien(chained: Chained, place: Repository) -> str:
    return place.write(ObjectType.COMMIT, raw_commit(NO_TREE, [place.ref(AUDIT) or ""], "{}\n", 0.0))


def by_a_stranger(chained: Chained, place: Repository) -> str:
    return chained.note(STRANGER, place)


def a_file(chained: Chained, place: Repository) -> str:
    chained.served.write(ObjectType.BLOB, b"x\n")
    return place.write(ObjectType.BLOB, b"x\n")


@pytest.mark.parametrize("lie", [alien, by_a_stranger, a_file])
def test_what_this_guard_did_not_sign_speaks_against_the_mirror_alone(
    chained: Chained, spec: MirrorSpec, mirror: Path, lie: Callable[[Chained, Repository], str]
) -> None:
    place = Repository(mirror)
    made = lie(chained, place)
    (mirror / AUDIT).write_text(made + "\n")
    told = chained.says(spec)
    assert told.finding.standing is Standing.FOREIGN
    assert told.finding.standing not in AGAINST
    assert chained.says(spec, ask=False).finding.standing is Standing.HOLDS
    chained.cut(2)
    assert chained.says(spec, ask=False).finding.standing is Standing.CUT


def test_the_cycle_names_it_before_all_else_and_sends_nothing(chained: Chained, spec: MirrorSpec, mirror: Path) -> None:
    chained.cut(2)
    chained.put(MAIN, chained.commit())
    standing = chained.sync(spec)
    assert [c["ref"] for c in standing.conflicts] == [AUDIT, MAIN]
    assert standing.conflicts[0]["why"].startswith("the audit chain here was cut: it ends with entry 2")
    assert chained.state(spec) == "DIVERGED"
    before = git(mirror, "for-each-ref")
    chained.grow()
    assert chained.sync(spec).conflicts[0]["why"].startswith("the audit chain here was forked: behind entry 2")
    assert git(mirror, "for-each-ref") == before


def test_every_pair_of_chains(chained: Chained) -> None:
    """Chains that have some entries in common, and some more here, there, or both."""
    line = list(reversed(list(chained.served.first_parents(chained.served.ref(AUDIT) or ""))))

    def stand(head: str | None) -> None:
        if chained.served.ref(AUDIT) != head:
            chained.put(AUDIT, head or ZERO)

    for common, here, there in product(range(4), range(3), range(3)):
        ends = []
        for more in (here, there):
            stand(line[common - 1] if common else None)
            for _ in range(more):
                chained.note(KEY)
            ends.append(chained.served.ref(AUDIT))
        stand(ends[0])
        finding = chained.syncing.witness.compare(ends[1], chained.served)
        expected = Standing.FORKED if here and there else Standing.CUT if there else Standing.HOLDS
        assert finding.standing is (expected if ends[1] else Standing.NOTHING), (common, here, there)
        assert finding.common == (common if ends[1] else 0)
