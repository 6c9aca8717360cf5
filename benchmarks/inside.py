"""Rows of the table that a process measures on the guard's own parts, while its daemon does not run."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

from benchmarks import tree
from benchmarks.commands import run
from benchmarks.places import Pair, Scene
from benchmarks.timing import Method, Row, interleaved, say, timed
from stateguard.guard.compose import Guard, compose
from stateguard.guard.rollback import roll_back
from stateguard.guard.view import drift_now
from stateguard.host.home import Home
from stateguard.live.watch import Watcher
from stateguard.model.tree import blob_id
from stateguard.state import fingerprint, trees
from stateguard.state.fingerprint import DigestCache
from stateguard.state.tags import read_tag
from stateguard.trust.keys import load_pinned
from stateguard.trust.ssh import verify

_REF = "refs/stateguard/snapshots/bench"
_ALLOWED = 'guard@localhost namespaces="git" {}\n'
_EVTAG = 'git ls-tree -r -t "$1" | cut -c 8- | cut -d " " -f 2 | cut -f 1 | git cat-file --batch | sha512sum'


def rows(scene: Scene, pair: Pair, rounds: int) -> Iterator[Row]:
    """Measure snapshots, fingerprints, signatures and an untrusted start; the daemon is stopped, and started again."""
    scene.at_base()
    number = scene.guarded.ask("baseline-create", force=True)["number"]
    scene.guarded.stop()
    guard = compose(Home(scene.guarded.home), lambda *_: None)
    watcher = Watcher(guard.live, guard.scanner().rules, guard.tracked.touched)
    watcher.start()
    guard.tracked.believe(watcher)
    try:
        yield from _drift(scene, guard, rounds)
        yield from _snapshots(scene, guard, rounds)
        yield from _signatures(scene, guard, int(number), 4 * rounds)
    finally:
        watcher.stop()
        guard.close()
    yield from _untrusted(scene, pair, rounds)
    scene.guarded.start()
    scene.at_base()


class _Snapshots:
    """A live directory and a git copy in which the same files are changed by hand, again and again."""

    def __init__(self, scene: Scene, guard: Guard) -> None:
        """Both hold the scene's first tree, which is kept and fingerprinted."""
        self._base, self._guard, self._captured = scene.base, guard, guard.captured
        self._count = max(10, scene.files // 1000)
        self._live, self._copy = scene.guarded.live, scene.root / "snapshot"
        run("git", "clone", "-q", guard.home.repository, self._copy)
        self._now: dict[Path, tree.Tree] = {self._live: scene.base, self._copy: scene.base}
        self._turns = {self._live: 0, self._copy: 0}
        self._cache, self._commit = DigestCache(), ""
        self._fingerprint = ""
        self._keep()
        self.printing()

    @property
    def changed(self) -> int:
        """By how many paths the live directory differs from the first tree."""
        return tree.difference(self._base, self._now[self._live])

    def ours(self) -> float:
        """Keep everything as a snapshot."""
        self._soil(self._live)
        took = timed(self._keep)
        kept = trees.path_map(self._captured, self._tree)
        if {p: e.id for p, e in kept.items()} != {p: blob_id(f.content()) for p, f in self._now[self._live].items()}:
            raise tree.WrongTreeError("the snapshot is not what lies there")
        return took

    def theirs(self) -> float:
        """Commit everything with git, which must make the same tree."""
        self._soil(self._copy)
        took = timed(lambda: (self._git("add", "-A"), self._git("commit", "-qm", "bench")))
        if self._git("rev-parse", "HEAD^{tree}").strip() != self._tree:
            raise tree.WrongTreeError("git committed another tree")
        return took

    def printing(self) -> float:
        """Fingerprint the newest snapshot, knowing the one before."""
        found: list[str] = []
        took = timed(lambda: found.append(fingerprint.incremental(self._captured, self._tree, self._cache)))
        self._fingerprint = found[0]
        return took

    def in_full(self) -> float:
        """Fingerprint it from its bytes alone, which must give the same."""
        found: list[str] = []
        took = timed(lambda: found.append(fingerprint.full(self._captured.path, self._tree)))
        if found != [self._fingerprint]:
            raise tree.WrongTreeError(f"fingerprints differ: {found[0]} and {self._fingerprint}")
        return took

    def evtag(self) -> float:
        """Hash every object of it with SHA-512, as git-evtag does."""
        return timed(lambda: run("sh", "-c", _EVTAG, "sh", self._tree, extra={"GIT_DIR": str(self._captured.path)}))

    def restore(self) -> None:
        """Make the live directory hold the first tree again."""
        tree.turn_into(self._live, self._now[self._live], self._base)

    @property
    def _tree(self) -> str:
        return self._captured.commit(self._commit).tree

    def _soil(self, root: Path) -> None:
        self._turns[root] += 1
        after = tree.changed(self._base, self._count, self._turns[root])
        tree.turn_into(root, self._now[root], after)
        self._now[root] = after

    def _keep(self) -> None:
        guard, before = self._guard, [self._commit] if self._commit else []
        unmanaged = self._now[self._live].keys() - self._base.keys()
        kept = guard.archive.all(guard.applied, guard.applied, unmanaged)
        self._commit = guard.archive.write(kept, _REF, "bench\n", before)

    def _git(self, *words: str) -> str:
        return run("git", *words, cwd=self._copy)


def _snapshots(scene: Scene, guard: Guard, rounds: int) -> Iterator[Row]:
    """Keep what lies there after a thousandth of it was changed by hand, and fingerprint it."""
    say(f"{scene.files} files: snapshots and fingerprints")
    mine = _Snapshots(scene, guard)
    methods: dict[str, Method] = {
        "ours": mine.ours, "theirs": mine.theirs, "printing": mine.printing, "full": mine.in_full, "evtag": mine.evtag,
    }  # fmt: skip
    took = interleaved(methods, rounds)
    held, changed = scene.files == 100_000, mine.changed
    yield Row(
        "snapshot commit (in process)", scene.files, changed, took["ours"], "`git add -A && git commit`",
        took["theirs"], 0.05 if held else None, gate=held,
    )  # fmt: skip
    most = 0.02 if held else None
    for peer, name in (("SHA-512 of every object, as git-evtag does", "evtag"), ("a full SHA-256 hash", "full")):
        yield Row(
            "fingerprint after a change (in process)", scene.files, changed, took["printing"], peer, took[name], most
        )
    mine.restore()


def _drift(scene: Scene, guard: Guard, rounds: int) -> Iterator[Row]:
    """Write one file by hand and ask at once what drifted; beside the copy in which git was asked before."""
    path = next(p for p in scene.base if p.startswith("data/"))
    live, copy = scene.guarded.live, scene.root / "status"
    numbers = iter(range(1_000_000))

    def written(root: Path) -> None:
        (root / path).write_bytes(b"somebody wrote here: %d\n" % next(numbers))

    def ours() -> float:
        written(live)
        found: list[str] = []
        took = timed(lambda: found.extend(one.path for one in drift_now(guard)))
        if found != [path]:
            raise tree.WrongTreeError(f"drift is {found}")
        return took

    def theirs() -> float:
        written(copy)
        found: list[str] = []
        took = timed(lambda: found.append(run("git", "status", "--porcelain", cwd=copy)))
        if found != [f" M {path}\n"]:
            raise tree.WrongTreeError(f"git status is {found}")
        return took

    took = interleaved({"ours": ours, "theirs": theirs}, 2 * rounds)
    (live / path).write_bytes(scene.base[path].content())
    held = scene.files == 100_000
    yield Row(
        "drift answer (in process)", scene.files, 1, took["ours"], "`git status`", took["theirs"],
        0.02 if held else None, gate=held,
    )  # fmt: skip


def _signatures(scene: Scene, guard: Guard, number: int, rounds: int) -> Iterator[Row]:
    """Check the signature of a baseline's tag."""
    tag = read_tag(guard.repository, guard.baselines.get(number).tag_object)
    key = load_pinned(guard.home.trust)
    allowed = scene.root / "allowed"
    allowed.write_text(_ALLOWED.format(key.line), encoding="ascii")
    argv = ("git", "-c", "gpg.format=ssh", "-c", f"gpg.ssh.allowedSignersFile={allowed}", "verify-tag")

    def ours() -> float:
        return timed(lambda: verify(tag.signed, tag.signature or "", key))

    def theirs() -> float:
        return timed(lambda: run(*argv, f"baseline/{number}", cwd=guard.home.repository))

    took = interleaved({"ours": ours, "theirs": theirs}, rounds)
    most = 0.05 if scene.files == 100_000 else None
    work = "check of a baseline's signature (SSH, in process)"
    yield Row(work, scene.files, 0, took["ours"], "`git verify-tag`", took["theirs"], most)


def _untrusted(scene: Scene, pair: Pair, rounds: int) -> Iterator[Row]:
    """Roll back in a process that has seen nothing yet: everything is looked at first."""
    say(f"{scene.files} files: rolling back without having watched")
    copy = scene.git_copy("untrusted", pair)
    targets = [pair.after, pair.before]

    def ours() -> float:
        target = targets.pop(0)
        targets.append(target)
        guards: list[Guard] = []

        def from_the_start() -> None:
            guards.append(compose(Home(scene.guarded.home), lambda *_: None))
            roll_back(guards[0], {"target": target, "reason": "bench"}, "person:bench", lambda _: None)

        try:
            took = timed(from_the_start)
        finally:
            for guard in guards:
                guard.close()
        tree.check(scene.guarded.live, pair.trees[target])
        return took

    took = interleaved({"ours": ours, "theirs": copy.reset}, rounds)
    shutil.rmtree(copy.place)
    most = 2.0 if scene.files == 100_000 else None
    yield Row(
        "rollback by a guard that has watched nothing (in process)", scene.files, pair.changed, took["ours"],
        "`git reset --hard`", took["theirs"], most,
    )  # fmt: skip
