"""Other bytes and other text from given ones, by chance."""

from __future__ import annotations

import random

INTERESTING = (
    b"\0",
    b"\n",
    b"\r",
    b" ",
    b"\xff",
    b"\x7f",
    b"/",
    b"..",
    b"-",
    b":",
    b"40000 ",
    b"\n\n",
    b"gpgsig ",
    b"\xc0\xaf",
)


def mutated(chance: random.Random, content: bytes, most: int = 3) -> bytes:
    """Return bytes with up to so many changes: flipped bits, cut, doubled, swapped and interesting pieces."""
    found = bytearray(content)
    for _ in range(chance.randint(1, most)):
        place = chance.randrange(len(found) + 1)
        length = chance.randint(1, 12)
        match chance.randrange(6):
            case 0 if place < len(found):
                found[place] ^= 1 << chance.randrange(8)
            case 1:
                del found[place : place + length]
            case 2:
                found[place:place] = found[place : place + length]
            case 3:
                found[place:place] = chance.choice(INTERESTING)
            case 4:
                other = chance.randrange(len(found) + 1)
                found[place:place] = found[other : other + length]
            case _:
                found[place : place + length] = chance.randbytes(length)
    return bytes(found)


def changed(chance: random.Random, content: bytes) -> bytes:
    """Return bytes that differ from these."""
    while (found := mutated(chance, content)) == content:
        continue
    return found
