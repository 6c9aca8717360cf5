"""What is left of values in a message that quotes them: without borders of words, or cut off at some length."""

from __future__ import annotations

import re
from collections.abc import Iterator

from stateguard.admission.secrets.rule import Rule, value_span
from stateguard.admission.secrets.rules import RULES
from stateguard.admission.secrets.values import is_random

COMMON_PREFIXES = frozenset(
    b"SK sk- cio oy2 dapi key- fw_ hf_ BSA secret_ sk_ fc- 1//0 pul- csk- npm_ ls__ jina_ EAAA fo1_ xai- SG. rubygems_ "
    b"v1.0- api_org_ e2b_ r8_ nfp_ ntn_ HRKU- fm1r_ fm2_".split()
)
"""Prefixes that other words have too: what is behind them must look drawn by lot."""
_BORDER = re.compile(rb"\(\?<?!\[[^\]]{1,40}\]\)")
_IN_A_VALUE = rb"[A-Za-z0-9_+/=.~$%-]"
_REST = re.compile(rb"[A-Za-z0-9_+/=~$-]*")
_ELLIPSIS = re.compile(rb"\xe2\x80\xa6|\.\.\.")
_INSIDE_A_CHARACTER = range(0x80, 0xC0)
_DIGITS = range(0x30, 0x3A)
_FEWEST_SIGNS = 3
_END_OF_KEY = re.compile(rb"-{4,5} ?END [A-Z0-9 ]{1,60}-{4,5}")


def _prefixes() -> list[bytes]:
    return [keyword for rule in RULES if not rule.folded and not rule.behind for keyword in rule.keywords]


def _either(literals: list[bytes]) -> bytes:
    return rb"(?:" + rb"|".join(re.escape(literal) for literal in sorted(literals, key=len, reverse=True)) + rb")"


_DISTINCTIVE = re.compile(
    _either([prefix for prefix in _prefixes() if prefix not in COMMON_PREFIXES])
    + rb"(?:[a-z]{2,8}[0-9]{2}-)?"
    + _IN_A_VALUE
    + rb"{8,}"
)
_OF_MANY = re.compile(
    rb"(?<![A-Za-z0-9])"
    + _either([prefix for prefix in _prefixes() if prefix in COMMON_PREFIXES])
    + rb"([A-Za-z0-9_./+=-]{8,})"
)
_IN_ADDRESS = re.compile(
    rb"(?:/webhooks/|/webhookb2/|hooks\.slack\.com/[a-z]{1,12}/|[?&;]sig=|(?:AccountKey|AccessKey)=)([A-Za-z0-9+/=@%_-]{8,})"
)
_CUT_ADDRESS = re.compile(rb"://[^\s/:@\"'`<>\\]{0,100}:([^\s/@\"'`<>\\]{8,300})(?=[\s\"'`]|\Z)")


def _without_borders(rule: Rule) -> re.Pattern[bytes]:
    return re.compile(_BORDER.sub(b"", rule.pattern.pattern))


_BORDERLESS = tuple(
    (rule.keywords, _without_borders(rule))
    for rule in RULES
    if not rule.folded and (rule.behind or not rule.keywords or not COMMON_PREFIXES.isdisjoint(rule.keywords))
)


def without_ellipses(content: bytes) -> bytes:
    """Return content of the same length in which what was cut off ends as a line does."""
    return _ELLIPSIS.sub(b"\n\n\n", content)


def spans(content: bytes) -> Iterator[tuple[int, int]]:
    """Yield where anything is that begins as a value with a format of its own does, or has such a value in it."""
    for match in _DISTINCTIVE.finditer(content):
        yield match.span()
    for match in _OF_MANY.finditer(content):
        body = match.group(1)
        digits = sum(byte in _DIGITS for byte in body)
        if is_random(body) or _FEWEST_SIGNS <= digits <= len(body) - _FEWEST_SIGNS:
            yield match.span()
    for pattern in (_IN_ADDRESS, _CUT_ADDRESS):
        for match in pattern.finditer(content):
            yield match.span(1)
    for keywords, pattern in _BORDERLESS:
        if not keywords or any(keyword in content for keyword in keywords):
            for match in pattern.finditer(content):
                yield value_span(match)


def widened(content: bytes, start: int, end: int, kind: str) -> tuple[int, int]:
    """Return the span with what belongs to the value: the rest of a long one, the lines of a key, whole characters."""
    if "private-key" in kind:
        last = _END_OF_KEY.search(content, end)
        end = last.end() if last and kind != "putty-private-key" else len(content)
    rest = _REST.match(content, end)
    end = rest.end() if rest else end
    while end < len(content) and content[end] in _INSIDE_A_CHARACTER:
        end += 1
    while start > 0 and content[start] in _INSIDE_A_CHARACTER:
        start -= 1
    return start, end
