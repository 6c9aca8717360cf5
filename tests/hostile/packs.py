"""Packs that git would not have made: refused by git or by the guard, or exactly what their ids say."""

from __future__ import annotations

import random
import shutil
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path

from dulwich.objects import ShaFile

from hostile.kinds import Attempt, Kind
from hostile.plain import packed
from packing import (
    BLOB,
    COMMIT,
    ID_DELTA,
    OFFSET_DELTA,
    TRAILER_BYTES,
    TREE,
    Part,
    chain,
    connected,
    copy,
    delta,
    identity,
    indexed,
    insert,
    pack,
    sealed,
)  # fmt: skip
from stateguard.errors import StateguardError
from stateguard.guard.admit import admit
from stateguard.guard.compose import Guard, compose
from stateguard.guard.found import Founding, found
from stateguard.host.home import Home
from stateguard.model.identity import AUDIT, MAIN
from stateguard.state.repository import Repository

Made = tuple[bytes, str]
"""A pack, and the commit that the push would move main to."""
_BIG = 1 << 20


class _Room:
    """A home whose guard is asked, a good push to it, and what must not change."""

    def __init__(self, place: Path) -> None:
        source = place / "source"
        (source / "config").mkdir(parents=True)
        for number in range(8):
            (source / "config" / f"{number}.md").write_text(f"file {number}\n" * 20)
        home = Home(place / "home")
        found(Founding(home, source, home.default_live, baseline=False, user="ann"), lambda _: None)
        self.guard: Guard = compose(home, lambda *_: None)
        files = {f"config/{n}.md".encode(): (0o100644, b"file %d\n" % n * 20) for n in range(8)}
        files |= {f"config/new/{n}.md".encode(): (0o100644, b"new %d\n" % n * 30) for n in range(6)}
        self.parts, self.commit = packed(files, (self.guard.main,))
        self.quarantine, self.before = place / "quarantine", self.state()

    def state(self) -> tuple[dict[str, str], dict[str, bytes]]:
        """Return refs but for the record of refusals, and all files that agents read."""
        live = self.guard.live
        files = {str(p.relative_to(live)): p.read_bytes() for p in sorted(live.rglob("*")) if p.is_file()}
        return {name: at for name, at in self.guard.repository.refs("refs/").items() if name != AUDIT}, files

    def delivered(self, content: bytes, new: str) -> tuple[bool, str]:
        """Deliver a pack as receive-pack does; say whether it came in, and who refused it."""
        path = self.guard.repository.path
        try:
            if indexed(content, self.quarantine, path).returncode != 0:
                return False, "git"
            if not connected(self.quarantine, path, new):
                return False, "git"
            try:
                verdict = admit(self.guard, [[self.guard.main, new, MAIN]], str(self.quarantine), [], "eve")
            except StateguardError:
                return False, "the guard"
            if verdict.admitted:
                self._read_all(new)
            return verdict.admitted, "the guard"
        finally:
            shutil.rmtree(self.quarantine)

    def _read_all(self, new: str) -> None:
        """Demand that each object of what was admitted has the bytes that its id names, by another reading."""
        reader, todo = Repository(self.guard.repository.path, self.quarantine), [new]
        while todo:
            name = todo.pop()
            kind, content = reader.raw(name)
            assert ShaFile.from_raw_string(kind, content).id.decode() == name == identity(kind, content)
            if kind == TREE:
                todo += [str(entry.id) for entry in reader.handle[name]]  # type: ignore[attr-defined]
            elif kind == COMMIT:
                todo.append(reader.commit(name).tree)


def _flipped(chance: random.Random, content: bytes) -> bytes:
    out = bytearray(content)
    for _ in range(chance.randint(1, 3)):
        out[chance.randrange(len(out))] ^= 1 << chance.randrange(8)
    return bytes(out)


