"""The mirrors of ``guard.yaml``."""

from __future__ import annotations

import re
from typing import Annotated
from urllib.parse import SplitResult, urlsplit

from pydantic import AfterValidator, Field, model_validator

from stateguard.config.fields import Count, Name, Period, Positive, Required, Strict
from stateguard.config.problem import shown
from stateguard.model.mirror import MirrorSpec
from stateguard.text.redact import redact

_SCHEMES = ("ssh", "https", "http", "git", "file")
_IN_THE_CLEAR = ("http", "git")
_LOOPBACK = ("127.0.0.1", "::1", "localhost")
_SCP = re.compile(r"(?:[A-Za-z0-9][A-Za-z0-9._-]*@)?(?:[A-Za-z0-9][A-Za-z0-9.-]*|\[[0-9A-Fa-f:.]+\]):[^:\s][^\s]*")
_HELPER = re.compile(r"[^/:\[]*::")
_FORMS = "use ssh://HOST/PATH, https://HOST/PATH, git://HOST/PATH, HOST:PATH or an absolute path"


def mirror_url(value: str) -> str:
    """Return an address that git can push to.

    Raises:
        ValueError: git would take it for something else, or it names no place.
    """
    msg = f"{shown(redact(value))} is no address of a git repository; {_FORMS}"
    if (
        not value.isprintable()
        or value != value.strip()
        or value.startswith("-")
        or "::" in value.split("[", maxsplit=1)[0]
    ):
        raise ValueError(msg)
    if value.startswith("/"):
        return value
    if "://" not in value:
        if not _SCP.fullmatch(value):
            raise ValueError(msg)
        return value
    parts = _split(value)
    if parts is None or not parts.path.strip("/") or parts.netloc.count("@") > 1 or " " in value:
        raise ValueError(msg)
    if parts.scheme not in _SCHEMES or bool(parts.hostname) == (parts.scheme == "file"):
        raise ValueError(msg)
    return value


def _split(value: str) -> SplitResult | None:
    try:
        parts = urlsplit(value)
        fit = parts.port != 0 and not (parts.hostname or "").startswith("-") and not parts.netloc.startswith("-")
    except ValueError:
        return None
    return parts if fit else None


class BreakerModel(Strict):
    """When a mirror that fails is left alone, and for how long."""

    failures: Count = 5
    pause: Positive = 300.0


class MirrorModel(Strict):
    """One mirror."""

    name: Name
    url: Annotated[str, Field(min_length=1, max_length=2048), AfterValidator(mirror_url)]
    trusted: bool = False
    deadline: Positive = 60.0
    check: Period = 900.0
    tell_after: Positive = 900.0
    breaker: BreakerModel = BreakerModel()
    encrypt_to: Required | list[Required] | None = None

    @model_validator(mode="after")
    def _fits(self) -> MirrorModel:
        """Refuse what would send less, or more openly, than the settings promise."""
        if self.encrypt_to is not None:
            msg = "encrypt_to is not available in this version; leave it out, or guard the mirror otherwise"
            raise ValueError(msg)
        parts = _split(self.url)
        scheme, host = (parts.scheme, parts.hostname) if parts else ("", "")
        if parts and scheme in ("git", "file") and "@" in parts.netloc:
            raise ValueError(f"{scheme}:// knows no user; leave out what stands before the @")
        if self.trusted and scheme in _IN_THE_CLEAR and host not in _LOOPBACK:
            msg = f"captured state would travel unencrypted over {scheme}; use ssh or https, or trusted: false"
            raise ValueError(msg)
        return self

    def spec(self) -> MirrorSpec:
        """Return it as a value."""
        return MirrorSpec(
            name=self.name,
            url=self.url,
            trusted=self.trusted,
            deadline_seconds=self.deadline,
            check_seconds=self.check,
            tell_after_seconds=self.tell_after,
            breaker_failures=self.breaker.failures,
            breaker_pause_seconds=self.breaker.pause,
        )


def unique(mirrors: list[MirrorModel]) -> list[MirrorModel]:
    """Return mirrors of which no two have the same name.

    Raises:
        ValueError: two have.
    """
    names = [mirror.name for mirror in mirrors]
    double = next((name for name in names if names.count(name) > 1), None)
    if double is not None:
        msg = f"two mirrors are called {double}; give each its own name"
        raise ValueError(msg)
    return mirrors
