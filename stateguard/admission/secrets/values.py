"""Whether a value can be a secret: stand-ins, references to where the secret is, hashes, words, and what is random."""

from __future__ import annotations

import re

_STAND_INS = (
    b"xxxx,***,...,example,placeholder,change-me,changeme,change-it,changeit,change-this,your-,yourkey,yourtoken,yourapi,"
    b"yoursecret,yourpass,my-api,my-key,my-token,my-secret,my-pass,mysecret,dummy,redacted,sample,insert-,replace-,"
    b"replaceme,goes-here,-here,not-a-,not-real,not-secret,not-for,fake-,deadbeef,"
    b"todo,<,{{,${,\xe2\x80\xa6".split(b",")
)
"""What stands in for a secret: lower case, with - for what can be a blank, - or _ ."""
_REPEATED = re.compile(rb"(.)\1{5}")
_DOCUMENTED = (
    b"SflKxwRJSMeKKF2QT4fwpMeJf36POk6yJV_adQssw5c",  # the signature of jwt.io's specimen
    b"4eC39HqLyjWDarjtT1zdp7dc",  # the test key in Stripe's manual
    b"JalrXUtnFEMI/K7MDENG",  # the secret key in Amazon's
)
_FEWEST_DIFFERENT = 7

_REFERENCE = re.compile(
    rb"[$!&*@%]?[({<]|\*[a-z_]|[$%][A-Za-z_{(]|[$][0-9][a-z]?[$]|ENC\[|(?:env|vault|file|ssm|arn|data|ref|sops|keyring|keychain|"
    rb"secret|secrets|aws|gcp|azure|kms|cmd|exec|sha1|sha256|sha384|sha512|md5|SHA256|MD5)[:+]|sha(?:1|256|384|512)-"
    rb"|[a-z][a-z0-9+.-]{1,20}://|AAAA[BCE][23]Nz|(?:~|\.{1,2})/|/[A-Za-z._-]{2,16}/|[A-Za-z]:\\|projects/"
    rb"|(?:pbkdf2|scrypt|argon2|bcrypt)[\w-]{0,20}[:$]|pbkdf2_|Ag[A-D][A-Za-z0-9+/]{197}"
    rb"|(?:os|process|self|config|settings|env|secrets|vars|inputs|steps|var|local|data|this|args|ctx)\."
)
_SUBSTITUTED = re.compile(rb"\{[A-Za-z_]{1,60}\}|%\([a-z_]{1,40}\)s|%[A-Z_]{2,40}%|__[A-Z_]{2,40}__|\$\(")
_ANCHOR = re.compile(rb"[&*][A-Za-z_][A-Za-z0-9_.-]{0,80}")
_LIMITS = re.compile(rb"(?:[A-Za-z_-]{2,24}[=:](?:[0-9]{1,8}|true|false)[,;&|]?){1,20}")
_RANGES = re.compile(rb"\[[^\]]{0,40}(?:a-z|A-Z|0-9)")
_UUID = re.compile(rb"[0-9A-Fa-f]{8}-(?:[0-9A-Fa-f]{4}-){3}[0-9A-Fa-f]{12}")
_MAIL = re.compile(rb"[\w.+-]{1,64}@[\w-]{1,60}\.[\w.-]{2,60}")
_TIME = re.compile(rb"[0-9]{4}-[0-9]{2}-[0-9]{2}[T0-9:.Z+-]{0,24}")

_SEGMENT = re.compile(rb"[A-Za-z0-9]{8,}")
_RUN = re.compile(rb"[A-Z]?[a-z]{1,300}|[A-Z]{1,300}|[0-9]{1,300}")
_CONSONANTS = re.compile(rb"[b-df-hj-np-tv-xz]{6}")
_CLASSES = tuple(re.compile(pattern) for pattern in (rb"[a-z]", rb"[A-Z]", rb"[0-9]"))
_SPECIAL = re.compile(rb"[!@#$%^&*?+=~|;,()\[\]]")

_JOINED = re.compile(rb"[A-Za-z0-9]{1,40}(?:[-_.][A-Za-z0-9]{1,40}){1,8}")
_WORDS_OF_NAMES = re.compile(
    rb"secret|passw|credential|token|key|vault|config|setting|value|param|\.(?:txt|ya?ml|json|env|py|js|ts|md|go)\Z"
    rb"|[-_.]v?[0-9]{1,3}\Z",
    re.IGNORECASE,
)
_JOINED_BYTES = 12
_DIGITS_OF_A_YEAR = 3
_SHORT_RUN = 2
_SHORT_RUNS = 3
_LONG_SEGMENT = 10
_LONG_LETTERS = 16
_TOKEN_BYTES = 16
_PASSWORD_BYTES = 8
_CLASSES_OF_A_PASSWORD = 2
_CLASSES_OF_ALL = 3

