from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from helpers import eventually
from observe.servers import Web, closed_port, web
from stateguard.host.clock import boot_seconds
from stateguard.model.agent import CommandCheck, FileCheck, HttpCheck, Probe, ProbeKind, TcpCheck
from stateguard.model.health import Health, Result
from stateguard.observe.prober import Prober, Reading


class Told:
    """Notes the verdicts that the prober tells of."""

    def __init__(self) -> None:
        self.ids: list[str] = []

    def __call__(self, probe: str) -> None:
        self.ids.append(probe)


@pytest.fixture
def told() -> Told:
    return Told()


@pytest.fixture
def prober(tmp_path: Path, told: Told) -> Iterator[Prober]:
    made = Prober(tmp_path, told)
    yield made
    made.close()


@pytest.fixture
def server() -> Iterator[Web]:
    with web() as running:
        yield running


def asks(url: str, name: str = "ready", kind: ProbeKind = ProbeKind.READINESS, agent: str | None = "a") -> Probe:
    return Probe(name, kind, HttpCheck(url), agent, period_seconds=0.2, timeout_seconds=0.2, failure_threshold=3)


def reading(prober: Prober, name: str = "a/ready") -> Reading:
    return prober.readings()[name]


def reaches(prober: Prober, health: Health, name: str = "a/ready", seconds: float = 5.0) -> Reading:
    eventually(lambda: reading(prober, name).health is health, seconds)
    return reading(prober, name)


def test_a_probe_that_passes_is_healthy_at_once(prober: Prober, server: Web, told: Told) -> None:
    slow = replace(asks(server.url), period_seconds=60.0)
    prober.configure([slow])
    found = reaches(prober, Health.HEALTHY, seconds=1.0)
    assert found.passes == 1
    assert found.last
    assert found.last.result is Result.PASS
    assert found.last.message == "HTTP 200"
    eventually(lambda: told.ids == ["a/ready"])


def test_an_agent_that_needs_a_moment_is_healthy_after_that_moment(prober: Prober, server: Web) -> None:
    server.status = 503
    prober.configure([replace(asks(server.url), period_seconds=60.0)])
    eventually(lambda: server.asked >= 3, 2.0)
    found = reading(prober)
    assert (found.health, found.failures) == (Health.UNKNOWN, 0)
    server.status = 200
    reaches(prober, Health.HEALTHY, seconds=1.0)


def test_one_that_never_starts_is_unhealthy_after_its_threshold(prober: Prober, told: Told) -> None:
    begun = time.monotonic()
    prober.configure([asks(f"http://127.0.0.1:{closed_port()}/")])
    found = reaches(prober, Health.UNHEALTHY)
    assert 0.6 <= time.monotonic() - begun <= 1.5
    assert found.last
    assert "connection refused" in found.last.message
    eventually(lambda: told.ids == ["a/ready"])


def test_a_failure_in_steady_state_needs_its_threshold(prober: Prober, server: Web, told: Told) -> None:
    prober.configure([asks(server.url)])
    reaches(prober, Health.HEALTHY)
    server.status = 500
    eventually(lambda: reading(prober).failures == 1)
    assert reading(prober).health is Health.HEALTHY
    reaches(prober, Health.UNHEALTHY)
    server.status = 200
    reaches(prober, Health.HEALTHY)
    eventually(lambda: told.ids == ["a/ready"] * 3)


def test_every_kind_of_check_is_asked(prober: Prober, server: Web, tmp_path: Path) -> None:
    (tmp_path / "there").write_text("")
    port = int(server.url.split(":")[2].split("/")[0])
    checks = {
        "h": HttpCheck(server.url),
        "t": TcpCheck("127.0.0.1", port),
        "c": CommandCheck(("test", "-e", "there")),
        "f": FileCheck("there", 60.0),
    }
    prober.configure([Probe(name, ProbeKind.LIVENESS, check, timeout_seconds=5.0) for name, check in checks.items()])
    for name in checks:
        reaches(prober, Health.HEALTHY, f"/{name}")


def test_configure_keeps_what_is_equal_and_begins_what_is_not(prober: Prober, server: Web) -> None:
    same, other = asks(server.url, "same"), asks(server.url, "other")
    prober.configure([same, other])
    before = reaches(prober, Health.HEALTHY, "a/same")
    reaches(prober, Health.HEALTHY, "a/other")
    server.status = 500
    prober.configure([same, replace(other, timeout_seconds=0.3), asks(server.url, "new")])
    found = prober.readings()
    assert found["a/same"].health is Health.HEALTHY
    assert found["a/same"].begun_at == before.begun_at
    assert found["a/other"].health is Health.UNKNOWN
    prober.configure([same])
    assert set(prober.readings()) == {"a/same"}


