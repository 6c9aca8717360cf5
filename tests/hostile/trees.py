"""Trees with names, modes and links that must not come in, and what an independent reading says of those that do."""

from __future__ import annotations

import random
import re
import unicodedata
from collections.abc import Iterator
from itertools import product
from pathlib import Path

from admission.trees import FILES, Objects, flat
from hostile.kinds import Attempt, Kind
from stateguard.admission.admit import Verdict, judge
from stateguard.admission.tree import Tree
from stateguard.config.defaults import default_policy

_GIT = [
    ".git",
    ".GIT",
    ".Git",
    ".git ",
    ".git.",
    ".git. .",
    "git~1",
    "GIT~1",
    "git~2",
    ".git::$INDEX_ALLOCATION",
    ".git:x",
    ".g\u200cit",
    ".gi\u200dt",
    "\ufeff.git",
    ".git\u200f",
    ".g\u2060it",
    ".git\\x",
    ".GiT\u202e",
]
_LOST = [
    "a ",
    "a.",
    "a..",
    " .",
    "-rf",
    "--output=x",
    "a\\b",
    "C:",
    "a:b",
    "a*",
    "what?",
    'say"so"',
    "<a>",
    "a|b",
    "..",
    ".",
    "",
]
_DEVICES = [
    "CON",
    "con.txt",
    "nul",
    "NUL.tar.gz",
    "aux",
    "Prn.md",
    "com1",
    "COM9.x",
    "lpt1",
    "lpt²",
    "conin$",
    "CONOUT$",
]
_SIGNS = [
    "a\nb",
    "a\rb",
    "a\tb",
    "\x1b[31m",
    "a\x07",
    "a\x7f",
    "a\x85b",
    "a\u2028b",
    "a\u202eb",
    "a\u2066b",
    "a\u200bb",
    "a\u061c",
    "a\U000e0041",
    "a\u180e",
    "e\u0301",
    "\u1100\u1161",
    "a\u00adb\u200e",
]
_LONG = ["x" * 201, "é" * 101, "日" * 67]
_RAW = [b"a\xff", b"\xc0\xaf", b"\xed\xa0\x80", b"\xf4\x90\x80\x80", b"\x80", b"a\xe2\x80"]
_PLACES = [("", ""), ("config/", ""), ("", "/inner.txt"), ("agents/a/", "/x.md"), ("deep/er/", "/and/deeper.yaml")]
_MODES = [0o100664, 0o100600, 0o104755, 0o102755, 0o160000, 0o40755, 0o120777, 0o10644, 0o60644, 0, 0o777777, 0o100645]
_TARGETS = [
    b"/etc/passwd",
    b"../../x",
    b"../../../../etc/shadow",
    b"a/../../b",
    b".git/config",
    b"",
    b"a\0b",
    b"a\nb",
    b"a\\b",
    b"\xff",
    b"x" * 1025,
    b"../..",
    b"./../..",
    b".GIT/hooks",
    b"git~1/x",
]

_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029]")
_UNSEEN = re.compile("[\u061c\u180e\u200b-\u200f\u202a-\u202e\u2060-\u206f\ufeff\U000e0000-\U000e007f]")
_DEVICE = re.compile(r"(con|prn|aux|nul|com[0-9¹²³]|lpt[0-9¹²³]|conin\$|conout\$) *(\..*)?", re.IGNORECASE)


def by_hand() -> list[tuple[str, dict[bytes, int], dict[bytes, bytes]]]:
    """Return hostile paths with their modes, and hostile links with their targets, each as a case of its own."""
    names = [name.encode() for name in (*_GIT, *_LOST, *_DEVICES, *_SIGNS, *_LONG)] + _RAW
    cases = [
        (f"name {name!r} in {lead + name + tail!r}", {lead + name + tail: 0o100644}, {})
        for name, (lead, tail) in product(names, [(a.encode(), b.encode()) for a, b in _PLACES])
    ]
    cases += [(f"mode {mode:o}", {b"config/x": mode}, {}) for mode in _MODES]
    cases += [(f"link to {target!r}", {}, {b"config/x": target}) for target in _TARGETS]
    cases += [
        ("depth", {b"/".join([b"a"] * 65): 0o100644}, {}),
        ("length", {b"/".join([b"x" * 100] * 11): 0o100644}, {}),
        ("case", {b"config/Readme": 0o100644, b"config/README": 0o100644}, {}),
        ("case of directories", {b"Config/x": 0o100644, b"config/y": 0o100644}, {}),
        ("case beyond ASCII", {"config/Straße".encode(): 0o100644, b"config/STRASSE": 0o100644}, {}),
        ("the guard's own", {b".stateguard/x": 0o100644}, {}),
        ("being written", {b"config/.stateguard-tmp-x": 0o100644}, {}),
        ("a declaration as a link", {}, {b"agents/a/agent.yaml": b"prompt.md"}),
        ("the policy as a link", {}, {b"stateguard.yaml": b"config/limits.yaml"}),
        ("attributes as a link", {}, {b".gitattributes": b"config/limits.yaml"}),
    ]
    return cases


