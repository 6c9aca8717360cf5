"""What one push may change and bring: counted before it is read, in all of its commits, and not what was there."""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path

import pytest
from pygit2.enums import ObjectType

from driving import Driver, git, sh
from helpers import eventually
from hostile.plain import packed
from packing import COMMIT, ID_DELTA, TREE, ZERO, Part, chain, delta, identity, insert, pack, received, sealed
from stateguard.guard.budget import MOST_DELTAS, Deadline, Spending, changed_problems
from stateguard.guard.secrets import Search
from stateguard.model.policy import PushBudget
from stateguard.model.tree import REGULAR, Entry
from stateguard.state import trees
from stateguard.state.commits import raw_commit
from stateguard.state.repository import Repository
from tiny import write_tiny

FILES, SIZE = 4, 64 * 1024


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Driver]:
    """Make a home with a small budget; what ``init`` takes is more than that."""
    root = tmp_path_factory.mktemp("budget")
    source = write_tiny(root / "source")
    for number in range(3 * FILES):
        (source / f"notes{number}.md").write_text(f"{number}\n")
    (source / "large.bin").write_bytes(bytes(2 * SIZE))
    driver = Driver(root, source).init("--no-baseline")
    settings = driver.home / "guard.yaml"
    settings.write_text(settings.read_text() + f"push: {{max_files: {FILES}, max_size: {SIZE // 1024}KiB}}\n")
    try:
        yield driver.start()
    finally:
        driver.close()


@pytest.fixture
def driver(home: Driver) -> Driver:
    home.settled()
    home.sync()
    return home


def write(driver: Driver, files: int, size: int, name: str) -> None:
    for number in range(files):
        driver.edit(f"etc/{name}{number}", f"{name}{number}".ljust(size, "."))
    driver.commit(f"Add {name}")


def refused(driver: Driver, says: str, ref: str = "HEAD:main") -> None:
    refs = driver.refs()
    done = driver.push(ref=ref)
    assert done.returncode == 1
    assert says in done.stderr
    assert f"at most {FILES} files and 64.0 KiB come in by one push; push it in parts" in done.stderr
    assert driver.refs() == refs
    last = driver.ask("audit", "log")["entries"][0]
    assert (last["kind"], last["body"]["problems"][0]["code"]) == ("refusal", "budget")


