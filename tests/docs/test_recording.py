"""The recording is of the quickstart as it is written now."""

from docs.pages import missing, typed
from docs.recording import RECORDING, steps

TEXT = RECORDING.read_text(encoding="utf-8")


def test_every_line_of_the_quickstart_was_typed_in_order() -> None:
    told = [line for block, _ in steps() for line in typed(block.text)]
    assert [line.removeprefix("$ ") for line in TEXT.splitlines() if line.startswith("$ ")] == told


def test_the_recording_shows_what_the_quickstart_shows() -> None:
    assert missing("".join(shown for _, shown in steps()), TEXT) == ""
