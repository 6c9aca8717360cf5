import random
import time

import pytest
from hypothesis import given, strategies as st

from admission.secrets.specimens import HEX, Specimen, drawn, pieces, specimens
from stateguard.admission.secrets.rules import RULES
from stateguard.admission.secrets.scan import KINDS, TOO_MUCH, Found, find, in_text

TOKEN = "gh" + "p_" + drawn("ALNUM 36", random.Random(5))
KEYWORDS = sorted({keyword for rule in RULES for keyword in rule.keywords})
PIECES = st.one_of(
    st.sampled_from(KEYWORDS),
    st.sampled_from([b"=", b": ", b'"', b"'", b"\n", b"\r\n", b" ", b"://", b"@", b"\\n", b"-----", b".", b"Q~"]),
    st.text(HEX, min_size=8, max_size=64).map(str.encode),
    st.from_regex(rb"[A-Za-z0-9_-]{8,90}", fullmatch=True),
    st.binary(max_size=8),
)


def assert_inside(found: list[Found], content: bytes, most: int = 20) -> None:
    lines = content.split(b"\n")
    for finding in found:
        assert finding.kind in KINDS
        assert 1 <= finding.line <= len(lines)
        assert 1 <= finding.column <= len(lines[finding.line - 1])
    places = [(finding.line, finding.column) for finding in found]
    assert places == sorted(places)
    assert len({(finding.kind, finding.line) for finding in found}) == len(found) <= most


@given(st.binary(max_size=400))
def test_any_bytes_are_looked_through(content: bytes) -> None:
    assert_inside(find(content), content)


@given(st.lists(PIECES, max_size=30).map(b"".join), st.integers(0, 5))
def test_pieces_of_secrets_are_looked_through(content: bytes, most: int) -> None:
    assert_inside(find(content, most=most), content, most)


@given(
    st.lists(st.sampled_from(specimens(1)), min_size=1, max_size=6),
    st.sampled_from(["\n", " ", "\r\n", " | ", "\u00a0"]),
)
def test_what_is_told_has_nothing_of_the_value(chosen: list[Specimen], between: str) -> None:
    content = between.join(f"{specimen.name}={specimen.value}" for specimen in chosen).encode()
    found = find(content)
    assert found
    assert_inside(found, content)
    told = " ".join(f"{finding.title} {finding.kind}" for finding in found)
    assert not any(piece in told for specimen in chosen for piece in pieces(specimen))


@given(st.text(max_size=60))
def test_any_name_or_message_is_looked_through(text: str) -> None:
    assert in_text(text) == find(text.encode("utf-8", "surrogatepass"))


def test_a_name_with_lone_surrogates_is_looked_through() -> None:
    assert [found.kind for found in in_text(f"\udcff/{TOKEN}")] == ["github-token"]


def test_line_and_column_count_from_one_in_bytes() -> None:
    (found,) = find(f"a: b\né: {TOKEN}\n".encode())
    assert (found.kind, found.title, found.line, found.column) == ("github-token", "a GitHub token", 2, 5)


def test_a_kind_is_told_once_a_line() -> None:
    assert [(f.kind, f.line) for f in find(f"{TOKEN} {TOKEN}\n{TOKEN}\n".encode())] == [
        ("github-token", 1),
        ("github-token", 2),
    ]


@pytest.mark.parametrize("most", [0, 1, 3])
def test_no_more_than_wanted_are_told(most: int) -> None:
    found = find(f"{TOKEN}\n".encode() * 9, most=most)
    assert [finding.line for finding in found] == list(range(1, most + 1))


@pytest.mark.parametrize(
    "comment",
    [
        "# stateguard:allow",
        "// gitleaks:allow",
        "# made up, gitleaks:allow",
        "<!-- stateguard:allow -->",
        "; gitleaks:allow",
        "/* stateguard:allow */",
        "# stateguard:allow as it is made up",
    ],
)
def test_an_allowed_line_is_left_out(comment: str) -> None:
    content = f"key: {TOKEN}  {comment}\nother: {TOKEN}\n".encode()
    assert [found.line for found in find(content)] == [2]


@pytest.mark.parametrize(
    "word",
    [
        "stateguard:allow",
        "# stateguard:allowed",
        "# allow",
        "# see stateguard:allow in the docs",
        "https://stateguard:allow",
    ],
)
def test_another_line_is_not(word: str) -> None:
    assert len(find(f"key: {TOKEN}  {word}\n".encode())) == 1


@pytest.mark.parametrize("before", ["\\n", "%3D", "'", "(", "/", "=", "://x:"])
def test_a_token_begins_where_a_word_does(before: str) -> None:
    assert find(f"a{before}{TOKEN}".encode())[0].kind in {"github-token", "url-password"}