def test_as_much_as_the_budget_comes_in_and_one_more_does_not(driver: Driver) -> None:
    write(driver, FILES, SIZE // FILES, "fits")
    assert driver.push().returncode == 0
    write(driver, FILES + 1, 8, "many")
    refused(driver, "this push brings 5 new files with 40 B, ")
    driver.sync()
    write(driver, FILES, SIZE // FILES + 1, "much")
    refused(driver, "this push brings 4 new files with 64.0 KiB, ")
    refused(driver, "this push brings 4 new files with 64.0 KiB, ", "HEAD:refs/heads/topic")


def test_what_a_later_commit_removes_counts(driver: Driver) -> None:
    write(driver, FILES + 1, 8, "passing")
    sh("git", "rm", "-q", "-r", "etc", cwd=driver.work, check=False)
    sh("git", "commit", "-q", "-m", "Take it out again", cwd=driver.work)
    refused(driver, "this push brings 5 new files")


def test_parts_come_in_on_a_branch_and_not_all_at_once_on_main(driver: Driver) -> None:
    for part in ("one", "two"):
        write(driver, FILES, 8, part)
        assert driver.push(ref="HEAD:refs/heads/parts").returncode == 0
    refused(driver, "this push changes 8 files of main, ")


def test_bytes_that_were_there_do_not_count(driver: Driver) -> None:
    large = (driver.work / "large.bin").read_bytes()
    (driver.work / "etc").mkdir(exist_ok=True)
    (driver.work / "etc" / "copy.bin").write_bytes(large)
    driver.commit("Copy what is there")
    done = driver.push()
    assert done.returncode == 0, done.stderr


def test_what_is_removed_is_a_change_too(driver: Driver) -> None:
    git(driver.work, "rm", "-q", "notes0.md", "notes1.md", "notes2.md", "notes3.md", "notes4.md")
    driver.commit("Remove")
    refused(driver, "this push changes 5 files of main, ")


def test_a_person_on_the_host_may_apply_more(driver: Driver) -> None:
    """Going to a commit that a person names, and taking in what lies in the live directory, is no push."""
    before = driver.main
    for name in ("notes6.md", "notes7.md", "notes8.md", "notes9.md", "notes10.md"):
        (driver.live / name).write_text("edited\n")
    driver.must("adopt")
    driver.must("apply", before)
    assert git(driver.repository, "rev-parse", "main^{tree}") == git(
        driver.repository, "rev-parse", f"{before}^{{tree}}"
    )


def test_the_hook_holds_to_it_while_no_guard_runs(driver: Driver) -> None:
    driver.stop()
    try:
        write(driver, FILES + 1, 8, "alone")
        assert "this push brings 5 new files" in driver.push().stderr
    finally:
        driver.start()


def test_a_pack_that_is_too_heavy_is_refused_before_anything_in_it_is_read(driver: Driver) -> None:
    """By a client that speaks to receive-pack itself: stock git makes no such pack."""
    refs, head = driver.refs(), driver.main
    tree = identity(TREE, b"")
    commit = f"tree {tree}\nparent {head}\nauthor a <a@b> 1 +0000\ncommitter a <a@b> 1 +0000\n\nBomb\n".encode()
    bomb = [*chain(MOST_DELTAS + 1), Part(TREE, b""), Part(COMMIT, commit)]
    for ref, old in (("refs/heads/main", head), ("refs/heads/bomb", ZERO)):
        answer = received(driver.repository, pack(bomb), identity(COMMIT, commit), ref, old)
        assert "has 4,096 deltas one over another" in answer
        assert f"ng {ref} pre-receive hook declined" in answer
        assert driver.refs() == refs
    assert not list((driver.repository / "objects").glob("tmp_objdir*"))


@pytest.mark.parametrize("seed", range(3))
def test_packs_that_git_would_not_have_made_change_nothing(driver: Driver, seed: int) -> None:
    chance, head = random.Random(seed), driver.main
    parts, commit = packed({b"stateguard.yaml": (0o100644, b"apiVersion: stateguard/v1\n")}, (head,))
    whole, at = pack(parts), chance.randrange(20, 60)
    lost = Part(ID_DELTA, delta(9, 3, insert(b"abc")), "22" * 20)
    refs, pid = driver.refs(), driver.status()["guard"]["pid"]
    for content in (
        whole[:at],
        sealed(whole[:at] + b"\xff" + whole[at + 1 : -20]),
        whole[:-1] + bytes([whole[-1] ^ 1]),
        pack(parts, said=len(parts) + 1),
        pack([*parts, lost]),
        pack([*parts, parts[seed]]),
        pack([Part(one.kind, one.content, size=len(one.content) + 1) for one in parts]),
        pack(parts[1:]),
    ):
        answer = received(driver.repository, content, commit, "refs/heads/main", head)
        assert "ok refs/heads/main" not in answer
        assert "Traceback" not in answer
        assert driver.refs() == refs
    assert driver.status()["guard"]["pid"] == pid


def test_what_git_takes_follows_the_settings(driver: Driver) -> None:
    settings, text = driver.home / "guard.yaml", (driver.home / "guard.yaml").read_text()

    def limit() -> str:
        return git(driver.repository, "config", "receive.maxInputSize")

    assert limit() == str(64 * 1024 * 1024 + 2 * SIZE)
    settings.write_text(text.replace(f"max_size: {SIZE // 1024}KiB", "max_size: 1MiB"))
    try:
        eventually(lambda: limit() == str(66 * 1024 * 1024), seconds=20)
    finally:
        settings.write_text(text)


def test_the_shipped_budget() -> None:
    shipped = PushBudget()
    assert changed_problems(10_000, shipped) == []
    assert (
        "changes 10001 files of main, at most 10000 files and 20.0 MiB" in changed_problems(10_001, shipped)[0].message
    )
    spending = Spending(shipped)
    assert spending.add(20 * 1024 * 1024)
    assert spending.problem() is None
    assert not spending.add(1)


def test_nothing_over_the_budget_is_read_and_time_ends(tmp_path: Path) -> None:
    repository = Repository.create(tmp_path / "repo.git", served=False)
    key = "gh" + "p_" + "9aK3mQ7zT1wX5bV8nC2dF6gH4jL0pR9sY7uE"
    blob = Entry(REGULAR, repository.write(ObjectType.BLOB, f"github: {key}\n".encode()))
    commit = repository.write(ObjectType.COMMIT, raw_commit(trees.build(repository, {"a": blob}), [], "Add\n", 0.0))
    for budget, waived, found in (
        (PushBudget(), False, ["secret"]),
        (PushBudget(1, 3), False, []),
        (PushBudget(1, 3), True, ["secret"]),
    ):
        search = Search(repository, (), None, Spending(budget, waived=waived))
        search.through(commit)
        assert (search.over is None) == (budget == PushBudget())
        assert [p.code for p in search.problems] == found
    late = Search(repository, (), None, deadline=Deadline(0.0))
    late.through(commit)
    assert [p.code for p in late.problems] == ["budget"]
    assert "more than 0 s" in late.problems[0].message
