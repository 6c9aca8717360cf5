import pytest
from hypothesis import given, strategies as st

from stateguard.text.redact import redact, without


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("push to https://alice:s3cret@host/x failed", "push to https://***@host/x failed"),
        ("ssh://git@host/x", "ssh://***@host/x"),
        ("PASSWORD=hunter2 next", "PASSWORD=*** next"),
        ("api_key: abc", "api_key: ***"),
        ("GITHUB_TOKEN = x", "GITHUB_TOKEN = ***"),
        ("ghp_" + "a" * 36, "***"),
        ("key sk-" + "a" * 24, "key ***"),
        ("AKIA" + "A" * 16, "***"),
        ("xoxb-" + "1" * 12, "***"),
        ("nothing to hide, token", "nothing to hide, token"),
        ("password: //hunter2", "password: ***"),
        ("https://host/a@b", "https://host/a@b"),
    ],
)
def test_credentials_are_taken_out(text: str, expected: str) -> None:
    assert redact(text) == expected


PIECES = st.sampled_from(
    ["https://", "user:pw", "@", "host", "/", " ", "token", "=", ": ", "password", "***", "ghp_" + "a" * 20, "\n"]
)


@given(st.text() | st.lists(PIECES, max_size=12).map("".join))
def test_redacting_twice_changes_nothing_more(text: str) -> None:
    assert redact(redact(text)) == redact(text)


@given(st.text(alphabet="abcXYZ019", min_size=6, max_size=30))
def test_a_password_in_a_url_does_not_survive(secret: str) -> None:
    assert f"{secret}!" not in redact(f"fatal: https://me:{secret}!@host/repo.git")


def test_the_name_of_a_secret_is_none() -> None:
    assert redact("an environment value secret://NAME names one") == "an environment value secret://NAME names one"


VALUES = st.lists(st.text(alphabet="abc019-", min_size=4, max_size=12), min_size=1, max_size=3)


@given(VALUES, st.text(alphabet="abc019- .", max_size=20), st.data())
def test_no_value_is_left_in_a_line_cut_or_not(values: list[str], around: str, data: st.DataObject) -> None:
    value = data.draw(st.sampled_from(values))
    said = f"{around} {value} {around}"
    left = without(said, values)
    assert not any(one in left.replace("***", "\0") for one in values)
    cut = data.draw(st.integers(len(around) + 5, len(said)))
    short = without(said[:cut] + "…", values)
    assert value[: max(4, cut - len(around) - 1)] not in short.replace("***", "\0") or value[:4] in around


def test_lines_of_a_value_and_short_ones() -> None:
    assert without("got first-line, then second-line", ["first-line\nsecond-line\n"]) == "got ***, then ***"
    assert without("an ox", ["ox"]) == "an ox"
    assert without("token abcdefg…", ["abcdefghijkl"]) == "token ***…"
    assert without("nothing here…", ["abcdefghijkl"]) == "nothing here…"
