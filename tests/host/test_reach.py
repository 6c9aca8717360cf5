from __future__ import annotations

import contextlib
import datetime as dt
import ipaddress
import socket
import ssl
import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from hypothesis import given, strategies as st

from stateguard.host import http
from stateguard.host.reach import ORDINARY, Network, OutOfReachError, Place, Reach

_ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


class Names:
    """A resolver that answers what it is told to, each time the next, and counts how often it was asked."""

    def __init__(self, *answers: Sequence[str]) -> None:
        self.answers, self.asked = [*answers], 0

    def __call__(self, _host: str, port: int) -> list[Place]:
        self.asked += 1
        found = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        return [(socket.AF_INET6 if ":" in one else socket.AF_INET, (one, port)) for one in found]


@contextlib.contextmanager
def serving(address: str, context: ssl.SSLContext | None = None) -> Iterator[tuple[int, list[bytes]]]:
    """Answer requests at an address of this host; yields the port and what was asked."""
    asked: list[bytes] = []
    family = socket.AF_INET6 if ":" in address else socket.AF_INET

    def serve() -> None:
        with contextlib.suppress(OSError):
            while True:
                plain = server.accept()[0]
                with contextlib.suppress(ssl.SSLError), plain:
                    wrapped = context.wrap_socket(plain, server_side=True) if context else plain
                    with wrapped as connection:
                        asked.append(connection.recv(65536))
                        connection.sendall(_ANSWER)

    with socket.create_server((address, 0), family=family) as server:
        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield server.getsockname()[1], asked
        finally:
            server.shutdown(socket.SHUT_RDWR)
            thread.join()


def listing(*networks: str) -> Reach:
    found: tuple[Network, ...] = tuple(map(ipaddress.ip_network, networks))
    return Reach(lambda: found)


def judged(address: str, reach: Reach = ORDINARY) -> bool:
    """Say whether an address is within reach; with no time left nothing is ever connected to."""
    try:
        Reach(reach.listed, Names([address])).connect("some.name", 9, time.monotonic() - 1)
    except OutOfReachError:
        return False
    except TimeoutError:
        return True
    raise AssertionError("it was connected to")


@pytest.mark.parametrize("address", ["127.0.0.1", "127.0.0.2", "::1"])
def test_this_host_is_asked_without_being_listed(address: str) -> None:
    with contextlib.ExitStack() as stack:
        try:
            port, asked = stack.enter_context(serving(address))
        except OSError:
            pytest.skip(f"this host has no {address}")
        host = f"[{address}]" if ":" in address else address
        assert http.request(f"http://{host}:{port}/", timeout_seconds=5) == http.Answer(200, b"ok")
        assert f"Host: {host}:{port}\r\n".encode() in asked[0]


@pytest.mark.parametrize(
    "address",
    [
        "10.1.2.3", "172.16.0.1", "172.31.255.255", "192.168.1.1", "100.64.0.1", "169.254.169.254", "100.100.100.200",
        "168.63.129.16", "192.0.0.192", "224.0.0.1", "239.255.255.250", "255.255.255.255", "240.0.0.1", "192.0.2.1",
        "198.18.0.1", "fe80::1", "fe80::1%eth0", "fc00::1", "fd00:ec2::254", "fec0::1", "ff02::1", "2001:db8::1",
        "::ffff:10.0.0.1", "::ffff:169.254.169.254", "64:ff9b::a9fe:a9fe", "2002:a00:1::1", "::7", "2001::1",
    ],
)  # fmt: skip
def test_other_networks_are_not_asked(address: str) -> None:
    assert not judged(address)


@pytest.mark.parametrize(
    "address", ["127.0.0.1", "127.8.9.1", "::1", "::ffff:127.0.0.1", "0.0.0.0", "8.8.8.8",  # noqa: S104 - nothing is bound
                "2606:4700::1111", "64:ff9b::808:808"],
)  # fmt: skip
def test_this_host_and_public_ones_are(address: str) -> None:
    assert judged(address)


@pytest.mark.parametrize(
    ("networks", "address", "within"),
    [
        (["10.0.0.0/8"], "10.1.2.3", True),
        (["10.0.0.0/8"], "::ffff:10.1.2.3", True),
        (["10.0.0.0/8"], "172.16.0.1", False),
        (["10.1.2.3"], "10.1.2.3", True),
        (["10.1.2.3"], "10.1.2.4", False),
        (["fd00::/8"], "fd12::1", True),
        (["fd00::/8", "169.254.169.254"], "169.254.169.254", True),
        (["fe80::/10"], "fe80::1%eth0", True),
        (["::ffff:10.0.0.0/104"], "::ffff:10.1.2.3", True),
        (["fd00::/8"], "10.1.2.3", False),
    ],
)
def test_what_is_listed_is_asked(networks: list[str], address: str, within: bool) -> None:
    assert judged(address, listing(*networks)) == within


