from dataclasses import replace
from ipaddress import ip_network

import pytest
from hypothesis import given, strategies as st

from stateguard.config.host import host_document, load_host, parse_host, with_arming
from stateguard.config.problem import InvalidDocument
from stateguard.config.yaml import load
from stateguard.model.policy import SHIPPED_ARMING, Arming, HostSettings, Trigger

SHIPPED = HostSettings(live="live", arming=SHIPPED_ARMING)


def read(text: str) -> HostSettings:
    return load_host(text.encode())


def test_nothing_said_is_as_shipped() -> None:
    assert read("x-note: none\n") == SHIPPED
    assert read("arming:\nlive: live\n") == SHIPPED


def test_settings_are_read() -> None:
    text = "live: /srv/live\nruntime: embedded\narming: {failure: act}\ncycle: 500ms\nname: kitchen\n"
    arming = {**SHIPPED_ARMING, Trigger.FAILURE: Arming.ACT}
    assert read(text) == HostSettings("/srv/live", arming, 0.5, "kitchen")
    assert parse_host(load(text.encode(), "guard.yaml")) == read(text)


def test_networks_that_probes_may_ask_are_read() -> None:
    found = read('probes: {allow: [10.1.2.3, 10.2.0.0/16, "fd00::/8"]}\n').probe_networks
    assert found == (ip_network("10.1.2.3/32"), ip_network("10.2.0.0/16"), ip_network("fd00::/8"))


def test_whether_gitleaks_is_asked_is_read() -> None:
    assert [read(text).gitleaks for text in ("live: a", "secrets: {gitleaks: auto}", "secrets: {gitleaks: off}")] == [
        True, True, False,
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("live: ''\n", "live must not be empty"),
        ("runtime: docker\n", 'runtime: must be embedded, or a mapping with supervisor or command, not "docker"'),
        ("arming: {soak: maybe}\n", "soak must be observe, propose or act"),
        ("arming: {saok: act}\n", "did you mean soak?"),
        ("cycle: 0\n", "cycle must be at least 0.05"),
        ("secrets: {gitleaks: on}\n", "gitleaks must be auto or off, not"),
        ("listen: 1\n", 'unknown key "listen"'),
        ("probes: {allow: [10.0.0.0/33]}\n", '"10.0.0.0/33" is no address or network'),
        ("probes: {allow: [10.1.2.3/8]}\n", "has host bits set"),
        ("probes: {allow: [db.internal]}\n", '"db.internal" is no address or network'),
    ],
)
def test_mistakes_are_told(text: str, message: str) -> None:
    with pytest.raises(InvalidDocument) as caught:
        read(text)
    assert message in caught.value.problems[0].message


def test_the_written_file_explains_itself() -> None:
    text = host_document(SHIPPED)
    assert text.count("# ") >= 5
    assert read(text) == SHIPPED


@given(
    st.text(alphabet=st.characters(exclude_categories=["Cc", "Cs", "Cn", "Zl", "Zp"]), min_size=1, max_size=50),
    st.text(alphabet="\"'\\#:{}é ", max_size=20),
    st.dictionaries(st.sampled_from(Trigger), st.sampled_from(Arming)),
    st.integers(1, 86400),
)
def test_what_is_written_is_read_back(live: str, name: str, arming: dict[Trigger, Arming], cycle: int) -> None:
    settings = HostSettings(live, {**SHIPPED_ARMING, **arming}, float(cycle), name)
    assert read(host_document(settings)) == settings


@pytest.mark.parametrize("live", ["", "\ud800", "\x7f"])
def test_what_cannot_be_written_is_refused(live: str) -> None:
    with pytest.raises(InvalidDocument):
        host_document(replace(SHIPPED, live=live))


FORMS = [
    "arming:\n  # mine\n  failure: propose  # ask\n  apply: act\nlive: x  # here\n",
    "live: x  # here\n\narming:\n    apply: act # yes\n# the end\n",
    'arming: {failure: "observe", apply: act}  # short\nlive: x\n',
    "arming: {apply: act}\nlive: x\n",
    "arming: {}\nlive: x\n",
    "arming:\nlive: x\n",
    "live: x\narming:",
    "live: x # no arming",
    "live: x\n",
    "# crlf\r\narming:\r\n  failure: 'act'\r\nlive: x\r\n",
    "# crlf\r\nlive: x\r\n",
    "arming:\r\n  apply: act # \r\nlive: x\r\n",
    "arming:\n    \n\n    soak: act\nlive: x\n",
]


@pytest.mark.parametrize("text", FORMS)
@pytest.mark.parametrize("level", list(Arming))
def test_arming_is_edited_in_place(text: str, level: Arming) -> None:
    edited = with_arming(text, Trigger.FAILURE, level)
    before = read(text)
    assert read(edited) == replace(before, arming={**before.arming, Trigger.FAILURE: level})
    assert [line for line in edited.splitlines() if "#" in line and "failure" not in line] == [
        line for line in text.splitlines() if "#" in line and "failure" not in line
    ]
    assert ("\r\n" in edited) == ("\r\n" in text)


def test_editing_changes_one_word() -> None:
    assert with_arming(FORMS[0], Trigger.FAILURE, Arming.ACT) == FORMS[0].replace("propose", "act")


def test_the_written_file_can_be_edited_for_every_trigger() -> None:
    text = host_document(SHIPPED)
    for trigger in Trigger:
        text = with_arming(text, trigger, Arming.PROPOSE)
    assert set(read(text).arming.values()) == {Arming.PROPOSE}
    assert len(text.splitlines()) == len(host_document(SHIPPED).splitlines())


@pytest.mark.parametrize(
    "text",
    [
        "arming: {failure: &a act, soak: *a}\n",
        "arming: {soak: &a act, failure: *a}\n",
        'arming: {failure: "\\x61ct"}\n',
        "arming:\n  failure: |-\n    act\n",
        "{live: x}\n",
        "live: x\n...\n",
    ],
)
def test_what_cannot_be_edited_is_left_to_the_person(text: str) -> None:
    with pytest.raises(InvalidDocument, match="by hand"):
        with_arming(text, Trigger.FAILURE, Arming.OBSERVE)


def test_an_invalid_file_is_not_edited() -> None:
    with pytest.raises(InvalidDocument, match="unknown key"):
        with_arming("nonsense: 1\n", Trigger.SOAK, Arming.ACT)


@given(
    st.lists(
        st.sampled_from(
            ["live: x", "name: n # c", "arming: {soak: act}", "arming:", "  apply: act", "# c", "", "cycle: 1"]
        )
    ),
    st.sampled_from(["\n", "\r\n", "\r", "\u2028"]),
    st.sampled_from(Trigger),
    st.sampled_from(Arming),
)
def test_an_edit_does_what_it_says_or_nothing(lines: list[str], end: str, trigger: Trigger, level: Arming) -> None:
    text = end.join(lines)
    try:
        edited = with_arming(text, trigger, level)
    except InvalidDocument:
        return
    before = read(text)
    assert read(edited) == replace(before, arming={**before.arming, trigger: level})
