"""The systemd unit of a guard, rendered from a template with this interpreter and this home."""

from __future__ import annotations

import grp
import os
import pwd
import re
import sys
from dataclasses import dataclass
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from stateguard.config.resources import shipped
from stateguard.errors import RefusedError, UsageProblemError
from stateguard.guard.settings import read_settings
from stateguard.host.home import Home

WATCHDOG_SECONDS = 60

_TEMPLATE = "stateguard.service.j2"
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.@-]{0,99}")
_HIDDEN = ("/home", "/root", "/run/user")
"""What ProtectHome= hides."""


@dataclass(frozen=True, slots=True)
class Unit:
    """A unit file: its text, its name with ``.service``, and the commands that install it."""

    text: str
    name: str
    install: tuple[str, ...]


def systemd_unit(home: Home, name: str, *, user_unit: bool, invoked: str) -> Unit:
    """Return the unit that runs a home's guard; ``invoked`` is the command line that prints it.

    Raises:
        UsageProblemError: the name is none for a unit.
        RefusedError: a path cannot be written in a unit file.
        StateguardError: the home's settings cannot be read.
    """
    if not _NAME.fullmatch(name) or name.endswith(".service"):
        message = f"{name!r} is no name for a unit"
        raise UsageProblemError(message, next_step="use letters, digits, - _ . and @, without .service")
    live = str(Path(read_settings(home).live).resolve())  # systemd passes over paths with .. in them
    for path in (str(home.root), live, sys.executable):
        if not path.isprintable():
            message = f"{path!r} cannot be written in a unit file"
            raise RefusedError(message, next_step="move it to a path without control characters")
    owner = pwd.getpwuid(home.root.stat().st_uid)
    environment = Environment(
        loader=FileSystemLoader(shipped("templates")),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        autoescape=False,  # noqa: S701 - a unit file is no markup; its own escape is `quoted`
    )
    environment.filters |= {"quoted": quoted, "command": command, "specifiers": specifiers}
    text = environment.get_template(_TEMPLATE).render(
        name=name,
        user_unit=user_unit,
        home=str(home.root),
        live=live,
        python=sys.executable,
        owner=owner.pw_name,
        group=grp.getgrgid(owner.pw_gid).gr_name,
        at_home=_below_home(str(home.root), live, sys.executable, owner.pw_dir),
        watchdog_seconds=WATCHDOG_SECONDS,
    )
    return Unit(text, f"{name}.service", _installing(name, user_unit=user_unit, invoked=invoked))


def quoted(text: str) -> str:
    """Return a word as systemd reads it back, specifiers included."""
    inside = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{specifiers(inside)}"'


def specifiers(text: str) -> str:
    """Return a text in which systemd finds no specifiers, such as ``%h``."""
    return text.replace("%", "%%")


def command(text: str) -> str:
    """Return a word of a command line, where ``$`` has a meaning too."""
    return quoted(text).replace("$", "$$")


def _below_home(*paths: str) -> str:
    """Return the first of some paths that ProtectHome= would hide, or nothing."""
    real = [(path, os.path.realpath(path)) for path in paths]
    return next((path for path, there in real if any(f"{there}/".startswith(f"{h}/") for h in _HIDDEN)), "")


def _installing(name: str, *, user_unit: bool, invoked: str) -> tuple[str, ...]:
    if user_unit:
        return (
            "mkdir -p ~/.config/systemd/user",
            f"{invoked} > ~/.config/systemd/user/{name}.service",
            "systemctl --user daemon-reload",
            f"systemctl --user enable --now {name}",
            "loginctl enable-linger",
        )
    return (
        f"{invoked} > /etc/systemd/system/{name}.service",
        "systemctl daemon-reload",
        f"systemctl enable --now {name}",
    )
