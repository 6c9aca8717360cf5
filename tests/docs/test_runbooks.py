"""A runbook for each thing that asks for a person, all of one form, and all found from the index."""

from pathlib import Path

import pytest

from docs.pages import DOCS, blocks
from stateguard.detect import failure

RUNBOOKS = sorted((DOCS / "runbooks").glob("*.md"))
HEADINGS = ["What you see", "What it means", "What to do", "How you know it is over"]
INDEX = (DOCS / "README.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("page", RUNBOOKS, ids=lambda page: page.stem)
def test_a_runbook_says_what_to_see_think_do_and_expect(page: Path) -> None:
    lines = page.read_text(encoding="utf-8").splitlines()
    assert [line.removeprefix("## ") for line in lines if line.startswith("## ")] == HEADINGS
    assert blocks(page), "a person recognises what stands on the screen"


def test_every_condition_has_a_runbook() -> None:
    text = "".join(page.read_text(encoding="utf-8") for page in RUNBOOKS)
    conditions = [value for name, value in vars(failure).items() if name.isupper() and value == name]
    assert len(conditions) > 5
    assert [name for name in conditions if name not in text] == []


@pytest.mark.parametrize("folder", ["how-to", "explanation", "runbooks"])
def test_the_index_names_every_page(folder: str) -> None:
    pages = [page.relative_to(DOCS).as_posix() for page in (DOCS / folder).glob("*.md")]
    assert pages
    assert [page for page in pages if f"({page})" not in INDEX] == []