@pytest.mark.parametrize("before", ["x", "_", "my_", "token", "-"])
def test_a_name_can_run_into_a_token(before: str) -> None:
    (found,) = find(f"a {before}{TOKEN}".encode())
    assert (found.kind, found.column) == ("github-token", len(before) + 3)


@pytest.mark.parametrize("before", ["0", "a1_", "x" * 40])
def test_a_word_with_a_token_in_it_is_none(before: str) -> None:
    assert find(f"{before}{TOKEN}".encode()) == []


@pytest.mark.parametrize(
    "line",
    [
        'args: ["--api-key", "{}"]',
        "agent --api-key {} --verbose",
        '"headers": {{"Authorization": "Bearer {}"}}',
        "curl -H 'X-Api-Key: {}' https://shop.internal",
        "<password>{}</password>",
        'api_key: str = "{}"',
        'os.environ["API_KEY"] = "{}"',
        '{{\\"api_key\\": \\"{}\\"}}',
        "https://shop.internal/search?api_key={}&q=x",
        "run(token='{}')",
    ],
)
def test_settings_are_known_in_many_forms(line: str) -> None:
    value = drawn("ALNUM 32", random.Random(9))
    (found,) = find(line.format(value).encode())
    assert found.kind in {"assigned-secret", "assigned-password"}
    assert found.column == line.format(value).index(value) + 1


@pytest.mark.parametrize(
    "line", ["password: Tr0ub4" + "dor&3", 'PASSWORD="hunter' + '2hunter2"', "db_passwd = s3cure" + "-Pa55!"]
)
def test_passwords_that_people_choose_are_found(line: str) -> None:
    assert [found.kind for found in find(line.encode())] == ["assigned-password"]


@pytest.mark.parametrize(
    "line",
    [
        "machine git.internal login ann password Tr0ub4" + "dor3x",
        "machine git.internal\n  login ann\n  password Tr0ub4" + "dor3x",
        "password: autumn_2024" + "_rollout",
        "password: Blue.Kettle7" + ".x",
    ],
)
def test_passwords_are_found_in_other_forms(line: str) -> None:
    assert [found.kind for found in find(line.encode())] == ["assigned-password"]


@pytest.mark.parametrize(
    "line",
    [
        "password: shop-db-2024.yaml",
        "password: shop-database-v12",
        "password: db.prod01.internal",
        "the manual says password Tr0ub4" + "dor3x",
        "https://x.internal/?sig=" + "a1B2c3D4e5" * 5,
        "- name: MAX_TOKENS\n  value: '4096000000000000'",
    ],
)
def test_what_has_a_like_form_is_none(line: str) -> None:
    assert find(line.encode()) == []


@pytest.mark.parametrize("host", ["db.example.com", "localhost", "10.0.0.1"])
def test_a_password_in_an_address_is_found_at_any_host(host: str) -> None:
    assert [f.kind for f in find(f"postgres://app:{'s3' + 'cr3tpw'}@{host}/app".encode())] == ["database-url"]


@pytest.mark.parametrize(
    "repeated",
    [
        "pass",
        "AZDO",
        "-us",
        ":AA",
        ".eyJ",
        "/eyJaaaaaaaaaaaa",
        "key=\n",
        "token: aaaabbbbcccc\n",
        "api_key = 1a2b3c4d\n",
        "https://a:b@",
        "postgres://" + "a" * 90,
        "-----BEGIN PRIVATE KEY-----\n",
        f"password=Tr0ub4{'dor'}&3x # stateguard:allow\n",
        f"{TOKEN} # gitleaks:allow\n",
    ],
)
def test_much_is_looked_through_in_bounded_time(repeated: str) -> None:
    content = (repeated * (2**22 // len(repeated))).encode() + b"="
    begun = time.process_time()
    found = find(content)
    assert time.process_time() - begun < 5
    assert {finding.kind for finding in found} <= {TOO_MUCH}


def test_signs_of_comments_cost_little() -> None:
    begun = time.process_time()
    assert len(find(f"key: {TOKEN} ".encode() + b"#" * 2**21)) == 1
    assert time.process_time() - begun < 2


def test_what_is_too_much_is_told_before_what_was_found() -> None:
    content = f"key: {TOKEN}\n".encode() + b"api_key = 1a2b3c4d\n" * 90_000
    assert [(f.kind, f.line, f.column) for f in find(content)] == [(TOO_MUCH, 1, 1), ("github-token", 1, 6)]
    assert [f.kind for f in find(content, most=1)] == [TOO_MUCH]
