import pytest

from stateguard.config.channel import parse_channel
from stateguard.config.problem import InvalidDocument
from stateguard.config.yaml import load
from stateguard.model.agent import Channel, HttpCheck, Probe, ProbeKind

PATH = "protocols/a-b.yaml"


def parse(text: str) -> Channel:
    return parse_channel(load(text.encode(), PATH), PATH)


def test_a_channel_has_a_probe_named_after_it() -> None:
    text = "name: a-b\nfrom: a\nto: b\nendpoint: 'http://h/x'\nprobe: {http: {url: 'http://h/health'}}\n"
    probe = Probe("channel-a-b", ProbeKind.READINESS, HttpCheck("http://h/health"))
    assert parse(text) == Channel("a-b", PATH, "a", "b", "http", probe)


def test_a_channel_needs_no_probe() -> None:
    assert parse("{name: a-b, from: user, to: b, transport: nats}") == Channel("a-b", PATH, "user", "b", "nats")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{name: a-b, to: b}", "from is missing; add it"),
        ("{name: a-b, from: a, to: [b]}", "to must be text, not a list"),
        ("{name: a-b, from: a, to: b, probe: {}}", "probe: a probe needs exactly one of http, tcp, command and file"),
        ("{name: a-b, from: a, to: b, probe: {tcp: {prt: 1}}}", 'unknown key "prt"; did you mean port?'),
    ],
)
def test_mistakes_are_told(text: str, message: str) -> None:
    with pytest.raises(InvalidDocument) as caught:
        parse(text)
    assert any(message in p.message for p in caught.value.problems)
