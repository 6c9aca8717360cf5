"""Every command line that a page mentions is one that the program takes: command, options, number of words."""

import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from docs.pages import PAGES, blocks, name, prose, typed
from stateguard.cli.main import cli

MENTIONING = [page for page in PAGES if page.parent.name != "adr"]
"""Decisions stay as they were taken, whatever commands were called then."""

_SHELL = re.compile(r"\s(?:\||\|\||&&|&|;|#|[12]?>|<<?)(?:\s|&|$).*")
_FRONT = re.compile(r"^(?:[A-Z_]+=\S+\s+)*stateguard\s")


def mentioned(page: Path) -> Iterator[str]:
    """Yield what a page says after the word stateguard, in blocks and between backquotes."""
    lines = [line for block in blocks(page) if block.language in ("sh", "console", "") for line in typed(block.text)]
    lines += [span.replace("\n", " ") for span in re.findall(r"`([^`]+)`", prose(page))]
    for line in lines:
        for part in re.split(r"\s(?:&&|;|\|\||\|)\s", line.strip()):
            if _FRONT.match(part + " "):
                yield _FRONT.sub("", part + " ").strip()


def words(line: str) -> list[str]:
    """Return the words of a mention: what is optional counts as said, what stands for more words does not."""
    plain = re.sub(r"\[([^\]]*)\]", r"\1", _SHELL.sub("", f"{line} ").strip()).replace("…", " ")
    return shlex.split(plain)


def fault(given: list[str]) -> str:
    """Return why a command line cannot be meant; nothing if it can."""
    command: click.Command = cli
    rest = given
    try:
        while isinstance(command, click.Group):
            _, rest, _ = command.make_parser(click.Context(command)).parse_args(list(rest))
            if not rest:
                return "" if command is cli or command.invoke_without_command else "a command is missing"
            found = command.get_command(click.Context(command), rest[0])
            if found is None:
                return f"there is no command {rest[0]}"
            command, rest = found, rest[1:]
        _, left, _ = command.make_parser(click.Context(command)).parse_args(list(rest))
    except click.UsageError as error:
        return error.format_message()
    return f"too many words: {left}" if left else ""


@pytest.mark.parametrize("page", MENTIONING, ids=name)
def test_every_command_line_is_one(page: Path) -> None:
    faults = {line: fault(words(line)) for line in mentioned(page)}
    assert {line: why for line, why in faults.items() if why} == {}


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ("status --watch", ""),
        ("--json baseline list | jq .", ""),
        ("plan -- -1", ""),
        ("rollback [TARGET] [--reason TEXT]", ""),
        ("agent stop --all", ""),
        ("run 2> guard.log &", ""),
        ("agent", "a command is missing"),
        ("polish", "there is no command polish"),
        ("status --loudly", "No such option"),
        ("show 1 2", "too many words"),
    ],
)
def test_a_command_line_is_told_from_none(line: str, why: str) -> None:
    found = fault(words(line))
    assert found.startswith(why)
    assert bool(found) == bool(why)


def test_command_lines_are_found() -> None:
    assert sum(1 for page in MENTIONING for _ in mentioned(page)) > 50
