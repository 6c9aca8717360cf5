"""The generated page is the one that is committed."""

from docs.configuration import PAGE, page


def test_the_page_is_as_it_is_generated() -> None:
    again = "write it anew: .venv/bin/python tests/docs/configuration.py"
    assert PAGE.read_text(encoding="utf-8") == page(), again


def test_keys_at_every_depth_are_on_it() -> None:
    text = page()
    for row in (
        "| `apiVersion` | `stateguard/v1` | required |",
        "| `mirrors[].breaker.failures` | integer, at least 1",
        "| `sections.NAME.heal` | `hold`, `enforce` |",
        "| `probes[].http.url` | text | required |",
        "| `stop.grace_period_seconds` | number, at least 0",
    ):
        assert row in text, row
