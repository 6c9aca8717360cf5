"""What a rule is: the literals that make it worth a look, a bounded pattern, and a last word on what matched.

A pattern either has no groups, and then the value is all that it matched, or its last group is the value. Every
repetition has an upper bound, so that a rule costs at most a fixed time for each place where its literal stands.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

from stateguard.admission.secrets.values import is_placeholder

ALNUM = "[A-Za-z0-9]"
HEX = "[0-9a-f]"
URLSAFE = "[A-Za-z0-9_-]"
UUID = "[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"
BASE64 = "[A-Za-z0-9+/]"

_ASSIGNED = r"[\w.-]{0,40}[\"'\]]{0,2}[ \t]{0,8}(?:=>|:=|=|:|>)[ \t]{0,8}\\?[\"'`]?"
"""From a word in the name of a setting to where its value begins, in YAML, JSON, .env, shell and Python."""


def is_not_placeholder(match: re.Match[bytes]) -> bool:
    """Say whether a value that has the right format is more than a stand-in for one."""
    return not is_placeholder(value_of(match))


def value_of(match: re.Match[bytes]) -> bytes:
    """Return the bytes that are secret."""
    start, end = value_span(match)
    return match.string[start:end]


def value_span(match: re.Match[bytes]) -> tuple[int, int]:
    """Return where the bytes that are secret begin and end, as offsets."""
    return match.span(match.lastindex or 0)


@dataclass(frozen=True, slots=True)
class Rule:
    """How secrets of one kind are recognised; a kind can have several rules."""

    kind: str
    title: str
    keywords: tuple[bytes, ...]
    """One of them stands in each match. None: nothing in such values is fixed, the pattern is looked for."""
    pattern: re.Pattern[bytes]
    behind: int = 0
    """How many bytes before the keyword a match can begin; 0: exactly there, and no word runs into it."""
    folded: bool = False
    """The keywords are lower case and stand anywhere in the content, in any case, in the midst of words too.

    Otherwise the whole match is part of one long word, and is looked for in those alone.
    """
    accepts: Callable[[re.Match[bytes]], bool] = is_not_placeholder
    needs: tuple[bytes, ...] = ()
    """What else the content has, in lower case, if it has such a value: looked for first, once for many keywords."""
    sought: re.Pattern[bytes] | None = None
    """Where matches begin, in the content in lower case, for a rule whose keywords are words of every day."""


def token(
    kind: str,
    title: str,
    prefixes: str,
    body: str,
    *,
    accepts: Callable[[re.Match[bytes]], bool] = is_not_placeholder,
) -> Rule:
    """Return the rule for tokens that begin with one of the prefixes, which blanks separate."""
    literals = prefixes.split()
    pattern = "(?:" + "|".join(re.escape(literal) for literal in literals) + ")" + body
    keywords = tuple(literal.encode() for literal in literals)
    return Rule(kind, title, keywords, re.compile(pattern.encode()), accepts=accepts)


def inside(kind: str, title: str, keyword: str, behind: int, pattern: str) -> Rule:
    """Return the rule for tokens that have a fixed word after at most ``behind`` bytes."""
    return Rule(kind, title, (keyword.encode(),), re.compile(pattern.encode()), behind=behind)


def shaped(kind: str, title: str, pattern: str) -> Rule:
    """Return the rule for tokens that are known by the lengths of their parts alone."""
    return Rule(kind, title, (), re.compile(pattern.encode()))


def assigned(kind: str, title: str, names: str, value: str) -> Rule:
    """Return the rule for values without a prefix of their own, behind a setting whose name has one of the words.

    ``names`` are lower case, and blanks separate them.
    """
    words = names.split()
    name = "(?i:" + "|".join(re.escape(word) for word in words) + ")"
    pattern = re.compile(f"{name}{_ASSIGNED}({value})(?![A-Za-z0-9_/+=-])".encode())
    # The name may go on to the left (MY_HEROKU_KEY): where the keyword begins is no border of a word.
    return Rule(kind, title, tuple(word.encode() for word in words), pattern, folded=True)
