from __future__ import annotations

import shutil
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from hypothesis import given, settings, strategies as st
from pygit2.enums import ObjectType

from damage import held
from state import stock
from stateguard.errors import NotFoundError, StorageError
from stateguard.model.identity import EMPTY_TREE, ZERO
from stateguard.state.commits import raw_commit
from stateguard.state.repository import RefMove, Repository

AT = 1_782_900_000.0
MISSING = "1" * 40


def commit(repository: Repository, *parents: str, message: str = "m\n") -> str:
    repository.write(ObjectType.TREE, b"")
    return repository.write(ObjectType.COMMIT, raw_commit(EMPTY_TREE, parents, message, AT))


def refs(repository: Repository) -> dict[str, str]:
    """Return every ref as stock git lists them."""
    lines = stock.text(repository.path, "for-each-ref", "--format=%(refname) %(objectname)").splitlines()
    return dict(line.split(" ") for line in lines)


class TestCreate:
    @pytest.mark.parametrize("served", [True, False])
    def test_git_finds_a_sound_repository_with_durable_settings(self, tmp_path: Path, served: bool) -> None:
        repository = Repository.create(tmp_path / "r.git", served=served)
        stock.git(repository.path, "fsck", "--strict")
        settings_of = dict(
            line.split("=", 1) for line in stock.text(repository.path, "config", "--local", "--list").splitlines()
        )
        assert settings_of["core.bare"] == "true"
        assert settings_of["gc.auto"] == "0"
        assert settings_of.get("core.fsync") == "all" or settings_of.get("core.fsyncobjectfiles") == "true"
        assert ("receive.procreceiverefs" in settings_of) is served
        assert stock.text(repository.path, "symbolic-ref", "HEAD") == "refs/heads/main"

    def test_no_repository_is_a_storage_error(self, tmp_path: Path) -> None:
        with pytest.raises(StorageError, match="no git repository"):
            Repository(tmp_path).ref("refs/heads/main")

    def test_a_place_that_cannot_be_written(self, tmp_path: Path) -> None:
        (tmp_path / "file").touch()
        with pytest.raises(StorageError):
            Repository.create(tmp_path / "file" / "r.git", served=False)


class TestMove:
    def test_create_update_delete(self, repository: Repository) -> None:
        first = commit(repository)
        second = commit(repository, first)
        repository.move([RefMove("refs/heads/main", first, ZERO)])
        assert refs(repository) == {"refs/heads/main": first}
        repository.move([RefMove("refs/heads/main", second, first), RefMove("refs/x/y", first, ZERO)])
        assert refs(repository) == repository.refs("refs/") == {"refs/heads/main": second, "refs/x/y": first}
        repository.move([RefMove("refs/x/y", ZERO, first)])
        assert refs(repository) == {"refs/heads/main": second}
        log = stock.text(repository.path, "reflog", "show", "refs/heads/main", "--format=%H %gn <%ge>")
        assert log.splitlines() == [f"{one} stateguard <guard@localhost>" for one in (second, first)]

    @pytest.mark.parametrize(
        ("new", "old"),
        [("second", "second"), ("second", "missing"), ("second", "zero"), ("zero", "second"), ("missing", "first")],
    )
    def test_one_that_does_not_fit_moves_none(self, repository: Repository, new: str, old: str) -> None:
        first = commit(repository)
        second = commit(repository, first)
        named = {"first": first, "second": second, "missing": MISSING, "zero": ZERO}
        repository.move([RefMove("refs/heads/main", first, ZERO)])
        before = refs(repository)
        for position in (0, 2):
            moves = [RefMove("refs/a/1", second, ZERO), RefMove("refs/z/1", second, ZERO)]
            moves.insert(position, RefMove("refs/heads/main", named[new], named[old]))
            with pytest.raises(StorageError, match="update-ref"):
                repository.move(moves)
            assert refs(repository) == before
            assert not list(repository.path.rglob("*.lock"))

    def test_a_ref_that_somebody_holds_moves_none(self, repository: Repository) -> None:
        first = commit(repository)
        with held(repository.path / "refs/heads/main.lock"), pytest.raises(StorageError, match="main"):
            repository.move([RefMove("refs/a/1", first, ZERO), RefMove("refs/heads/main", first, ZERO)])
        assert refs(repository) == {}

    def test_a_lock_that_a_killed_git_left_holds_nothing(self, repository: Repository) -> None:
        first = commit(repository)
        (repository.path / "refs/heads/main.lock").touch()
        repository.move([RefMove("refs/heads/main", first, ZERO)])
        assert refs(repository) == {"refs/heads/main": first}

    def test_of_many_who_race_one_wins(self, repository: Repository) -> None:
        base = commit(repository)
        repository.move([RefMove("refs/heads/main", base, ZERO)])
        candidates = [commit(repository, base, message=f"{n}\n") for n in range(6)]

        def attempt(candidate: str) -> bool:
            try:
                repository.move([RefMove("refs/heads/main", candidate, base)])
            except StorageError:
                return False
            return True

        with ThreadPoolExecutor(6) as pool:
            won = [c for c, well in zip(candidates, pool.map(attempt, candidates), strict=True) if well]
        assert won == [repository.ref("refs/heads/main")]

    @given(st.lists(st.tuples(st.sampled_from("abc"), st.integers(0, 2), st.integers(0, 2)), max_size=12))
    @settings(max_examples=12)
    def test_refs_are_what_a_dictionary_would_be(self, shared: Repository, steps: list[tuple[str, int, int]]) -> None:
        ids = [ZERO, commit(shared, message="1\n"), commit(shared, message="2\n")]
        model = {name.rsplit("/", 1)[1]: target for name, target in shared.refs("refs/model/").items()}
        for name, new, old in steps:
            fits = model.get(name, ZERO) == ids[old] and not new == old == 0
            try:
                shared.move([RefMove(f"refs/model/{name}", ids[new], ids[old])])
                assert fits
                model[name] = ids[new]
            except StorageError:
                assert not fits
            model = {key: value for key, value in model.items() if value != ZERO}
            assert shared.refs("refs/model/") == {f"refs/model/{key}": model[key] for key in sorted(model)}


