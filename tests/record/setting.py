"""A guard's books in a temporary directory."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from pygit2.enums import ObjectType

from state import stock
from stateguard.host.database import Database
from stateguard.model.baseline import Baseline, Statement
from stateguard.model.identity import MAIN, ZERO
from stateguard.model.tree import REGULAR
from stateguard.record.audit import Audit, Entry
from stateguard.record.baseline import Baselines, Places
from stateguard.record.people import People
from stateguard.state import trees
from stateguard.state.forward import signed_commit
from stateguard.state.repository import RefMove, Repository
from stateguard.state.tags import raw_tag
from stateguard.trust.keys import PRINCIPAL
from stateguard.trust.ssh import SigningKey
from stateguard.trust.statement import canonical, parse

AT = 1_782_900_000.0
KEY, OTHER = SigningKey.generate(), SigningKey.generate()
IDENTITY = "repository-1"


@dataclass
class Books:
    """Both repositories, already there below ``root``, the database, and what is written on them."""

    root: Path
    repository: Repository = field(init=False)
    captured: Repository = field(init=False)
    database: Database = field(init=False)
    audit: Audit = field(init=False)
    people: People = field(init=False)
    baselines: Baselines = field(init=False)

    def __post_init__(self) -> None:
        self.repository = Repository(self.root / "repo.git")
        self.captured = Repository(self.root / "captured.git")
        (self.root / "trust").mkdir(exist_ok=True)
        (self.root / "trust" / "allowed_signers").write_text(f'{PRINCIPAL} namespaces="git" {KEY.public.line}\n')
        self.open(self.root / "guard.db")

    def open(self, database: Path, identity: str = IDENTITY) -> None:
        """Open a database, perhaps another one than before, as a guard does when it starts."""
        if hasattr(self, "database"):
            self.database.close()
        self.database = Database(database)
        self.audit = Audit(self.repository, self.database, KEY.sign)
        places = Places(self.repository, self.captured, identity, self.database)
        self.people = People(self.root / "trust", self.root / "gnupg", self.database, self.audit)
        self.baselines = Baselines(places, self.audit, KEY.public, lambda: KEY, self.people)

    def commit(self, files: dict[str, bytes]) -> str:
        """Put a signed commit of some files on main."""
        old = self.repository.ref(MAIN)
        paths = stock.put(self.repository, {path: (REGULAR, content) for path, content in files.items()})
        tree = trees.build(self.repository, paths)
        made = signed_commit(self.repository, tree, [old] if old else [], "m\n", AT, KEY.sign)
        self.repository.move([RefMove(MAIN, made, old or ZERO)])
        return made

    def baseline(self, content: bytes = b"one") -> Baseline:
        """Make a baseline of a state with one file on main and one captured file."""
        revision = self.commit({"config/a": content})
        files: stock.Files = {"config/a": (REGULAR, content), "conversations/c.jsonl": (REGULAR, b"said " + content)}
        return self.baselines.create(revision, stock.put(self.captured, files), "guard", {"health": "HEALTHY"})

    def note(self, *kinds: str) -> None:
        """Write one entry of each kind, each in a commit of its own."""
        for kind in kinds:
            self.audit.append([Entry(kind, "person:ada", {"n": kind})])

    def problems(self) -> tuple[str, ...]:
        """Return what verifying the chain finds."""
        return self.audit.verify(KEY.public).problems

    def ref(self, name: str, object_id: str) -> None:
        """Set a ref behind the guard's back."""
        file = self.repository.path / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(object_id + "\n")

    def tag(self, content: bytes, number: int) -> str:
        """Put a tag object under the number of a baseline behind the guard's back."""
        made = self.repository.write(ObjectType.TAG, content)
        self.ref(f"refs/tags/baseline/{number}", made)
        return made


def statement_in(books: Books, number: int) -> Statement:
    """Return the statement in a tag, read with stock git."""
    body = stock.text(books.repository.path, "cat-file", "tag", f"refs/tags/baseline/{number}").split("\n\n", 1)[1]
    return parse(body.partition("-----BEGIN")[0])


def forged(statement: Statement, key: SigningKey | None, name: str | None = None, target: str | None = None) -> bytes:
    """Return the bytes of a tag object that says what we like."""
    unsigned = raw_tag(name or statement.tag, target or statement.revision, canonical(statement), AT)
    return unsigned + (key.sign(unsigned).encode() if key else b"")


def only(baselines: list[Baseline]) -> Baseline:
    assert len(baselines) == 1
    return baselines[0]
