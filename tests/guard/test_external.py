"""What fails outside of the system holds and tells: it never undoes a change, and a push meanwhile is accepted."""

from collections.abc import Iterator

import pytest

from driving import Driver
from tiny import ALPHA, GOOD, write_tiny

UPSTREAM = """\
  - name: upstream
    kind: readiness
    scope: external
    command: [sh, -c, "test ! -e down || { echo no answer; exit 1; }"]
    period_seconds: 0.2
    timeout_seconds: 20
    failure_threshold: 2
"""


@pytest.fixture(scope="module")
def outside(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Driver]:
    root = tmp_path_factory.mktemp("outside")
    source = write_tiny(root / "source", confirm="3s")
    state = source / "stateguard.yaml"
    state.write_text(state.read_text().replace("probes:\n", "probes:\n" + UPSTREAM))
    driver = Driver(root, source)
    try:
        yield driver.init("--no-baseline").start()
    finally:
        driver.close()


def test_an_outage_is_told_and_changes_nothing(outside: Driver) -> None:
    assert outside.offer(ALPHA, GOOD + "# in its soak\n").returncode == 0
    main = outside.main
    (outside.live / "down").touch()
    status = outside.wait(lambda s: s["incidents"] and s["conditions"])
    assert status["health"] == "HEALTHY"
    (told,) = [c for c in status["conditions"] if c["type"] == "EXTERNAL_FAILED"]
    assert (told["component"], told["external"], told["severity"]) == ("upstream", True, 3)
    assert "no answer" in told["message"]
    assert [p["health"] for p in status["probes"] if p["name"] == "upstream"] == ["UNHEALTHY"]
    number = status["incidents"][0]
    incident = outside.ask("incident", "show", str(number))
    assert (incident["type"], incident["decision"]["action"], incident["culprit"]) == ("EXTERNAL_FAILED", "tell", None)
    assert incident["operations"] == []
    entry = outside.ask("arming", "ledger")["ledger"][0]
    assert (entry["action"], entry["would"], entry["incident"]) == ("tell", "nothing", number)
    assert "no change of ours" in outside.must("arming", "ledger")

    assert outside.offer(ALPHA, GOOD + "# pushed while it lasts\n").returncode == 0
    assert outside.main != main
    assert "rolled back" in outside.offer(ALPHA, "wrong\n").stderr
    outside.sync()
    types = {i["id"]: i["type"] for i in outside.ask("incident", "list")["incidents"]}
    assert types.pop(number) == "EXTERNAL_FAILED"
    assert set(types.values()) == {"FAILED_APPLY"}, "what fails inside has an incident of its own"
    assert not [e for e in outside.ask("history")["entries"] if e["incident"] == number]
    assert outside.status()["incidents"] == [number]

    (outside.live / "down").unlink()
    outside.wait(lambda s: not s["incidents"])
    assert outside.ask("incident", "show", str(number))["state"] == "RESOLVED"


def test_a_failure_inside_is_acted_on_during_an_outage(outside: Driver) -> None:
    assert outside.offer(ALPHA, GOOD + "fuse\n").returncode == 0
    culprit = outside.main
    (outside.live / "down").touch()
    outside.wait(lambda s: s["incidents"])
    (outside.live / "lit").touch()
    outside.wait(lambda s: s["main"] != culprit and s["health"] == "HEALTHY" and len(s["incidents"]) == 1)
    assert "fuse" not in (outside.live / ALPHA).read_text()
    for name in ("lit", "down"):
        (outside.live / name).unlink()
    outside.wait(lambda s: not s["incidents"])