def test_begin_forgets_and_drops_what_earlier_runs_bring(prober: Prober, server: Web) -> None:
    server.hold = threading.Event()
    prober.configure([replace(asks(server.url), timeout_seconds=5.0, period_seconds=5.0)])
    eventually(lambda: server.asked == 1)
    begun = boot_seconds()
    prober.begin(["a/ready", "unknown"])
    server.status = 500  # the run in flight has read 200 already
    server.hold.set()
    eventually(lambda: server.asked >= 3)
    found = reading(prober)
    assert (found.health, found.passes) == (Health.UNKNOWN, 0)
    assert found.begun_at >= begun
    server.status = 200
    reaches(prober, Health.HEALTHY, seconds=1.0)


def test_a_probe_is_never_asked_twice_at_the_same_time(prober: Prober, tmp_path: Path) -> None:
    script = "mkdir busy || touch doubled; sleep 0.15; rmdir busy; false"
    probe = Probe("c", ProbeKind.READINESS, CommandCheck(("sh", "-c", script)), "a", 0.0, 0.05, 5.0)
    prober.configure([probe])
    for _ in range(20):
        prober.begin(["a/c"])
        eventually((tmp_path / "busy").exists)
    assert not (tmp_path / "doubled").exists()


def test_paused_agents_are_not_asked(prober: Prober, server: Web) -> None:
    prober.configure([asks(server.url), asks(server.url, agent=None)])
    reaches(prober, Health.HEALTHY)
    prober.pause(["a"])
    assert reading(prober).health is Health.UNKNOWN
    reaches(prober, Health.HEALTHY, "/ready")
    last = reading(prober).last
    other = reading(prober, "/ready").last
    eventually(lambda: reading(prober, "/ready").last != other)
    assert reading(prober).last == last
    prober.resume(["a"])
    reaches(prober, Health.HEALTHY)
    eventually(lambda: reading(prober).last != last)
    prober.pause(["a"])
    prober.begin(["a/ready"])
    reaches(prober, Health.HEALTHY)


def test_a_run_in_flight_when_its_agent_is_paused_is_dropped(prober: Prober, server: Web) -> None:
    server.hold = threading.Event()
    prober.configure([replace(asks(server.url), timeout_seconds=5.0)])
    eventually(lambda: server.asked == 1)
    prober.pause(["a"])
    server.hold.set()
    prober.configure([replace(asks(server.url), timeout_seconds=5.0), asks(server.url, "clock", agent=None)])
    reaches(prober, Health.HEALTHY, "/clock")
    assert reading(prober).last is None


def test_nothing_else_is_asked_until_the_startup_probe_has_succeeded(prober: Prober, server: Web) -> None:
    with web() as starting:
        starting.status = 503
        startup = asks(starting.url, "started", ProbeKind.STARTUP)
        prober.configure([startup, asks(server.url), asks(server.url, "other", agent="b")])
        reaches(prober, Health.UNHEALTHY, "a/started")
        reaches(prober, Health.HEALTHY, "b/other")
        assert reading(prober).last is None
        assert reading(prober).health is Health.UNKNOWN
        opened = boot_seconds()
        starting.status = 200
        found = reaches(prober, Health.HEALTHY)
        assert found.begun_at >= opened, "its time began when the gate opened"
        asked = starting.asked
        last = found.last
        eventually(lambda: reading(prober).last != last)
        assert starting.asked == asked, "a startup probe that has succeeded is not asked again"
        assert reading(prober, "a/started").health is Health.HEALTHY
        starting.status = 503
        prober.begin(["a/started", "a/ready"])
        assert reading(prober).health is Health.UNKNOWN


def test_the_initial_delay_is_waited_for(prober: Prober, server: Web) -> None:
    begun = boot_seconds()
    prober.configure([replace(asks(server.url), initial_delay_seconds=0.4)])
    found = reaches(prober, Health.HEALTHY)
    assert found.last
    assert found.last.begun_at - begun >= 0.4


def test_a_fault_of_a_check_is_an_observation(prober: Prober, caplog: pytest.LogCaptureFixture) -> None:
    probe = Probe("x", ProbeKind.LIVENESS, FileCheck(None), "a")  # type: ignore[arg-type]
    prober.configure([probe])
    last = eventually(lambda: reading(prober, "a/x").last)
    assert last
    assert last.result is Result.ERROR
    assert "unforeseen" in caplog.text


def test_a_listener_that_fails_does_not_end_the_probing(
    tmp_path: Path, server: Web, caplog: pytest.LogCaptureFixture
) -> None:
    def listener(_: str) -> None:
        raise ValueError("no")

    prober = Prober(tmp_path, listener)
    try:
        prober.configure([asks(server.url)])
        reaches(prober, Health.HEALTHY)
        server.status = 500
        reaches(prober, Health.UNHEALTHY)
    finally:
        prober.close()
    assert "listener" in caplog.text


def test_closing_ends_all_threads(tmp_path: Path, server: Web, told: Told) -> None:
    before = threading.active_count()
    prober = Prober(tmp_path, told)
    prober.configure([asks(server.url)])
    reaches(prober, Health.HEALTHY)
    prober.close()
    prober.close()
    eventually(lambda: threading.active_count() <= before)
