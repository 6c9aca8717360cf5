"""Values that look like secrets, behind the name of a setting that says so: the rules of last resort."""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import pairwise

from stateguard.admission.secrets.rule import Rule, value_of, value_span
from stateguard.admission.secrets.values import is_placeholder, is_random, is_reference, is_secret

_NAME_BYTES = 48
_HEAD = re.compile(rb"[A-Za-z0-9_.-]{0,48}\Z")
_CAMEL = re.compile(rb"(?<=[a-z0-9])(?=[A-Z])")
_WORDS = re.compile(rb"[a-z0-9]{1,60}")

_PATTERN = re.compile(
    rb"(?P<tail>[A-Za-z][A-Za-z0-9_.-]{2,59}+)"
    rb"(?P<between>\\?[\"'`]?\]?[ \t]{0,8}(?::[ ]?[A-Za-z]{3,12}[ ]{0,2}(?==))?(?:=>|:=|={1,3}|:|>)[ \t]{0,24}"
    rb"|\\?[\"']?,?[ \t\r\n]{1,24})"
    rb"(?:(?i:bearer|basic|token)[ ])?(?:[bruf]{0,2}\\?"
    rb"(?:\"(?:(?i:bearer|basic|token)[ ])?(?P<double>[^\"\s\\]{8,300}+)(?=[\"\\])"
    rb"|'(?:(?i:bearer|basic|token)[ ])?(?P<single>[^'\s\\]{8,300}+)(?=['\\])"
    rb"|`(?P<ticked>[^`\s\\]{8,300}+)(?=`))"
    rb"|(?P<bare>[^\s\"'`,;<>(){}\[\]|\\]{8,300}+))"
)
"""A name, what separates it, and one word. Nothing is given back once it is taken (``+``), so that it stays linear."""

_END_OF_VALUE = re.compile(rb"[ \t]{0,8}(?:[\r\n,;#}\])\"'`|\\<&]|//|\Z)")
_BLANK = re.compile(rb"[ \t]")

_CHOSEN = frozenset((b"pass", b"password", b"passwd", b"passphrase", b"pwd", b"passwort"))
_DRAWN = frozenset(
    (b"secret", b"token", b"credential", b"credentials", b"apikey", b"authorization", b"bearer", b"authkey")
)
_KEYS = frozenset(
    b"api access private secret signing encryption auth master shared account service session jwt hmac app "
    b"openai anthropic mistral cohere gemini groq together deepseek openweather openweathermap weather weatherapi "
    b"azure elevenlabs serper serpapi tavily pinecone newsapi newrelic deepl alphavantage finnhub".split()
)
_OTHERWISE = frozenset(
    b"name names id ids file files path dir url uri ref refs reference type kind limit limits count counts size len "
    b"length ttl expiry expires expiration env var arn version field header label policy mode store manager provider "
    b"hash sha sha1 sha256 sha512 md5 digest checksum fingerprint hint prefix suffix format regex pattern endpoint "
    b"host server port class algorithm algo encoding usage budget cost price window rate timeout interval at by for "
    b"index source src backend scope scopes status title description placeholder example required enabled public pub "
    b"tokenizer commit revision integrity vocab test anon".split()
)
"""Words in a name that make it the name of something about a secret, or of something else altogether."""
_PAGES = (b"page", b"next", b"continuation", b"pagination")
"""What stands before the token that says where a list goes on."""
_TYPE = re.compile(rb"(?:[A-Z][a-z]{1,20}[0-9]{0,2}){2,8}")
_TYPES = (b"Input", b"Output", b"Type", b"Props", b"Field", b"Dto", b"Schema", b"Model", b"Request", b"Response")
_BEHIND_A_TYPE = re.compile(rb"[ \t]{0,4}[;,)>|=&\[]")
_LOGIN = re.compile(rb"\b(?:login|machine|user)[ \t\r\n]{1,8}[^\s]{1,80}[ \t\r\n]{1,8}\Z")
_LOGIN_BYTES = 100

_PAIR = re.compile(
    rb"(?i:name)[\"']?[ \t]{0,4}[:=][ \t]{0,4}[\"']?(?P<name>[A-Za-z0-9_.-]{3,60}+)[\"']?,?[ \t\r]{0,4}\n?[ \t]{0,40}"
    rb"[\"']?(?i:value)[\"']?[ \t]{0,4}[:=][ \t]{0,4}[\"']?([^\s\"',]{8,300}+)"
)
_PAIRS = re.compile(
    rb"name[\"']?[ \t]{0,4}[:=][ \t]{0,4}[\"']?[a-z0-9_.-]{3,60}+[\"']?,?[ \t\r]{0,4}\n?[ \t]{0,40}"
    rb"[\"']?value[\"']?[ \t]{0,4}[:=]"
)
"""The name of a setting and what it is set to, each under a name of its own, as in lists of Kubernetes."""

_BEHIND_A_NAME = rb"[a-z0-9_.-]{0,56}+(?=[\\\"'`\] \t\r\n,:=>])"
_PASSWORD = re.compile(rb"(?:pass|pwd)" + _BEHIND_A_NAME)
_SECRET = re.compile(
    rb"(?:secret|token|credential|authorization|bearer|authkey|(?:"
    + rb"|".join(sorted(_KEYS))
    + rb")[_.-]{0,3}key)"
    + _BEHIND_A_NAME
)