_WEAK = frozenset(
    b"password passwd pass pwd secret user username admin root guest postgres mysql redis rabbitmq mongo test token "
    b"key none null true false empty unset apikey api_key x-access-token oauth2 foo bar".split()
)
_SERVICE = (
    rb"(?:postgres(?:ql)?|pg|mysql|maria(?:db)?|redis|mongo(?:db)?|rabbit(?:mq)?|elastic(?:search)?|kafka|minio|neo4j"
    rb"|clickhouse|cassandra|grafana|keycloak|airflow|jenkins|sonar|influx(?:db)?|root|admin(?:istrator)?|user|guest"
    rb"|test(?:ing)?|demo|dev|app|db|database|web|api|service|local|default|super|master|pass(?:word|wd)?|pwd?|secret)"
)
_DEFAULT = re.compile(_SERVICE + rb"(?:[_-]?" + _SERVICE + rb"){0,2}[_-]?[0-9]{0,3}!?", re.IGNORECASE)


def is_default(value: bytes) -> bool:
    """Say whether a password is the word of a service or a role with little behind it, as in every quick start."""
    return _DEFAULT.fullmatch(value) is not None


def is_placeholder(value: bytes) -> bool:
    """Say whether a value stands in for a secret: words that say so, one character repeated, a known specimen."""
    if len(set(value)) < min(_FEWEST_DIFFERENT, len(value)):
        return True
    if _stands_in(value) or _REPEATED.search(value):
        return True
    return any(specimen in value for specimen in _DOCUMENTED)


def _stands_in(value: bytes) -> bool:
    plain = value.lower().replace(b"_", b"-").replace(b" ", b"-")
    return any(word in plain for word in _STAND_INS)


def is_reference(value: bytes) -> bool:
    """Say whether a value says where a secret is, or has the form of something else: a path, a hash, a UUID."""
    return bool(
        _REFERENCE.match(value)
        or _SUBSTITUTED.search(value)
        or _RANGES.search(value)
        or _ANCHOR.fullmatch(value)
        or _LIMITS.fullmatch(value)
        or _UUID.fullmatch(value)
        or _MAIL.fullmatch(value)
        or _TIME.fullmatch(value)
    )


def is_weak_word(value: bytes) -> bool:
    """Say whether a password is a word that manuals write in its place, or a stand-in or reference."""
    if value.lower() in _WEAK or len(set(value)) == 1 or _stands_in(value) or _REPEATED.search(value):
        return True
    return bool(_REFERENCE.match(value) or _SUBSTITUTED.search(value))


def is_random(value: bytes) -> bool:
    """Say whether a part of a value looks drawn by lot: letters and digits change too often for words."""
    for segment in _SEGMENT.findall(value):
        if len(segment) < _LONG_SEGMENT:
            continue
        short = sum(len(run) <= _SHORT_RUN for run in _RUN.findall(segment))
        if short >= _SHORT_RUNS and short * 8 >= len(segment):
            return True
        if len(segment) >= _LONG_LETTERS and _CONSONANTS.search(segment.lower()):
            return True
    return False


def is_secret(value: bytes, *, password: bool) -> bool:
    """Say whether a value behind the name of a secret is one; ``password`` if the name says that people chose it."""
    if len(value) < (_PASSWORD_BYTES if password else _TOKEN_BYTES) or is_placeholder(value) or is_reference(value):
        return False
    if is_random(value) and len(value) >= _TOKEN_BYTES:
        return True
    classes = sum(bool(pattern.search(value)) for pattern in _CLASSES)
    if _SPECIAL.search(value.rstrip(b"=")) and classes == _CLASSES_OF_ALL:
        return not (password and is_default(value))
    if not password or is_default(value) or classes < _CLASSES_OF_A_PASSWORD:
        return False
    if _is_joined(value, classes):
        return True
    has_digit_and_letter = bool(_CLASSES[2].search(value)) and classes >= _CLASSES_OF_A_PASSWORD
    return has_digit_and_letter and (bool(_SPECIAL.search(value)) or value.isalnum() or is_random(value))


def _is_joined(value: bytes, classes: int) -> bool:
    """Say whether words and numbers are joined to a password, not to the name of a file, a variable or a setting."""
    if len(value) < _JOINED_BYTES or not _JOINED.fullmatch(value) or _WORDS_OF_NAMES.search(value):
        return False
    digits = len(_CLASSES[2].findall(value))
    return digits > 0 and (classes == _CLASSES_OF_ALL or _DIGITS_OF_A_YEAR <= digits < len(value) // 2)
