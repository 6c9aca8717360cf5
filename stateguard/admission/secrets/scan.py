"""Find secrets in content that somebody pushes: a pure function over bytes, which says where and never what."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from stateguard.admission.secrets import assigned, clipped
from stateguard.admission.secrets.allowed import is_allowed
from stateguard.admission.secrets.rule import Rule, value_span
from stateguard.admission.secrets.rules import RULES

TOO_MUCH = "too-much-to-look-through"
"""The kind of what has so many beginnings of secrets that nobody can wait for a look at all of them."""
KINDS: tuple[str, ...] = tuple(sorted({TOO_MUCH, *(rule.kind for rule in RULES)}))
"""The words for every kind of secret that is looked for, sorted, and for what is too much to look through."""

_SIGNS = (b"_", b"-", b".", b"")
"""Few words in Base64 and the like have the first ones: without them, what contains them need not be looked for."""


def _first_sign(keyword: bytes) -> bytes:
    return next(sign for sign in _SIGNS if sign in keyword)


_IN_WORDS = tuple(
    (
        sign,
        tuple(
            (keyword, rule)
            for rule in RULES
            if not rule.folded
            for keyword in rule.keywords
            if _first_sign(keyword) == sign
        ),
    )
    for sign in _SIGNS
)
_SHAPED = tuple(rule for rule in RULES if not rule.keywords)
_ANYWHERE = tuple(
    (
        needs,
        tuple(
            (keyword, rule)
            for rule in RULES
            if rule.folded and rule.sought is None and rule.needs == needs
            for keyword in rule.keywords
        ),
    )
    for needs in sorted({rule.needs for rule in RULES})
)
_SOUGHT = tuple((rule.sought, rule) for rule in RULES if rule.sought)
_ORDER = {id(rule): place for place, rule in enumerate(RULES)}

_WORD_BYTES = 20
"""No value with a format of its own is shorter, so that ordinary text has few words in which to look for one."""
_IN_A_WORD = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-.~$%+/=:@\\"
_BLANKED = bytes(byte if byte in _IN_A_WORD else 0x20 for byte in range(256))
_AHEAD = 300

_RUNS_INTO = re.compile(rb"[A-Za-z0-9_-]")
_ESCAPE = re.compile(rb"\\[nrt]|%[0-9A-Fa-f]{2}")
_ESCAPE_BYTES = 3
_SIGN = re.compile(rb"[_.-]")
_NAME = re.compile(rb"(?<![A-Za-z0-9_-])[A-Za-z_-]{1,30}\Z")
_NAME_BYTES = 31

_WITHHELD = "(withheld)"
_EFFORT = 400_000
_EFFORT_FOR_A_LOOK = 1
_EFFORT_FOR_A_SEARCH = 6
_EFFORT_FOR_A_MATCH = 15
"""What a look at a place, at what is around it, and at what matched cost; all in all at most about a second."""


@dataclass(frozen=True, slots=True)
class Found:
    """A secret and where it stands; nothing of the secret itself."""

    kind: str
    title: str
    line: int
    """From 1."""
    column: int
    """From 1, in bytes."""


@dataclass(frozen=True, slots=True)
class _Spot:
    """The bytes that a rule claims, as offsets, and the offset at which their line begins."""

    start: int
    end: int
    line_start: int
    rule: Rule


class _Effort:
    """What a search still may cost."""

    def __init__(self) -> None:
        self.left = _EFFORT

    def spend(self, amount: int) -> bool:
        """Take an amount, and say whether there was enough."""
        self.left -= amount
        return self.left >= 0


def find(content: bytes, *, most: int = 20) -> list[Found]:
    """Return the first ``most`` secrets in any content, by position; of each kind at most one in a line.

    Content with too many places that could begin a secret is looked through in part; the first finding says so then.
    """
    if most < 1:
        return []
    spots: list[_Spot] = []
    effort = _Effort()
    for rule, spans in _claims(content, effort):
        _collect(rule, spans, content, spots, most)
    told = _told(spots, content, most) if spots else []
    if effort.left >= 0:
        return told
    return [Found(TOO_MUCH, "more than can be looked through", 1, 1), *told][:most]


def _claims(content: bytes, effort: _Effort) -> list[tuple[Rule, Iterator[tuple[int, int]]]]:
    """Return the rules of which a keyword is there, in their order, each with where its values are."""
    words = b" ".join([word for word in content.translate(_BLANKED).split() if len(word) >= _WORD_BYTES])
    lowered = content.lower()
    claims: list[tuple[Rule, Iterator[tuple[int, int]]]] = []
    for sign, pairs in _IN_WORDS:
        if sign in words:
            claims += [
                (rule, _in_content(_matches(rule, keyword, words, effort), content))
                for keyword, rule in pairs
                if keyword in words
            ]
    if b"." in words:
        claims += [(rule, _in_content(_shaped(rule, words, effort), content)) for rule in _SHAPED]
    for needs, pairs in _ANYWHERE:
        if all(need in lowered for need in needs):
            claims += [
                (rule, _from_places(rule, _places(keyword, lowered), content, effort))
                for keyword, rule in pairs
                if keyword in lowered
            ]
    claims += [
        (rule, _from_places(rule, (match.start() for match in sought.finditer(lowered)), content, effort))
        for sought, rule in _SOUGHT
        if any(keyword in lowered for keyword in rule.keywords)
    ]
    claims.sort(key=lambda claim: _ORDER[id(claim[0])])
    return claims


def in_text(text: str) -> list[Found]:
    """Return the secrets in a name or a message; columns are counted in bytes of UTF-8."""
    return find(text.encode("utf-8", "surrogatepass"))


def blanked(text: str) -> str:
    """Return a text for people with ``(withheld)`` in place of every secret in it, also of a clipped one.

    Stricter than ``find``: a message loses little with a word too many.
    """
    content = text.encode("utf-8", "surrogatepass")
    plain = clipped.without_ellipses(content)
    effort = _Effort()
    spans = [
        clipped.widened(content, start, end, rule.kind)
        for rule, claimed in _claims(plain, effort)
        for start, end in claimed
    ]
    if effort.left < 0:
        return _WITHHELD
    for start, end in (*clipped.spans(plain), *assigned.named(plain)):
        spans.append(clipped.widened(content, start, end, ""))
    made: list[bytes] = []
    at = 0
    for start, end in sorted(spans):
        if start >= at:
            made += [content[at:start], _WITHHELD.encode()]
        at = max(at, end)
    return b"".join([*made, content[at:]]).decode("utf-8", "surrogatepass")


def _in_content(matches: Iterable[re.Match[bytes]], content: bytes) -> Iterator[tuple[int, int]]:
    """Yield where in the content the values are that were found in its long words, in order."""
    at = 0
    for match in matches:
        # The words stand in the order of the content: each match is behind the last one.
        found = content.find(match.group(), at)
        start, end = (found + offset - match.start() for offset in value_span(match))
        at = start + 1
        yield start, end


def _matches(rule: Rule, keyword: bytes, words: bytes, effort: _Effort) -> Iterator[re.Match[bytes]]:
    cost = _EFFORT_FOR_A_SEARCH if rule.behind else _EFFORT_FOR_A_LOOK
    at = words.find(keyword)
    while at >= 0 and effort.spend(cost):
        if rule.behind:
            match = rule.pattern.search(words, max(0, at - rule.behind), at + _AHEAD)
        else:
            match = rule.pattern.match(words, at) if _begins(keyword, words, at) else None
        if match and effort.spend(_EFFORT_FOR_A_MATCH) and rule.accepts(match):
            yield match
        at = words.find(keyword, max(at + 1, match.end()) if match else at + 1)


def _shaped(rule: Rule, words: bytes, effort: _Effort) -> Iterator[re.Match[bytes]]:
    for match in rule.pattern.finditer(words):
        if not effort.spend(_EFFORT_FOR_A_MATCH):
            return
        if rule.accepts(match):
            yield match


def _begins(keyword: bytes, words: bytes, at: int) -> bool:
    """Say whether a value can begin at an offset: also behind a name, if nothing else begins like it."""
    if not _runs_in(words, at):
        return True
    if keyword in clipped.COMMON_PREFIXES or not _SIGN.search(keyword):
        return False
    start = max(0, at - _NAME_BYTES)
    return _NAME.search(words, start, at) is not None


def _runs_in(words: bytes, at: int) -> bool:
    """Say whether a word runs into what begins at an offset, so that it is no beginning."""
    if not at or not _RUNS_INTO.match(words, at - 1):
        return False
    before = words[max(0, at - _ESCAPE_BYTES) : at]
    # A line break that is written \n ends a word, and so does %3D.
    return not (_ESCAPE.fullmatch(before) or _ESCAPE.fullmatch(before[1:]))


def _places(keyword: bytes, lowered: bytes) -> Iterator[int]:
    at = lowered.find(keyword)
    while at >= 0:
        yield at
        at = lowered.find(keyword, at + 1)


def _from_places(rule: Rule, places: Iterable[int], content: bytes, effort: _Effort) -> Iterator[tuple[int, int]]:
    """Yield where the values are that the rule finds at the places, in order."""
    for at in places:
        if not effort.spend(_EFFORT_FOR_A_LOOK):
            return
        match = rule.pattern.match(content, at)
        if match and effort.spend(_EFFORT_FOR_A_MATCH) and rule.accepts(match):
            yield value_span(match)


def _collect(rule: Rule, spans: Iterator[tuple[int, int]], content: bytes, spots: list[_Spot], most: int) -> None:
    """Put down what a rule claims and nobody claimed before, once a line, on lines that do not allow it."""
    done_until = count = 0
    for start, end in spans:
        if start < done_until or any(start < spot.end and spot.start < end for spot in spots):
            continue
        line_start = content.rfind(b"\n", 0, start) + 1
        line_end = content.find(b"\n", start)
        done_until = len(content) if line_end < 0 else line_end
        if is_allowed(content, start, end, line_start, done_until):
            continue
        spots.append(_Spot(start, end, line_start, rule))
        count += 1
        if count == most:
            return


def _told(spots: list[_Spot], content: bytes, most: int) -> list[Found]:
    """Return what is said about the spots: sorted, each kind once a line, no more than wanted."""
    said: set[tuple[str, int]] = set()
    found: list[Found] = []
    line, counted = 1, 0
    for spot in sorted(spots, key=lambda spot: spot.start):
        key = (spot.rule.kind, spot.line_start)
        if key in said:
            continue
        said.add(key)
        line += content.count(b"\n", counted, spot.line_start)
        counted = spot.line_start
        found.append(Found(spot.rule.kind, spot.rule.title, line, spot.start - spot.line_start + 1))
        if len(found) == most:
            break
    return found