_CLOSED = [
    ipaddress.ip_network(text)
    for text in (
        "10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "169.254.0.0/16", "100.64.0.0/10", "224.0.0.0/4", "fc00::/7",
        "fe80::/10", "ff00::/8",
    )
]  # fmt: skip


@given(st.sampled_from(_CLOSED).flatmap(lambda network: st.ip_addresses(network=network)))
def test_no_address_of_a_closed_network_is_within_reach(address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> None:
    assert not judged(str(address))
    if address.version == 4:
        assert not judged(f"::ffff:{address}")
        assert not judged(str(ipaddress.IPv6Address(int(ipaddress.IPv6Address("64:ff9b::")) + int(address))))
        assert judged(str(address), listing(f"{address}/32"))


def test_a_refusal_names_the_address_and_what_lists_it() -> None:
    names = Names(["10.1.2.3"])
    with pytest.raises(OutOfReachError, match=r"db\.example \(10\.1\.2\.3\).*probes: \{allow: \[10\.1\.2\.3\]\}"):
        http.request("http://db.example/", timeout_seconds=1, reach=Reach(resolver=names))
    with pytest.raises(OutOfReachError, match=r'allow: \["fe80::1"\]'):
        Reach(resolver=Names(["fe80::1%lo"])).connect("x", 1, time.monotonic() + 1)


@pytest.mark.parametrize("host", ["0xa9fea9fe", "2852039166", "0251.0376.0251.0376", "169.254.43518"])
def test_addresses_in_another_spelling_are_judged_as_what_they_are(host: str) -> None:
    with pytest.raises(OutOfReachError, match=r"169\.254\.169\.254"):
        http.request(f"http://{host}/latest/meta-data/", timeout_seconds=1)


def test_a_name_is_resolved_once_and_what_was_judged_is_asked() -> None:
    """The second answer of whoever answers for a name (DNS rebinding) is never asked for."""
    with serving("127.0.0.2") as (port, asked):
        names = Names(["127.0.0.2"], ["10.1.2.3"])
        url = f"http://agent.example:{port}/a"
        assert http.request(url, timeout_seconds=5, reach=Reach(resolver=names)).status == 200
        assert names.asked == 1
        assert f"Host: agent.example:{port}\r\n".encode() in asked[0]


def test_one_address_out_of_reach_is_enough_to_ask_none() -> None:
    with serving("127.0.0.1") as (port, asked):
        for answer in (["127.0.0.1", "10.1.2.3"], ["10.1.2.3", "127.0.0.1"]):
            with pytest.raises(OutOfReachError):
                http.request(f"http://x:{port}/", timeout_seconds=1, reach=Reach(resolver=Names(answer)))
        assert asked == []


def test_the_next_address_is_asked_where_one_refuses() -> None:
    with serving("127.0.0.2") as (port, _):
        reach = Reach(resolver=Names(["127.0.0.3", "127.0.0.2"]))
        assert http.request(f"http://x:{port}/", timeout_seconds=5, reach=reach).status == 200


def test_a_name_without_addresses_is_an_os_error() -> None:
    with pytest.raises(socket.gaierror):
        http.request("http://x/", timeout_seconds=1, reach=Reach(resolver=Names([])))


def test_the_list_is_read_at_each_request() -> None:
    listed: list[Network] = []
    reach = Reach(lambda: tuple(listed), Names(["192.0.2.1"]))
    assert not judged("192.0.2.1", reach)
    listed.append(ipaddress.ip_network("192.0.2.0/24"))
    assert judged("192.0.2.1", reach)


def certificate(name: str, place: Path) -> ssl.SSLContext:
    """Return what a server of this name works with; writes its certificate, which signs itself."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
    now = dt.datetime.now(dt.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - dt.timedelta(days=1))
        .not_valid_after(now + dt.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
        .sign(key, hashes.SHA256())
    )
    pem = serialization.Encoding.PEM
    secret = key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    place.write_bytes(made.public_bytes(pem))
    both = place.with_suffix(".both")
    both.write_bytes(secret + made.public_bytes(pem))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(both)
    return context


def test_the_certificate_is_checked_against_the_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    context, named = certificate("agent.example", tmp_path / "ca.pem"), list[str | None]()
    context.sni_callback = lambda _socket, name, _context: named.append(name)
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "ca.pem"))
    with serving("127.0.0.2", context) as (port, asked):
        reach = Reach(resolver=Names(["127.0.0.2"]))
        assert http.request(f"https://agent.example:{port}/", timeout_seconds=5, reach=reach).body == b"ok"
        assert f"Host: agent.example:{port}\r\n".encode() in asked[0]
        assert named == ["agent.example"]
        with pytest.raises(ssl.SSLCertVerificationError, match=r"other\.example"):
            http.request(f"https://other.example:{port}/", timeout_seconds=5, reach=reach)


def test_a_server_that_never_greets_hits_the_deadline() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        begun = time.monotonic()
        with pytest.raises(TimeoutError):
            http.request(f"https://127.0.0.1:{server.getsockname()[1]}/", timeout_seconds=0.2)
        assert time.monotonic() - begun < 2.0
