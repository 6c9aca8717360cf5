"""Signatures and signed tags with other bytes: none may count."""

from __future__ import annotations

import base64
import random
from collections.abc import Iterator
from pathlib import Path

from hostile.kinds import Attempt, Kind
from hostile.mutation import changed
from stateguard.errors import StateguardError, TrustError
from stateguard.state.commits import raw_commit, split_signature, with_signature
from stateguard.state.tags import raw_tag
from stateguard.trust.public import PublicKey
from stateguard.trust.ssh import SigningKey, verify

_BEGIN, _END = "-----BEGIN SSH SIGNATURE-----", "-----END SSH SIGNATURE-----"
_KEY, _OTHER = SigningKey.generate(), SigningKey.generate()
_AT = 1_782_900_000.0
_TREE = "4b825dc642cb6eb9a060e54bf8d69288fbee4904"


def _accepted(content: bytes, armored: str, key: PublicKey = _KEY.public) -> bool:
    try:
        verify(content, armored, key)
    except TrustError:
        return False
    return True


def _blob(armored: str) -> bytes:
    return base64.b64decode("".join(armored.split("\n")[1:-2]))


def _armored(blob: bytes) -> str:
    return f"{_BEGIN}\n{base64.encodebytes(blob).decode()}{_END}\n"


def _signatures(chance: random.Random, trials: int, place: Path) -> Iterator[Attempt]:
    """Yield a changed signature, a changed content, or one of another key, namespace or content."""
    del place
    content = raw_tag(_TREE, "baseline/1", "a statement\n", _AT)
    good = _KEY.sign(content)
    assert _accepted(content, good)
    others = [_OTHER.sign(content), _KEY.sign(content, "file"), _KEY.sign(content + b"x"), ""]
    for number in range(trials):
        match number % 4:
            case 0:
                blob = changed(chance, _blob(good))
                yield f"blob {blob!r}", lambda blob=blob: not _accepted(content, _armored(blob))  # type: ignore[misc]
            case 1:
                text = changed(chance, content)
                yield f"content {text!r}", lambda text=text: not _accepted(text, good)  # type: ignore[misc]
            case 2:
                armor = changed(chance, good.encode()).decode("utf-8", "replace")
                # What reads as the same signature is the same one: line ends and blanks of the armor mean nothing.
                yield f"armor {armor!r}", lambda armor=armor: not _accepted(content, armor) or _same(armor, good)  # type: ignore[misc]
            case _:
                other = chance.choice(others)
                yield f"other {other!r}", lambda other=other: not _accepted(content, other)  # type: ignore[misc]


def _same(armor: str, good: str) -> bool:
    inner = armor.partition(_BEGIN)[2].partition(_END)[0]
    return base64.b64decode(inner) == _blob(good)


def _commits(chance: random.Random, trials: int, place: Path) -> Iterator[Attempt]:
    """Yield signed commits with other bytes: what is left of them is not signed, or by nobody whom we trust."""
    del place
    unsigned = raw_commit(_TREE, [], "a change\n", _AT)
    good = with_signature(unsigned, _KEY.sign(unsigned))
    for _ in range(trials):
        content = changed(chance, good)
        yield repr(content), lambda content=content: not _counts(content, unsigned)  # type: ignore[misc]


def _counts(content: bytes, unsigned: bytes) -> bool:
    """Say whether a commit counts as signed although it is not the one that was signed."""
    try:
        signed, armored = split_signature(content)
    except StateguardError:
        return False
    return armored is not None and signed != unsigned and _accepted(signed, armored)


KINDS = (
    Kind("signatures", "does not count", 10_000, 200, _signatures),
    Kind("signed commits", "does not count for other bytes", 10_000, 200, _commits),
)
