from __future__ import annotations

from pygit2.enums import ObjectType

from state import stock
from stateguard.model.identity import ZERO
from stateguard.model.tree import REGULAR
from stateguard.state import trees
from stateguard.state.forward import rollback_message, signed_commit
from stateguard.state.repository import CommitView, RefMove, Repository
from stateguard.state.snapshot import backup_ref, baseline_ref, write_snapshot
from stateguard.trust.ssh import SigningKey

AT = 1_782_900_000.0
KEY = SigningKey.generate()


def view(number: int, message: str) -> CommitView:
    return CommitView(f"{number:040x}", "", (), f"author {number}", "a@b", message, AT)


class TestRollbackMessage:
    def test_it_says_what_why_and_how_to_bring_the_change_back(self) -> None:
        withdrawn = [view(2, "Second\n\nbody\n"), view(1, "First\n")]
        said = rollback_message("baseline/3", "nutrition: ready failed", 7, 41, withdrawn, "f" * 40).splitlines()
        assert said[0] == "Roll back to baseline/3"
        assert said[1] == ""
        assert "nutrition: ready failed" in said
        assert "Incident: 7" in said
        assert "  0000000000 Second (author 2)" in said
        assert said.index("  0000000000 Second (author 2)") < said.index("  0000000000 First (author 1)")
        assert "  git revert --no-edit HEAD" in said
        assert "It is kept at refs/stateguard/withdrawn/41 (ffffffffff)." in said
        assert "body" not in said

    def test_without_an_incident_none_is_named(self) -> None:
        assert "Incident" not in rollback_message("baseline/3", "asked for", None, 1, [], "f" * 40)

    def test_a_long_list_is_cut(self) -> None:
        said = rollback_message("x", "y", None, 1, [view(n, f"c{n}") for n in range(53)], "f" * 40)
        assert "c49 (" in said
        assert "c50 (" not in said
        assert "and 3 more" in said

    def test_empty_messages_are_listed_too(self) -> None:
        said = rollback_message("x", "y", None, 1, [view(1, ""), view(2, "\n"), view(3, "\n\nz")], "f" * 40)
        assert all(f"(author {n})" in said for n in (1, 2, 3))

    def test_the_commands_it_gives_bring_the_change_back(self, repository: Repository) -> None:
        trees_of = [
            trees.build(repository, stock.put(repository, {"f": (REGULAR, text)})) for text in (b"good\n", b"bad\n")
        ]
        good = signed_commit(repository, trees_of[0], [], "Good\n", AT, KEY.sign)
        bad = signed_commit(repository, trees_of[1], [good], "Bad\n", AT, KEY.sign)
        said = rollback_message("good", "it failed", 1, 1, [repository.commit(bad)], bad)
        back = signed_commit(repository, trees_of[0], [bad], said, AT, KEY.sign)
        repository.move([RefMove("refs/heads/main", back, ZERO)])
        work = repository.path.parent / "work"
        stock.git(repository.path, "clone", "-q", str(repository.path), str(work))
        inside = ["-C", str(work), f"--git-dir={work / '.git'}", f"--work-tree={work}"]
        commands = [line[2:] for line in said.splitlines() if line.startswith("  git ")]
        assert len(commands) == 2
        for command in (part for line in commands for part in line.split(" && ")):
            stock.git(work / ".git", *inside, *command.split()[1:])
        assert (work / "f").read_bytes() == b"bad\n"


class TestSnapshot:
    def test_it_holds_the_paths_and_is_named(self, repository: Repository) -> None:
        paths = stock.put(repository, {"conversations/a.jsonl": (REGULAR, b"{}\n"), "a": (REGULAR, b"x")})
        first = write_snapshot(repository, paths, baseline_ref(1), "one\n", AT, [])
        second = write_snapshot(repository, paths, baseline_ref(2), "two\n", AT, [first])
        assert trees.path_map(repository, repository.commit(second).tree) == dict(sorted(paths.items()))
        assert repository.commit(second).parents == (first,)
        assert repository.refs("refs/stateguard/snapshots/") == {baseline_ref(1): first, baseline_ref(2): second}
        stock.git(repository.path, "fsck", "--strict")

    def test_an_earlier_one_of_that_name_is_replaced(self, repository: Repository) -> None:
        blob = repository.write(ObjectType.BLOB, b"x")
        for content in (b"one", b"two"):
            paths = stock.put(repository, {"f": (REGULAR, content)})
            made = write_snapshot(repository, paths, backup_ref(4), "m\n", AT, [])
            assert repository.ref("refs/stateguard/backups/4") == made
        assert write_snapshot(repository, paths, backup_ref(4), "m\n", AT, []) == made
        assert repository.has(blob)