class TestRefs:
    def test_packed_and_symbolic_ones_are_found(self, repository: Repository) -> None:
        first = commit(repository)
        repository.move([RefMove("refs/heads/main", first, ZERO)])
        stock.git(repository.path, "pack-refs", "--all")
        assert repository.ref("refs/heads/main") == repository.ref("HEAD") == first
        assert repository.ref("refs/heads/other") is None

    def test_a_symbolic_one_that_leads_nowhere_names_nothing(self, repository: Repository) -> None:
        stock.git(repository.path, "symbolic-ref", "refs/heads/x", "refs/heads/gone")
        assert repository.ref("HEAD") is None
        assert repository.refs("refs/heads/") == {}

    def test_damaged_ones_are_storage_errors(self, repository: Repository) -> None:
        (repository.path / "refs/heads/junk").write_text("junk")
        stock.git(repository.path, "symbolic-ref", "refs/heads/loop", "refs/heads/loop")
        for name in ("junk", "loop"):
            with pytest.raises(StorageError, match=name):
                repository.ref(f"refs/heads/{name}")

    def test_a_move_by_another_process_is_seen(self, repository: Repository) -> None:
        first = commit(repository)
        assert repository.ref("refs/heads/main") is None
        stock.git(repository.path, "update-ref", "refs/heads/main", first)
        assert repository.ref("refs/heads/main") == first