def _built(paths: dict[bytes, int], links: dict[bytes, bytes]) -> Tree:
    store = Objects()
    entries = {path.encode(): (0o100644, store.put(data)) for path, data in FILES.items()}
    entries |= {path: (mode, store.put(b"x\n")) for path, mode in paths.items()}
    entries |= {path: (0o120000, store.put(target)) for path, target in links.items()}
    return flat(entries, store)


def _judged(paths: dict[bytes, int], links: dict[bytes, bytes]) -> Verdict:
    return judge(_built(paths, links), None, default_policy())


def _refused_by_hand(chance: random.Random, trials: int, place: Path) -> Iterator[Attempt]:
    del chance, place
    for what, paths, links in by_hand()[:trials]:
        yield what, lambda paths=paths, links=links: not _judged(paths, links).admitted  # type: ignore[misc]


def _as_it_says(chance: random.Random, trials: int, place: Path) -> Iterator[Attempt]:
    """Yield trees of names put together by chance; what comes in must be harmless by another reading."""
    del place
    pieces = [
        *_GIT,
        *_LOST,
        *_DEVICES,
        *_SIGNS,
        "a",
        "b",
        "config",
        "agent.yaml",
        "é",
        "x" * 150,
        "Readme",
        "README",
        "日本",
    ]
    for _ in range(trials):
        paths, links = dict[bytes, int](), dict[bytes, bytes]()
        for _ in range(chance.randint(1, 4)):
            parts = [_part(chance, pieces) for _ in range(chance.randint(1, 4))]
            path = b"/".join(parts)
            if chance.random() < 0.15:
                links[path] = chance.choice([*_TARGETS, b"b", b"../a", b"config/limits.yaml"])
            else:
                paths[path] = (
                    chance.choice([0o100644, 0o100644, 0o100755, *_MODES]) if chance.random() < 0.3 else 0o100644
                )
        clean = {p: m for p, m in paths.items() if not any(o != p and o.startswith(p + b"/") for o in (*paths, *links))}
        yield repr((clean, links)), lambda paths=clean, links=links: _harmless_or_refused(paths, links)  # type: ignore[misc]


def _part(chance: random.Random, pieces: list[str]) -> bytes:
    first = chance.choice(pieces)
    if chance.random() < 0.2:
        first += chance.choice(pieces)
    raw = first.encode()
    return raw + chance.choice(_RAW) if chance.random() < 0.05 else raw


def _harmless_or_refused(paths: dict[bytes, int], links: dict[bytes, bytes]) -> bool:
    verdict = _judged(paths, links)
    if not verdict.admitted:
        return all(problem.message and problem.message.isprintable() for problem in verdict.problems)
    return all(map(_is_harmless, (*paths, *links))) and all(m in (0o100644, 0o100755) for m in paths.values())


def _is_harmless(path: bytes) -> bool:
    """Say whether nobody would take a path for anything else; written without a look at admission."""
    try:
        text = path.decode()
    except UnicodeDecodeError:
        return False
    if unicodedata.normalize("NFC", text) != text or len(path) > 1024:
        return False
    for name in text.split("/"):
        bare = _UNSEEN.sub("", name).casefold()
        if name in ("", ".", "..") or bare != name.casefold() or _CONTROL.search(name) or set(name) & set('\\:*?"<>|'):
            return False
        if bare.rstrip(" .") == ".git" or re.fullmatch(r"git~\d+", bare) or _DEVICE.fullmatch(name):
            return False
        if name[0] == "-" or name[-1] in " ." or len(name.encode()) > 200:
            return False
    return True


KINDS = (
    Kind("hand-made trees", "refused", 10_000, 10_000, _refused_by_hand),
    Kind("trees", "refused, or harmless by another reading", 40_000, 400, _as_it_says),
)
