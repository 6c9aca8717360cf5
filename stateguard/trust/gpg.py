"""GPG signatures: verified by gpg over exactly the pinned keys it is given, and by nothing else that lies around.

Each verification has a keyring of its own, made of the armored keys that the caller trusts, in a GNUPGHOME of the
guard's. No agent, no key server, no trust database and no configuration has a say. The verdict is read from gpg's
status lines on a pipe of their own; python-gnupg, which reads them from among gpg's messages to people, reads keys.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import gnupg  # type: ignore[import-untyped]  # it has no type hints

from stateguard.errors import StorageError, TrustError
from stateguard.host import command
from stateguard.trust.armor import PGP_PUBLIC_KEY, PGP_SIGNATURE, unarmored
from stateguard.trust.gpgstatus import Finding, Sighting, read_status
from stateguard.trust.public import MIN_RSA_BITS

_DEADLINE_SECONDS = 20.0
_ALONE = (
    "--no-options", "--no-autostart", "--disable-dirmngr", "--no-auto-key-retrieve", "--no-auto-check-trustdb",
)  # fmt: skip
_TIMELESS = ("--ignore-time-conflict", "--ignore-valid-from")
_OWN_STATUSES = (0, 1, 2)
"""What gpg itself ends with; where it could not run, a loader or a shell ends with 126 or 127."""
_RSA = ("1", "2", "3")
_EDWARDS_OR_ECDSA = ("19", "22", "27", "28")


class GpgMissingError(TrustError):
    """gpg is not installed or does not work, so nothing can be said about its signatures."""


@dataclass(frozen=True, slots=True)
class GpgKey:
    """A public OpenPGP key. ``fingerprint`` is its primary key's, 40 hexadecimal digits."""

    fingerprint: str
    armored: str
    user_id: str


def verify(
    home: Path, keys: Sequence[str], content: bytes, text: str, *, at_any_time: bool = False, at: float | None = None
) -> Sighting:
    """Return what gpg finds of an armored detached signature, knowing these armored public keys only.

    ``home`` is the GNUPGHOME, made if it is not there. ``at_any_time`` lets keys and signatures count that were made in
    the future, as far as this host's clock can tell. ``at``, Unix time, has what expires looked at as it was then.

    Raises:
        GpgMissingError: gpg is not installed or does not work.
        TrustError: a key is damaged.
        StorageError: files for gpg cannot be written.
    """
    try:
        signature = unarmored(text, PGP_SIGNATURE)
    except TrustError as error:
        return Sighting(Finding.UNREADABLE, detail=error.message)
    ring = b"".join(unarmored(key, PGP_PUBLIC_KEY) for key in keys)
    try:
        home.mkdir(mode=0o700, parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix="stateguard-gpg-") as scratch:
            keyring, detached = Path(scratch, "pinned.gpg"), Path(scratch, "signature")
            keyring.write_bytes(ring)
            detached.write_bytes(signature)
            options = (*(_TIMELESS if at_any_time else ()), *(() if at is None else _as_of(at)))
            return _verified(home, keyring, detached, content, options)
    except OSError as error:
        message = f"files for gpg cannot be written: {os.strerror(error.errno or 0)}"
        raise StorageError(message, next_step="check the space left on the disk") from error


def revoked_at(home: Path, armored: str) -> float | None:
    """Return when the owner of an armored key first revoked it or a part of it, Unix time; None: that is not said.

    Raises:
        GpgMissingError: gpg is not installed.
        TrustError: the key is damaged.
    """
    argv = ("gpg", "--homedir", str(home), *_ALONE, "--batch", "--no-tty", "--with-colons", "--with-sig-list",
            "--show-keys", "-")  # fmt: skip
    try:
        done = command.run(
            argv, environment=command.clean_environment(_SPEECH), stdin=unarmored(armored, PGP_PUBLIC_KEY),
            deadline_seconds=_DEADLINE_SECONDS,
        )  # fmt: skip
    except OSError as error:
        raise missing(error) from error
    records = [one.split(":") for one in done.output.decode(errors="replace").splitlines()]
    return min((float(r[5]) for r in records if r[0] == "rev" and r[5].isdigit()), default=None)


def _as_of(at: float) -> tuple[str, ...]:
    return "--faked-system-time", datetime.fromtimestamp(at, UTC).strftime("%Y%m%dT%H%M%S!")