class TestReading:
    def test_a_commit_is_what_git_shows(self, repository: Repository) -> None:
        parent = commit(repository)
        made = stock.text(repository.path, "commit-tree", "-p", parent, "-m", "Größe\n\nbody", EMPTY_TREE)
        found = repository.commit(made)
        shown = stock.text(repository.path, "show", "-s", "--format=%H%n%T%n%P%n%an%n%ae%n%ct%n%B", made).split("\n", 6)
        assert [found.id, found.tree, *found.parents, found.author, found.email] == shown[:5]
        assert found.committed_at == float(shown[5])
        assert found.message == "Größe\n\nbody\n"

    @pytest.mark.parametrize(
        "rest",
        [
            b"author \xff <\xfe> 1 +0000\ncommitter a <b> 1 +0000\n\n\xff\xfe",
            b"author a <b> 1 +0000\ncommitter a <b> 1 +0000\nencoding nonsense\n\n\xff",
            b"author \xff <b> 1 +0000\ncommitter a <b> 1 +0000\nencoding utf-16\n\nabc",
            b"author a <b> 1 +0000\ncommitter a <b> 1 +0000\nencoding zlib\n\nabc",
            b"author a <b> 1 +0000\ncommitter a <b> 1 +0000\n",
        ],
    )
    def test_a_commit_in_whatever_encoding_is_read(self, repository: Repository, rest: bytes) -> None:
        made = stock.literally(repository.path, "commit", b"tree %s\n" % EMPTY_TREE.encode() + rest)
        found = repository.commit(made)
        assert found.message == rest.partition(b"\n\n")[2].decode(errors="replace")

    @given(st.binary(max_size=60).map(lambda tail: b"tree %s\n" % EMPTY_TREE.encode() + tail) | st.binary(max_size=60))
    @settings(max_examples=40)
    def test_whatever_bytes_a_commit_has(self, shared: Repository, content: bytes) -> None:
        made = stock.literally(shared.path, "commit", content)
        try:
            assert shared.commit(made).id == made
        except StorageError:
            return

    @pytest.mark.parametrize("name", [MISSING, ZERO, "zz", "", "HEAD", "1" * 39 + "\0"])
    def test_what_is_not_there(self, repository: Repository, name: str) -> None:
        for read in (repository.commit, repository.blob, repository.blob_size, repository.raw):
            with pytest.raises(StorageError):
                read(name)
        assert not repository.has(name)
        with pytest.raises(NotFoundError):
            repository.resolve(name)

    def test_another_kind_of_object(self, repository: Repository) -> None:
        made = commit(repository)
        blob = repository.write(ObjectType.BLOB, b"x")
        with pytest.raises(StorageError, match="no blob"):
            repository.blob(made)
        with pytest.raises(StorageError, match="no commit"):
            repository.commit(blob)
        with pytest.raises(NotFoundError):
            repository.resolve(blob)

    @given(st.binary(max_size=5000))
    @settings(max_examples=20)
    def test_blobs_round_trip_through_stock_git(self, shared: Repository, content: bytes) -> None:
        made = shared.write(ObjectType.BLOB, content)
        assert stock.git(shared.path, "cat-file", "blob", made) == content
        assert shared.blob(stock.literally(shared.path, "blob", content)) == content
        assert shared.blob_size(made) == len(content)
        assert shared.raw(made) == (3, content)
        assert shared.has(made)

    def test_damage_is_noticed(self, repository: Repository) -> None:
        made = repository.write(ObjectType.BLOB, b"good")
        stock.overwrite(repository.path, made, b"blob", b"evil")
        for read in (repository.blob, repository.raw):
            with pytest.raises(StorageError):
                read(made)

    @pytest.mark.parametrize("form", ["{0}", "{0:.10}", "refs/heads/main", "main", "HEAD", "main~0", "v1"])
    def test_revisions_as_people_write_them(self, repository: Repository, form: str) -> None:
        made = commit(repository)
        repository.move([RefMove("refs/heads/main", made, ZERO)])
        stock.git(repository.path, "tag", "-a", "-m", "x", "v1", made)
        assert repository.resolve(form.format(made)) == made

    @given(st.text(max_size=20))
    def test_no_text_breaks_resolving(self, shared: Repository, name: str) -> None:
        try:
            assert shared.resolve(name)
        except NotFoundError:
            return

    def test_a_quarantined_push_is_seen_with_its_quarantine_only(self, repository: Repository, tmp_path: Path) -> None:
        other = Repository.create(tmp_path / "other.git", served=False)
        made = commit(other, message="pushed\n")
        quarantine = tmp_path / "quarantine"
        shutil.copytree(other.path / "objects", quarantine)
        assert not repository.has(made)
        assert Repository(repository.path, quarantine).commit(made).message == "pushed\n"


class TestHistory:
    @given(st.lists(st.lists(st.integers(0, 20), max_size=3, unique=True), min_size=1, max_size=8), st.data())
    @settings(max_examples=20)
    def test_any_graph_is_walked_as_git_walks_it(
        self, shared: Repository, shape: list[list[int]], data: st.DataObject
    ) -> None:
        made: list[str] = []
        for number, parents in enumerate(shape):
            above = dict.fromkeys(made[p % len(made)] for p in parents) if made else {}
            made.append(commit(shared, *above, message=f"{number}\n"))
        older, newer = data.draw(st.sampled_from(made)), data.draw(st.sampled_from(made))
        listed = stock.text(shared.path, "rev-list", newer, f"^{older}").split()
        between = [c.id for c in shared.between(older, newer)]
        assert sorted(between) == sorted(listed)
        assert len(shared.between("", newer)) == len(stock.text(shared.path, "rev-list", newer).split())
        assert list(shared.first_parents(newer)) == stock.text(shared.path, "rev-list", "--first-parent", newer).split()
        base = stock.fails(shared.path, "merge-base", "--is-ancestor", older, newer)
        assert shared.is_ancestor(older, newer) is not base

    def test_children_come_before_their_parents(self, repository: Repository) -> None:
        first = commit(repository)
        second = commit(repository, first)
        third = commit(repository, second)
        assert [c.id for c in repository.between(first, third)] == [third, second]

    def test_missing_commits_are_storage_errors(self, repository: Repository) -> None:
        made = commit(repository)
        for look in (
            lambda: repository.is_ancestor(MISSING, made),
            lambda: repository.is_ancestor(made, MISSING),
            lambda: repository.between(MISSING, made),
            lambda: repository.between("", MISSING),
            lambda: list(repository.first_parents(commit(repository, MISSING))),
        ):
            with pytest.raises(StorageError):
                look()


def test_threads_read_and_write_side_by_side(repository: Repository) -> None:
    def work(number: int) -> bool:
        made = [commit(repository, message=f"{number} {n}\n") for n in range(20)]
        return [repository.commit(one).message for one in made] == [f"{number} {n}\n" for n in range(20)]

    with ThreadPoolExecutor(4) as pool:
        assert all(pool.map(work, range(8)))
