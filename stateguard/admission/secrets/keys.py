"""Private keys, signed tokens, and passwords in addresses."""

from __future__ import annotations

import base64
import re

from stateguard.admission.secrets.rule import URLSAFE, Rule, token, value_of
from stateguard.admission.secrets.values import is_default, is_placeholder, is_random, is_weak_word

_BODY = re.compile(rb"[A-Za-z0-9+/]{32,100}")
_ARMOUR_BYTES = 2000
_PUTTY_BYTES = 4000
_RESERVED_HOST = re.compile(
    rb"@(?:[\w.-]{1,100}\.)?(?:example(?:\.(?:com|org|net))?|invalid|test)(?![\w-])", re.IGNORECASE
)
_HOST_NEARBY = re.compile(rb"@(?:[\w-]{1,100}(?![\w.-])|127\.0\.0\.1|0\.0\.0\.0|\[::1\]|host\.docker\.internal)")
_ANONYMOUS = re.compile(rb'"role"[ ]{0,2}:[ ]{0,2}"anon"')
_HOST_BYTES = 160
_CHOSEN_WITH_CARE = re.compile(rb"[0-9]")


def _has_body(match: re.Match[bytes]) -> bool:
    """Say whether key material follows the first line: manuals and programs have that line alone."""
    begin, limit = match.end(), match.end() + _ARMOUR_BYTES
    last = match.string.find(b"----", begin, limit)
    bodies = _BODY.findall(match.string, begin, limit if last < 0 else last)
    return any(not is_placeholder(body) for body in bodies)


def _has_private_lines(match: re.Match[bytes]) -> bool:
    return match.string.find(b"Private-Lines: ", match.end(), match.end() + _PUTTY_BYTES) >= 0


def _is_signed(match: re.Match[bytes]) -> bool:
    """Say whether a signed token is one for a person or a program: not the one that is published for everybody."""
    value = value_of(match)
    payload = value.split(b".")[1]
    claims = base64.urlsafe_b64decode(payload + b"=" * (-len(payload) % 4)) if len(payload) % 4 != 1 else b""
    return not is_placeholder(value) and not _ANONYMOUS.search(claims)


def _is_password(match: re.Match[bytes]) -> bool:
    """Say whether the password in an address is one; at the hosts that manuals use, it must look like one."""
    value = value_of(match)
    if is_weak_word(value) or match.group("user") == value:
        return False
    if is_default(value) and _HOST_NEARBY.match(match.string, match.end() - 1, match.end() + _HOST_BYTES):
        return False
    if _RESERVED_HOST.match(match.string, match.end() - 1, match.end() + _HOST_BYTES):
        return is_random(value) or _CHOSEN_WITH_CARE.search(value) is not None
    return True


def _key(kind: str, title: str, begin: str, words: str) -> Rule:
    """Return the rule for keys in armour, by its first line."""
    pattern = begin + words + "-{4,5}"
    return Rule(
        kind,
        title,
        (begin.lower().encode(),),
        re.compile(pattern.encode()),
        folded=True,
        accepts=_has_body,
        needs=(b"private key",),
    )


def _address(kind: str, title: str, schemes: str, pattern: str) -> Rule:
    """Return the rule for addresses with a user and a password."""
    whole = pattern + r"""://(?P<user>[^\s/:@"'`<>\\]{0,100}):([^\s/@"'`<>\\]{3,200})@(?=[\w\[$])"""
    keywords = tuple(scheme.encode() for scheme in schemes.split())
    return Rule(
        kind,
        title,
        keywords,
        re.compile(whole.encode(), re.IGNORECASE),
        folded=True,
        accepts=_is_password,
        needs=(b"://", b"@"),
    )


RULES: tuple[Rule, ...] = (
    _key("openssh-private-key", "an OpenSSH private key", "-----BEGIN OPENSSH", " PRIVATE KEY"),
    _key("openssh-private-key", "an SSH private key", "---- BEGIN SSH2", " (?:ENCRYPTED )?PRIVATE KEY "),
    _key("pgp-private-key", "an OpenPGP private key", "-----BEGIN PGP", " PRIVATE KEY BLOCK"),
    _key("private-key", "a private key", "-----BEGIN", "(?: [A-Z0-9]{1,12}){0,3} PRIVATE KEY"),
    Rule(
        "putty-private-key",
        "a PuTTY private key",
        (b"putty-user-key-file-",),
        re.compile(rb"PuTTY-User-Key-File-[0-9]: "),
        folded=True,
        accepts=_has_private_lines,
    ),
    token(
        "jwt",
        "a signed token (JWT)",
        "eyJ",
        f"{URLSAFE}{{10,2000}}\\.eyJ{URLSAFE}{{10,8000}}\\.{URLSAFE}{{20,1400}}",
        accepts=_is_signed,
    ),
    _address(
        "database-url",
        "a database address with a password",
        "postgres mysql mariadb mongodb redis mssql sqlserver clickhouse",
        r"(?:postgres(?:ql)?|mysql|mariadb|mongodb|rediss?|mssql|sqlserver|clickhouse)(?:\+[a-z0-9]{1,16})?",
    ),
    _address("broker-url", "a broker address with a password", "amqp mqtt nats://", "(?:amqps?|mqtts?|nats)"),
    _address("url-password", "an address with a password", "http ftp smtp ldap", "(?:https?|s?ftps?|smtps?|ldaps?)"),
)
