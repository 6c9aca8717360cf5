"""Walkthroughs and recipes, typed as they are written, with a real guard."""

import contextlib
import re
import socket
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from docs.pages import DOCS, Block, blocks, name
from docs.walking import Reader

TUTORIAL, SUPERVISED = DOCS / "tutorial.md", DOCS / "tutorial-supervisor.md"
WALKS = [DOCS / "quickstart.md", TUTORIAL, SUPERVISED]
RECIPES = sorted((DOCS / "how-to").glob("*.md"))
PREPARED = """\
git config --global user.name Ada
git config --global user.email ada@example.org
export STATEGUARD_HOME=$PWD/guard
stateguard example my-system
sed -i 's/confirm_window: .*/confirm_window: 3s/' my-system/stateguard.yaml
stateguard init --from my-system --live live --probe-runs 0
stateguard run 2> guard.log &
until stateguard status | grep -q 'guard  *running'; do :; done
git clone -q guard/repo.git work
cd work
"""
SKIPPED = {
    "docs/quickstart.md": 1,
    "docs/how-to/add-a-mirror.md": 1,
    "docs/how-to/run-as-a-service.md": 1,
    "docs/how-to/upgrade.md": 1,
    "docs/how-to/validate-in-ci.md": 1,
}
"""Blocks that cannot run here, counted, so that none is skipped unnoticed."""


def before(page: Path) -> list[Block]:
    """Return what a page asks to do first: the variant begins after step 2 of the tutorial."""
    lines = TUTORIAL.read_text(encoding="utf-8").splitlines()
    third = next(number for number, line in enumerate(lines, start=1) if line.startswith("## 3."))
    return [block for block in blocks(TUTORIAL) if block.line < third] if page == SUPERVISED else []


def on_free_ports(steps: list[Block]) -> list[Block]:
    """Put free ports of this machine in the place of those that a page names: 18101 and the like."""
    named = sorted({port for block in steps for port in re.findall(r"\b181\d\d\b", block.text)})
    with contextlib.ExitStack() as held:
        ports = {port: str(held.enter_context(free_port()).getsockname()[1]) for port in named}
    return [replace(block, text=re.sub(r"\b181\d\d\b", lambda m: ports[m[0]], block.text)) for block in steps]


def free_port() -> socket.socket:
    """Return a socket on a port that nobody uses; held until it is closed."""
    one = socket.socket()
    one.bind(("127.0.0.1", 0))
    return one


@pytest.fixture
def reader(tmp_path: Path) -> Iterator[Reader]:
    one = Reader(tmp_path)
    yield one
    one.close()


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Reader]:
    """Give a reader who has done the quickstart: a guard that runs, and a clone as the working directory."""
    one = Reader(tmp_path_factory.mktemp("prepared"))
    try:
        one.must(PREPARED)
        yield one
    finally:
        one.close()


@pytest.mark.slow
@pytest.mark.timeout(400)
@pytest.mark.parametrize("page", WALKS, ids=name)
def test_a_walkthrough_goes_as_it_is_written(page: Path, reader: Reader) -> None:
    assert reader.walk(on_free_ports([*before(page), *blocks(page)])) >= 5


@pytest.mark.slow
@pytest.mark.timeout(400)
@pytest.mark.parametrize("page", RECIPES, ids=name)
def test_a_recipe_goes_as_it_is_written(page: Path, prepared: Reader) -> None:
    prepared.must('cd "$STATEGUARD_HOME/../work" && git pull -q && stateguard resume && stateguard apply')
    prepared.walk(blocks(page))


def test_what_cannot_run_here_is_counted() -> None:
    pages = [page for page in (*WALKS, *RECIPES) if any(block.skipped for block in blocks(page))]
    assert {name(page): sum(1 for block in blocks(page) if block.skipped) for page in pages} == SKIPPED


def test_every_shell_block_of_a_walk_is_typed() -> None:
    """A block that is meant to be typed says ``sh``; ``bash`` and ``console`` would be passed over."""
    typed = [block for page in (*WALKS, *RECIPES) for block in blocks(page)]
    assert [block.place for block in typed if block.language in ("bash", "console")] == []