def _verified(home: Path, keyring: Path, detached: Path, content: bytes, options: Sequence[str]) -> Sighting:
    argv = (
        *("gpg", "--homedir", str(home), *_ALONE, *options, "--trust-model", "always", "--batch", "--no-tty"),
        *("--no-default-keyring", "--keyring", str(keyring), "--status-fd", "1", "--verify", "--", str(detached), "-"),
    )
    try:
        done = command.run(
            argv, environment=command.clean_environment(_SPEECH), stdin=content, deadline_seconds=_DEADLINE_SECONDS
        )
    except OSError as error:
        raise missing(error) from error
    if done.status is None:
        return Sighting(Finding.UNREADABLE, detail=f"gpg did not end within {_DEADLINE_SECONDS:.0f} s")
    if done.status not in _OWN_STATUSES and not done.output:
        raise GpgMissingError(f"gpg ended with status {done.status} and said nothing", next_step="try gpg --version")
    found = read_status(done.output)
    if found.finding is Finding.GOOD and done.status:
        return Sighting(Finding.UNREADABLE, detail=f"gpg ended with status {done.status}")
    return found


def missing(error: OSError) -> GpgMissingError:
    """Return the error that says what to install."""
    message = f"gpg cannot be started: {os.strerror(error.errno) if error.errno else error}"
    return GpgMissingError(message, next_step="install it; on Debian and Ubuntu: apt-get install gpg")


def read_key(offered: bytes) -> GpgKey:
    """Return the one public key in the bytes of a file, armored or not, as gpg writes it, without others' signatures.

    Raises:
        GpgMissingError: gpg is not installed.
        TrustError: there is not exactly one, it is secret, too short, expired or revoked, or cannot sign.
    """
    with tempfile.TemporaryDirectory(prefix="stateguard-gpg-") as scratch:
        gpg = opened(Path(scratch), _ALONE)
        shown = gpg.scan_keys_mem(offered)
        if any(key["type"] == "sec" for key in shown):
            raise TrustError(
                "this is a private key; it was not stored", next_step="gpg --armor --export KEY writes the public one"
            )
        if len(shown) != 1:
            message = f"there is not exactly one OpenPGP public key but {len(shown)}"
            raise TrustError(message, next_step="write one with: gpg --armor --export FINGERPRINT")
        gpg.import_keys(offered)
        listed = gpg.list_keys()
        if len(listed) != 1:
            raise TrustError("gpg does not take this key: it has no user id, or its own signatures do not hold")
        key = listed[0]
        _check_strength(key)
        written = str(gpg.export_keys(key["fingerprint"], minimal=True))
    unarmored(written, PGP_PUBLIC_KEY)
    return GpgKey(str(key["fingerprint"]), written, str(next(iter(key["uids"]), "")))


def opened(home: Path | None, options: Sequence[str] = (), extra: Mapping[str, str] | None = None) -> gnupg.GPG:
    """Return python-gnupg on a GNUPGHOME (None: the caller's own, with the caller's environment).

    Raises:
        GpgMissingError: gpg is not installed.
    """
    environment = dict(os.environ) if home is None else command.clean_environment()
    try:
        return gnupg.GPG(
            gnupghome=None if home is None else str(home), options=list(options), env=environment | dict(extra or {}),
            encoding="utf-8",
        )  # fmt: skip
    except OSError as error:
        raise missing(error) from error
    except ValueError as error:
        message = f"gpg cannot be used: {error}"
        raise TrustError(message) from error


_SPEECH = {"LC_ALL": "C"}
_UNFIT = {"e": "has expired", "r": "was revoked by its owner", "i": "does not hold", "d": "is disabled"}


def _check_strength(key: Mapping[str, object]) -> None:
    if len(str(key["fingerprint"])) != 40:  # noqa: PLR2004 - hexadecimal digits of a version 4 key
        raise TrustError("this kind of OpenPGP key (not version 4) does not count")
    if str(key["trust"]) in _UNFIT:
        message = f"the key {key['fingerprint']} {_UNFIT[str(key['trust'])]}"
        raise TrustError(message, next_step="extend it or make a new one, and export it again")
    if "S" not in str(key["cap"]):
        message = f"the key {key['fingerprint']} has no part that can sign"
        raise TrustError(message, next_step="add a signing subkey, and export it again")
    parts = [key, *_subkeys(key)]
    for part in parts:
        bits, algorithm = str(part["length"]), str(part["algo"])
        signs = part is key or "s" in str(part["cap"])
        if signs and not (algorithm in _EDWARDS_OR_ECDSA or (algorithm in _RSA and int(bits) >= MIN_RSA_BITS)):
            message = f"the key {key['fingerprint']} has a part of {bits} bits that signs; that is too short"
            raise TrustError(message, next_step=f"use ed25519, ECDSA, or RSA with at least {MIN_RSA_BITS} bits")


def _subkeys(key: Mapping[str, object]) -> list[Mapping[str, object]]:
    found = key.get("subkey_info")
    return [part for part in found.values() if str(part["trust"]) not in _UNFIT] if isinstance(found, dict) else []
