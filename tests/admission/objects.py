"""Objects of any valid form, what may happen to their bytes, and what three programs read in them."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import pygit2
from dulwich import objects as dulwich
from hypothesis import strategies as st
from pygit2.enums import ObjectType

from state import stock
from stateguard.admission.objects import Commit, Row, Tag, serialised_rows

COMMIT, TREE, TAG = 1, 2, 4
PGP = b"-----BEGIN PGP SIGNATURE-----\n\niQEzBAABCAAdFiEE=\n=abcd\n-----END PGP SIGNATURE-----\n"
SSH = b"-----BEGIN SSH SIGNATURE-----\nU1NIU0lHAAAAAQ==\n-----END SSH SIGNATURE-----\n"

ids = st.binary(min_size=20, max_size=20).map(bytes.hex).map(str.encode)
_few_ids = st.sampled_from([b"%040x" % n for n in range(1, 6)])
_characters = st.characters(blacklist_characters="\0\n<>", blacklist_categories=("Cs",))
_names = st.sampled_from([b"", b"A U Thor", "Łukasz é".encode(), b"\xe9\xff", b"Jr.", b"x y "]) | st.text(
    _characters, max_size=8
).map(str.encode)
_zones = st.sampled_from([b"+0000", b"-0000", b"+0545", b"-1200", b"+1400", b"-0330"])
_times = st.integers(0, 2**31) | st.integers(0, 10**18 - 1)
people = st.tuples(_names, _names, _times, _zones).map(lambda parts: b"%b <%b> %d %b" % parts)
_text = st.binary(max_size=30).map(lambda raw: raw.replace(b"\0", b"")) | st.sampled_from(
    [b"", b"\n", b"\n\n\n", b"Subject\n\nBody\n\n", b"no end", b" tree x\n", b"\r\n"]
)
"""Messages, in any encoding."""

_plain = _text.filter(lambda text: b"-----BEGIN" not in text)
_lines = _plain.map(lambda text: text + b"\n" if text[-1:] != b"\n" else text)


def tags(targets: st.SearchStrategy[bytes] = ids) -> st.SearchStrategy[Tag]:
    """Draw tags of commits, signed or not."""
    names = st.sampled_from([b"v1", b"release/2026-07", "é".encode()])
    return st.builds(Tag, targets, names, people, _lines, st.sampled_from([b"", SSH, PGP]))


_signatures = st.sampled_from([PGP, PGP + b"\n", SSH]).map(lambda armored: armored.removesuffix(b"\n"))


@st.composite
def commits(draw: st.DrawFn) -> Commit:
    """Draw commits with any number of parents, with and without everything that need not be there."""
    parents = tuple(draw(st.lists(_few_ids, max_size=4, unique=True)))
    merged = draw(st.lists(tags(st.sampled_from(parents)), max_size=2)) if parents else []
    known = [(b"change-id", b"kzyxwvut"), (b"HG:extra", "branch:défaut".encode()), (b"empty", b"")]
    others = [*((b"mergetag", tag.serialised().removesuffix(b"\n")) for tag in merged)]
    others += draw(st.lists(st.sampled_from(known), unique=True))
    encoding = draw(st.none() | st.sampled_from([b"ISO-8859-1", b"utf-16", b"nonsense"]))
    signature = draw(st.none() | _signatures)
    return Commit(draw(ids), parents, draw(people), draw(people), encoding, tuple(others), signature, draw(_text))


def _in_order(rows: Iterable[Row]) -> list[Row]:
    """Return rows as git sorts them, each name once."""
    once = {name: (mode, name, identity) for mode, name, identity in rows}
    return sorted(once.values(), key=lambda row: row[1] + (b"/" if row[0] == b"40000" else b""))


_row_names = st.sampled_from([b"a", b"a.b", b"a0", b"ab", b"a-", b"\xff", b"line\n", b"100644 a"]) | st.binary(
    min_size=1, max_size=4
).map(lambda raw: raw.replace(b"\0", b"x").replace(b"/", b"x").replace(b".", b"x"))
_modes = st.sampled_from([b"100644", b"100755", b"120000", b"40000", b"160000"])
trees = st.lists(st.tuples(_modes, _row_names, st.binary(min_size=20, max_size=20)), max_size=6).map(_in_order)


def _mangled(draw: st.DrawFn, content: bytes) -> bytes:
    """Do to bytes what an attacker might: to any of them, or to whole lines."""
    at = draw(st.integers(0, len(content)))
    to = draw(st.integers(at, min(len(content), at + 8)))
    lines = content.split(b"\n")
    which, other = (draw(st.integers(0, len(lines) - 1)) for _ in range(2))
    near = min(len(lines) - 1, draw(st.integers(0, 9)))
    match draw(st.integers(0, 6)):
        case 0:
            return content[:at] + draw(st.binary(max_size=4) | st.sampled_from(_INSERTED)) + content[to:]
        case 1:
            lines.insert(other, lines[which])
        case 2:
            lines[which], lines[other] = lines[other], lines[which]
        case 3:
            lines.insert(near, draw(st.sampled_from(_HEADERS)))
        case 4:
            head, _, body = content.partition(b"\n\n")
            return head + b"\n" + draw(st.sampled_from(_HEADERS)) + b"\n\n" + body
        case 5:
            true, false = draw(st.sampled_from([pair for pair in _LIKE if pair[0] in content] or [(b"", b"")]))
            return content.replace(true, false, draw(st.integers(1, 2)))
        case _:
            del lines[which]
    return b"\n".join(lines)


_INSERTED = [b"\0", b"\n", b" ", b"0", b"<", b">", b"/", b"\n ", b"\r", b"\n\n", b"40000 a\0" + bytes(20)]
_LIKE = [
    (b"100644", b"100664"),
    (b"100755", b"104755"),
    (b"40000", b"040000"),
    (b"160000", b"0160000"),
    (b" +", b" +99"),
    (b"+0000", b"+1500"),
    (b"-0330", b"-0399"),
    (b"> ", b">  "),
    (b"> ", b"> 0"),
    (b"> ", b"> -"),
    (b"> ", b"> 99999999999"),
    (b" <", b"<"),
    (b" <", b" <x> <"),
    (b"type commit", b"type tree"),
    (b"\nparent ", b"\nPARENT "),
]
"""What stands in objects, and what is like it."""

_HEADERS = [
    b"tree " + b"1" * 40,
    b"parent " + b"2" * 40,
    b"author A <a@b> 1 +0000",
    b"committer A <a@b> 1 +0000",
    b"encoding UTF-8",
    b"gpgsig x",
    b"gpgsig " + SSH.replace(b"\n", b"\n ").strip(),
    b"gpgsig-sha256 " + SSH.replace(b"\n", b"\n ").strip(),
    b"mergetag object " + b"3" * 40,
    b"change-id 1",
    b"change-id",
    b"object " + b"4" * 40,
    b"type tree",
    b"tag other",
    b" continued",
    b"",
    SSH,
]


@st.composite
def mangled(draw: st.DrawFn, whole: st.SearchStrategy[bytes]) -> bytes:
    """Draw the bytes of an object to which something was done, once or more often."""
    content = draw(whole)
    for _ in range(draw(st.integers(1, 3))):
        content = _mangled(draw, content)
    return content


ANY: dict[int, st.SearchStrategy[bytes]] = {
    COMMIT: commits().map(Commit.serialised),
    TREE: trees.map(serialised_rows),
    TAG: tags().map(Tag.serialised),
}
"""The bytes of valid objects by type number."""


@dataclass(frozen=True, slots=True)
class Person:
    """Who and when, as all programs agree on it: blanks and what libgit2 takes for crud are gone from the ends."""

    name: bytes
    email: bytes
    at: int
    offset_minutes: int


_CRUD = bytes(range(33)) + b".,:;<>\"\\'"


def person(raw: bytes) -> Person:
    """Read a person as it stands in an object."""
    who, seconds, zone = raw.rsplit(b" ", 2)
    name, _, email = who.removesuffix(b">").rpartition(b"<")
    offset = (int(zone[1:3]) * 60 + int(zone[3:])) * (-1 if zone[:1] == b"-" else 1)
    return Person(name.strip(_CRUD), email.strip(_CRUD), int(seconds), offset)


Fields = dict[str, object]


def ours(found: Commit | Tag) -> Fields:
    """Return the fields of what our parser has read."""
    if isinstance(found, Tag):
        told = {"target": found.target, "name": found.name, "tagger": person(found.tagger)}
        return told | {"message": (found.message + found.signature).lstrip(b"\n")}
    people = {"author": person(found.author), "committer": person(found.committer)}
    return people | {"tree": found.tree, "parents": found.parents, "message": found.message.lstrip(b"\n")}


def libgit2s(handle: pygit2.Repository, kind: int, content: bytes) -> Fields:
    """Return the fields that pygit2 reads; libgit2 takes line ends off the beginning of a message."""
    found = handle[handle.write(ObjectType(kind), content)]
    if isinstance(found, pygit2.Tag):
        told = {"target": str(found.target).encode(), "name": found.raw_name, "tagger": _libgit2s(found.tagger)}
        return told | {"message": (found.raw_message or b"").lstrip(b"\n")}
    assert isinstance(found, pygit2.Commit)
    return {
        "tree": str(found.tree_id).encode(),
        "parents": tuple(str(one).encode() for one in found.parent_ids),
        "author": _libgit2s(found.author),
        "committer": _libgit2s(found.committer),
        "message": found.raw_message.lstrip(b"\n"),
    }


def _libgit2s(found: pygit2.Signature) -> Person:
    return Person(found.raw_name.strip(_CRUD), found.raw_email.strip(_CRUD), found.time, found.offset)


def dulwichs(kind: int, content: bytes) -> Fields:
    """Return the fields that dulwich reads."""
    found = dulwich.ShaFile.from_raw_string(kind, content)
    if isinstance(found, dulwich.Tag):
        who = _dulwichs(found.tagger, found.tag_time, found.tag_timezone)
        message = (found.message or b"") + (found.signature or b"")
        return {"target": found.object[1], "name": found.name, "tagger": who, "message": message.lstrip(b"\n")}
    assert isinstance(found, dulwich.Commit)
    return {
        "tree": found.tree,
        "parents": tuple(found.parents),
        "author": _dulwichs(found.author, found.author_time, found.author_timezone),
        "committer": _dulwichs(found.committer, found.commit_time, found.commit_timezone),
        "message": found.message.lstrip(b"\n"),
    }


def _dulwichs(who: bytes, at: int, zone: int) -> Person:
    name, _, email = who.removesuffix(b">").rpartition(b"<")
    return Person(name.strip(_CRUD), email.strip(_CRUD), at, zone // 60)


_FORMAT = "%T%x00%P%x00%an%x00%ae%x00%ad%x00%cn%x00%ce%x00%cd%x00%B"


def gits(repository: Path, content: bytes) -> Fields:
    """Write a commit as git lets one be written, and return the fields that git reads."""
    made = stock.text(repository, "hash-object", "-t", "commit", "-w", "--stdin", stdin=content)
    words = ("log", "--no-walk", "--encoding=none", "--date=raw", f"--format=format:{_FORMAT}", made)
    tree, parents, *people, message = stock.git(repository, *words).split(b"\0")
    author, committer = (person(b"%b <%b> %b" % tuple(people[n : n + 3])) for n in (0, 3))
    told = {"tree": tree, "parents": tuple(parents.split()), "author": author, "committer": committer}
    return told | {"message": message.lstrip(b"\n")}


_ABOUT_NAMES = re.compile(r": (?:hasDot\w*|nullSha1|symlink\w+|git\w+): |: broken links$")


def complaints(repository: Path) -> list[str]:
    """Return what git's strictest check says about the forms of objects; those that they name are not there."""
    command = ["git", "--git-dir", str(repository), "fsck", "--strict", "--no-dangling"]
    done = subprocess.run(command, capture_output=True, check=False)
    found = re.findall(r"^(?:error|warning) in .*$", done.stderr.decode(errors="replace"), re.MULTILINE)
    return [line for line in found if not _ABOUT_NAMES.search(line)]