def _words_of_name(match: re.Match[bytes]) -> list[bytes]:
    start = match.start()
    head = _HEAD.search(match.string, max(0, start - _NAME_BYTES), start)
    name = (head.group() if head else b"") + match.group("tail")
    return _words(name)


def _words(name: bytes) -> list[bytes]:
    return _WORDS.findall(_CAMEL.sub(b"_", name).lower())


def _is_name_of_password(words: list[bytes]) -> bool:
    return any(word in _CHOSEN or word.endswith((b"password", b"passwd", b"pwd")) for word in words)


def _is_name_of_secret(words: list[bytes]) -> bool:
    if any(word.endswith(b"token") and (before in _PAGES) for before, word in pairwise(words)):
        return False
    if any(word == page + b"token" or word.endswith(b"pagetoken") for word in words for page in _PAGES):
        return False
    if any(word in _DRAWN or word.endswith((b"secret", b"token", b"apikey")) for word in words):
        return True
    return any(word == b"key" and before in _KEYS for before, word in pairwise(words))


def _is_assignment(match: re.Match[bytes]) -> bool:
    """Say whether the form is that of an assignment: not a sentence, and no call or expression behind the name."""
    between = match.group("between")
    if not any(sign in between for sign in (b"=", b":", b">")):
        # The value of an option of a command, what .netrc has behind a login, or the next word of a sentence.
        start = match.start()
        head = _HEAD.search(match.string, max(0, start - _NAME_BYTES), start)
        if head is not None and head.group().startswith(b"--"):
            return True
        return _LOGIN.search(match.string, max(0, start - _LOGIN_BYTES), start) is not None
    if match.group("bare") is None:
        return True
    if _END_OF_VALUE.match(match.string, match.end()):
        return True
    # A blank and more words: still a value in a shell, where a blank ends it; a sentence behind a colon.
    return between.endswith(b"=") and _BLANK.match(match.string, match.end()) is not None


def _is_type(match: re.Match[bytes]) -> bool:
    """Say whether the name of a type stands behind a parameter or a field, not a value."""
    bare = match.group("bare")
    if bare is None or not match.group("between").strip().startswith(b":") or not _TYPE.fullmatch(bare):
        return False
    return bare.endswith(_TYPES) or _BEHIND_A_TYPE.match(match.string, match.end()) is not None


def _is_password(match: re.Match[bytes]) -> bool:
    return _accepts(match, password=True)


def _is_other_secret(match: re.Match[bytes]) -> bool:
    return _accepts(match, password=False)


def _accepts(match: re.Match[bytes], *, password: bool) -> bool:
    if not _is_assignment(match) or _is_type(match):
        return False
    words = _words_of_name(match)
    if not _OTHERWISE.isdisjoint(words) or password is not _is_name_of_password(words):
        return False
    return (password or _is_name_of_secret(words)) and is_secret(value_of(match), password=password)


def _is_pair_with_password(match: re.Match[bytes]) -> bool:
    words = _words(match.group("name"))
    return _OTHERWISE.isdisjoint(words) and _is_name_of_password(words) and is_secret(value_of(match), password=True)


def _is_pair_with_secret(match: re.Match[bytes]) -> bool:
    words = _words(match.group("name"))
    if not _OTHERWISE.isdisjoint(words) or _is_name_of_password(words):
        return False
    return _is_name_of_secret(words) and is_secret(value_of(match), password=False)


def named(content: bytes) -> Iterator[tuple[int, int]]:
    """Yield where values are that stand under the name of a secret, be they as short and as plain as they may."""
    lowered = content.lower()
    for sought in (_PASSWORD, _SECRET):
        for place in sought.finditer(lowered):
            match = _PATTERN.match(content, place.start())
            if match and _is_worth_withholding(match):
                yield value_span(match)


def _is_worth_withholding(match: re.Match[bytes]) -> bool:
    words, value = _words_of_name(match), value_of(match)
    if not _OTHERWISE.isdisjoint(words) or not (_is_name_of_password(words) or _is_name_of_secret(words)):
        return False
    if (value.isalpha() and not is_random(value)) or is_placeholder(value) or is_reference(value):
        return False
    return _is_assignment(match) or is_random(value) or is_secret(value, password=True)


RULES: tuple[Rule, ...] = (
    Rule(
        "assigned-password",
        "a password",
        (b"pass", b"pwd"),
        _PATTERN,
        folded=True,
        accepts=_is_password,
        sought=_PASSWORD,
    ),
    Rule(
        "assigned-secret",
        "a value that looks like a secret",
        (b"secret", b"token", b"key", b"credential", b"authorization"),
        _PATTERN,
        folded=True,
        accepts=_is_other_secret,
        sought=_SECRET,
    ),
    Rule(
        "assigned-password",
        "a password",
        (b"value",),
        _PAIR,
        folded=True,
        accepts=_is_pair_with_password,
        sought=_PAIRS,
    ),
    Rule(
        "assigned-secret",
        "a value that looks like a secret",
        (b"value",),
        _PAIR,
        folded=True,
        accepts=_is_pair_with_secret,
        sought=_PAIRS,
    ),
)