def _with_bytes(chance: random.Random, room: _Room) -> tuple[str, Made]:
    whole = pack(room.parts)
    body, cut = whole[:-TRAILER_BYTES], chance.randrange(len(whole))
    made: tuple[str, Callable[[], bytes]] = chance.choice([
        ("flipped", lambda: _flipped(chance, whole)),
        ("flipped, and sealed again", lambda: sealed(_flipped(chance, body))),
        ("cut", lambda: whole[:cut]),
        ("cut, and sealed again", lambda: sealed(body[:cut])),
        ("something behind it", lambda: whole + chance.randbytes(9)),
        ("something in it", lambda: sealed(body[:cut] + chance.randbytes(3) + body[cut:])),
        ("another count", lambda: pack(room.parts, said=chance.choice([0, 1, len(room.parts) + 1, 1 << 31]))),
        ("another version", lambda: sealed(body[:7] + bytes([chance.choice([0, 1, 4, 9])]) + body[8:])),
        ("a wrong checksum", lambda: body + chance.randbytes(TRAILER_BYTES)),
    ])  # fmt: skip
    return made[0], (made[1](), room.commit)


def _with_parts(chance: random.Random, room: _Room) -> tuple[str, Made]:
    parts, at = list(room.parts), chance.randrange(len(room.parts))
    part, junk = parts[at], chance.randbytes(20)
    length, other = len(part.content), chance.choice(["11" * 20, identity(part.kind, part.content), room.guard.main])
    lies = [length + 1, length * 2 + 1, max(0, length - 1), 0, 1 << 33]
    changes: list[tuple[str, Sequence[Part]]] = [
        ("one twice", [*parts, part]),
        ("all twice", [*parts, *parts]),
        ("one is missing", parts[:at] + parts[at + 1 :]),
        ("another order", chance.sample(parts, len(parts))),
        ("a base that is not there", [*parts, Part(ID_DELTA, delta(9, 9, insert(b"123456789")), "22" * 20)]),
        ("a delta of itself", [*parts, Part(OFFSET_DELTA, delta(length, 5, insert(b"abcde")), len(parts))]),
        ("sizes that lie", [*parts[:at], Part(part.kind, part.content, size=chance.choice(lies)), *parts[at + 1 :]]),
        ("a delta without sense", [*parts, Part(ID_DELTA, delta(length, chance.choice(lies), junk), other)]),
        ("copied from beyond", [*parts, Part(ID_DELTA, delta(length, 99, copy(length, 99)), other)]),
        ("junk of a kind", [*parts, Part(chance.choice([1, 2, 4, 5, 0]), junk)]),
        ("bases in a circle", [*parts, *_circle(chance)]),
    ]
    what, chosen = chance.choice(changes)
    return what, (pack(chosen), room.commit)


def _circle(chance: random.Random) -> list[Part]:
    """Return two deltas of which each hangs on what the other makes."""
    one, two = chance.randbytes(20), chance.randbytes(20)
    return [
        Part(ID_DELTA, delta(20, 20, insert(one)), identity(BLOB, two)),
        Part(ID_DELTA, delta(20, 20, insert(two)), identity(BLOB, one)),
    ]


def _bomb(chance: random.Random, room: _Room) -> tuple[str, Made]:
    kind, first = chance.choice([COMMIT, TREE, BLOB]), bytes(_BIG)
    many = chance.choice([33, 64, 512])
    large = [Part(kind, first), Part(OFFSET_DELTA, delta(_BIG, many * _BIG, *[copy(0, _BIG)] * many), 0)]
    endless = [Part(BLOB, first), Part(OFFSET_DELTA, delta(_BIG, 1 << chance.choice([34, 40, 62]), copy(0, _BIG)), 0)]
    what, parts = chance.choice([
        ("a bomb", large), ("a bomb that lies", endless), ("a long chain", [*chain(chance.choice([4096, 6000]))]),
    ])  # fmt: skip
    return what, (pack([*parts, *room.parts]), room.commit)


def _attempts(chance: random.Random, trials: int, place: Path) -> Iterator[Attempt]:
    room = _Room(place)
    try:
        assert room.delivered(pack(room.parts), room.commit) == (True, "the guard"), "without a change it comes in"
        for number in range(trials):
            make = _bomb if number % 40 == 0 else chance.choice([_with_bytes, _with_parts])
            what, (content, new) = make(chance, room)
            yield f"{number}: {what}", partial(_harmless, room, content, new)
    finally:
        room.guard.close()


def _harmless(room: _Room, content: bytes, new: str) -> bool:
    room.delivered(content, new)
    assert room.state() == room.before
    return True


KINDS = (Kind("packs", "refused by git or the guard, or what its ids say", 3_000, 80, _attempts),)
