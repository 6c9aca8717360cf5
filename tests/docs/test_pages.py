"""The reading of pages can tell a difference; otherwise no page could fail."""

from pathlib import Path

import pytest

from docs.pages import blocks, missing, prose, typed

PAGE = """\
# Title

```sh exit=1
echo one
false
```

```text output
one
```

Text with `code`.

```sh skip=needs-root
reboot
```
"""


def test_blocks_have_place_and_words(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(PAGE, encoding="utf-8")
    one, two, three = blocks(page)
    assert (one.line, one.language, one.status, one.skipped, one.text) == (4, "sh", 1, "", "echo one\nfalse\n")
    assert two.words == ("output",)
    assert three.skipped == "needs-root"
    assert prose(page).split() == ["#", "Title", "Text", "with", "`code`."]


@pytest.mark.parametrize(
    ("shown", "printed", "lacks"),
    [
        ("a\nc\n", "a\nb\nc\n", ""),
        ("c\na\n", "a\nb\nc\n", "a"),
        ("took 0.3 s", "took 17.25 s", ""),
        ("took 0.3 s", "took 17.25 m", "took 0.3 s"),
        ("main is fccb4731d6", "main is 1c816db608a", ""),
        ("at 2026-01-02T03:04:05Z", "at 2027-01-02T03:04:05.678Z", ""),
        ("x … z", "x y z", ""),
        ("x … z", "x y", "x … z"),
        ("a   b", "a b  ", ""),
        ("…\nb", "a\nb", ""),
        ("[remote rejected]", "\x1b[31m[remote rejected]\x1b[m", ""),
        ("a\na", "a\n", "a"),
    ],
)
def test_shown_lines_are_found_in_what_was_printed(shown: str, printed: str, lacks: str) -> None:
    assert missing(shown, printed) == lacks


def test_here_documents_are_no_command_lines() -> None:
    text = "cat > f <<'EOF'\nstateguard nonsense\nEOF\nstateguard init \\\n  --live x\n$ ls\n"
    assert list(typed(text)) == ["cat > f <<'EOF'", "stateguard init   --live x", "ls"]
