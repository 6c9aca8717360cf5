"""``trust/trust.yaml``: whose signatures count, read and written. Armored OpenPGP keys lie beside it."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, Field, model_validator

from stateguard.config.document import Document
from stateguard.config.fields import ApiVersion, Required, Strict, at, check
from stateguard.config.problem import InvalidDocument, Problem, shown
from stateguard.config.yaml import load
from stateguard.errors import StateguardError
from stateguard.model.moment import parse_rfc3339
from stateguard.model.trust import GPG, Former, Key, Lock, Person, Role, Thresholds, Trust, is_person_name

TRUST_FILE = "trust.yaml"

_HEAD = """\
# Whose signatures count. Written by stateguard trust (add, remove, lock, unlock), which enters each change in the
# audit chain; a document whose version is lower than one that was in force is not read.
"""


def _person(value: str) -> str:
    if not is_person_name(value):
        msg = f"{shown(value)} cannot name a person; use A-Z, a-z, 0-9 and . _ @ + -, and no name of the guard's"
        raise ValueError(msg)
    return value


def _fingerprint(value: str) -> str:
    if not re.fullmatch(r"[0-9A-F]{40}", value):
        msg = f"{shown(value)} is no full fingerprint; write all 40 hexadecimal digits, in capitals, without blanks"
        raise ValueError(msg)
    return value


def _time(value: str) -> str:
    parse_rfc3339(value)
    return value


_Name = Annotated[str, AfterValidator(_person)]
_Fingerprint = Annotated[str, AfterValidator(_fingerprint)]
_Moment = Annotated[str, AfterValidator(_time)]
_Role = Literal["push", "baseline", "approve", "admin"]


class KeyModel(Strict):
    """One key: ``ssh`` is the whole of it, ``gpg`` names a key in a file of its own."""

    ssh: Required | None = None
    gpg: _Fingerprint | None = None
    added_at: _Moment
    expires_at: _Moment | None = None

    @model_validator(mode="after")
    def _one_key(self) -> Self:
        if (self.ssh is None) == (self.gpg is None):
            msg = "a key is either ssh or gpg, one of the two"
            raise ValueError(msg)
        return self


class PersonModel(Strict):
    """A person."""

    name: _Name
    roles: list[_Role] = Field(default_factory=list)
    keys: Annotated[list[KeyModel], Field(min_length=1)]


class FormerModel(KeyModel):
    """A key that counted once."""

    name: _Name
    removed_at: _Moment


class LockModel(Strict):
    """A name that is locked."""

    name: _Name
    reason: str = ""
    locked_at: _Moment


class ThresholdsModel(Strict):
    """How many persons must sign."""

    baseline: Annotated[int, Field(ge=1)] = 1
    admin: Annotated[int, Field(ge=1)] = 1


class TrustModel(Strict):
    """A ``trust.yaml``."""

    apiVersion: ApiVersion  # noqa: N815 - the key of the file
    version: Annotated[int, Field(ge=1)]
    people: list[PersonModel] = Field(default_factory=list)
    former: list[FormerModel] = Field(default_factory=list)
    locked: list[LockModel] = Field(default_factory=list)
    thresholds: ThresholdsModel = ThresholdsModel()


def load_trust(data: bytes, path: str, told: Callable[[str], tuple[str, str]], armored: Mapping[str, str]) -> Trust:
    """Return the trust that the bytes of a ``trust.yaml`` declare.

    ``told`` gives kind and fingerprint of an SSH public key's line, or raises StateguardError. ``armored`` maps
    fingerprints to the OpenPGP keys that lie beside the document.

    Raises:
        InvalidDocument: with every problem found, each with its line and column.
    """
    document = load(data, path)
    model = check(TrustModel, document, path)
    reading = _Reading(document, path, told, armored)
    people = [
        Person(p.name, tuple(Role(r) for r in p.roles),
               tuple(reading.key(k, p.name, ("people", n, "keys", m)) for m, k in enumerate(p.keys)))
        for n, p in enumerate(model.people)
    ]  # fmt: skip
    former = [Former(f.name, reading.key(f, None, ("former", n)), f.removed_at) for n, f in enumerate(model.former)]
    locked = [Lock(one.name, one.reason, one.locked_at) for one in model.locked]
    for key, names in {"people": [p.name for p in people], "locked": [one.name for one in locked]}.items():
        for n, name in enumerate(names):
            if name in names[:n]:
                reading.report((key, n, "name"), "duplicate", f"{name} is named twice; write one entry")
    if reading.problems:
        raise InvalidDocument(path, sorted(reading.problems))
    thresholds = Thresholds(**model.thresholds.model_dump())
    return Trust(model.version, tuple(people), tuple(former), tuple(locked), thresholds)


@dataclass(slots=True)
class _Reading:
    """The keys of one document; a key that counts has one owner."""

    document: Document
    path: str
    told: Callable[[str], tuple[str, str]]
    armored: Mapping[str, str]
    owners: dict[str, str] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)

    def report(self, keys: tuple[str | int, ...], code: str, message: str) -> None:
        self.problems.append(at(self.document, self.path, keys, code, message))

    def key(self, model: KeyModel, owner: str | None, keys: tuple[str | int, ...]) -> Key:
        kind, fingerprint, public = GPG, model.gpg or "", self.armored.get(model.gpg or "", "")
        if model.ssh is not None:
            public = model.ssh
            try:
                kind, fingerprint = self.told(model.ssh)
            except StateguardError as error:
                self.report((*keys, "ssh"), "key", error.message)
        if owner is not None and self.owners.setdefault(fingerprint, owner) != owner:
            self.report(keys, "duplicate", f"the key {fingerprint} is {self.owners[fingerprint]}'s already; remove one")
        return Key(kind, fingerprint, public, model.added_at, model.expires_at or "")


def trust_document(trust: Trust) -> str:
    """Return the text of a ``trust.yaml``."""
    lines = [_HEAD + "apiVersion: stateguard/v1", f"version: {trust.version}"]
    lines.append("people:" if trust.people else "people: []")
    for person in trust.people:
        roles = ", ".join(str(role) for role in person.roles)
        lines += [f"  - name: {_quoted(person.name)}", f"    roles: [{roles}]", "    keys:"]
        for key in person.keys:
            lines += _item(_key_lines(key), "      ")
    lines.append("former:" if trust.former else "former: []")
    for one in trust.former:
        removed = f"removed_at: {_quoted(one.removed_at)}"
        lines += _item([f"name: {_quoted(one.name)}", *_key_lines(one.key), removed], "  ")
    lines += ["locked:"] if trust.locked else []  # else left out: earlier versions do not know the key
    for lock in trust.locked:
        texts = {"name": lock.name, "reason": lock.reason, "locked_at": lock.locked_at}
        lines += _item([f"{key}: {_quoted(text)}" for key, text in texts.items()], "  ")
    above = {key: number for key, number in asdict(trust.thresholds).items() if number > 1}  # else left out, likewise
    lines += ["thresholds:", *(f"  {key}: {number}" for key, number in above.items())] if above else []
    return "\n".join([*lines, ""])


def _key_lines(key: Key) -> list[str]:
    what = f"gpg: {_quoted(key.fingerprint)}" if key.kind == GPG else f"ssh: {_quoted(key.public)}"
    expiry = [f"expires_at: {_quoted(key.expires_at)}"] if key.expires_at else []  # else left out, likewise
    return [what, f"added_at: {_quoted(key.added_at)}", *expiry]


def _item(lines: Iterable[str], indent: str) -> list[str]:
    return [f"{indent}{'  ' if n else '- '}{line}" for n, line in enumerate(lines)]


def _quoted(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)  # YAML knows no pairs of surrogates
