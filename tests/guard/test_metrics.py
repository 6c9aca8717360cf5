"""The guard's own metrics: they parse, are named by Prometheus' rules, follow what happens, and never wait."""

from __future__ import annotations

import re
import socket
import time
from pathlib import Path

from prometheus_client.parser import text_string_to_metric_families

from driving import Driver, end_pushing, sh
from helpers import eventually
from tiny import ALPHA, GOOD

REFERENCE = Path(__file__).resolve().parents[2] / "docs" / "reference.md"
Values = dict[tuple[str, tuple[tuple[str, str], ...]], float]


def scrape(driver: Driver) -> str:
    """Return what ``GET /metrics`` answers, as a scraper asks."""
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(10)
        connection.connect(str(driver.home / "run/control.sock"))
        connection.sendall(b"GET /metrics HTTP/1.0\r\n\r\n")
        head, _, body = b"".join(iter(lambda: connection.recv(65536), b"")).partition(b"\r\n\r\n")
    assert b" 200 " in head.splitlines()[0]
    assert b"text/plain" in head
    return body.decode()


def values(text: str) -> Values:
    found: Values = {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            key = (sample.name, tuple(sorted(sample.labels.items())))
            assert key not in found
            found[key] = sample.value
    return found


def value(found: Values, name: str, **labels: str) -> float:
    return found[f"stateguard_{name}", tuple(sorted(labels.items()))]


def operations(found: Values) -> dict[tuple[str, ...], float]:
    return {
        tuple(v for _, v in labels): n for (name, labels), n in found.items() if name == "stateguard_operations_total"
    }


def test_names_types_and_labels_keep_the_rules_and_are_documented(tiny: Driver) -> None:
    rows = dict(re.findall(r"^\| `(stateguard_\w+)` \| \w+ \|([^|]*)\|", REFERENCE.read_text(), re.MULTILINE))
    for family in text_string_to_metric_families(scrape(tiny)):
        assert re.fullmatch(r"stateguard_[a-z_]+", family.name)
        assert family.documentation.endswith(".")
        assert family.type in ("counter", "gauge", "histogram")
        assert not re.search(r"_(milliseconds|ms|minutes|hours|bits|kb|percent|count|sum|bucket)$", family.name)
        name = f"{family.name}_total" if family.type == "counter" else family.name
        assert (family.type == "counter") == name.endswith("_total")
        labels = {label for sample in family.samples for label in sample.labels} - {"le"}
        assert not family.samples or labels == set(re.findall(r"`(\w+)`", rows[name])), name


def test_they_follow_pushes_and_rollbacks(tiny: Driver) -> None:
    tiny.must("baseline", "create")
    before = values(scrape(tiny))
    assert value(before, "health", state="HEALTHY") == 1
    assert value(before, "health", state="UNHEALTHY") == 0
    assert value(before, "agents", state="RUNNING") == 2
    assert value(before, "baseline_number") == 1
    assert 0 <= value(before, "baseline_age_seconds") < 60
    assert tiny.offer(ALPHA, GOOD + "# metrics\n").returncode == 0
    assert tiny.offer(ALPHA, "wrong\n").returncode == 1
    tiny.sync()
    assert tiny.ask("rollback", "-1", "--yes")["outcome"] == "succeeded"
    after = values(scrape(tiny))

    def grown(name: str, **labels: str) -> float:
        return value(after, name, **labels) - value(before, name, **labels)

    assert grown("operations_total", kind="apply", outcome="succeeded") == 1
    assert grown("operations_total", kind="apply", outcome="failed") == 1
    assert grown("operations_total", kind="rollback", outcome="succeeded") == 2
    assert grown("operation_duration_seconds_count", kind="apply") == 2
    assert grown("operation_stage_duration_seconds_count", kind="apply", stage="start") >= 1
    assert grown("operation_duration_seconds_sum", kind="apply") > 0
    assert grown("audit_entries") >= 4
    assert grown("last_cycle_timestamp_seconds") > 0
    assert grown("cycle_duration_seconds_count") >= 1
    assert value(after, "soak_remaining_seconds") > 0
    (tiny.live / "agents/alpha/prompt.md").write_text("drift\n")
    eventually(lambda: value(values(scrape(tiny)), "drift_paths") == 1, 30)
    assert tiny.ask("apply")["outcome"] == "succeeded"
    eventually(lambda: value(values(scrape(tiny)), "drift_paths") == 0, 30)


def test_a_scrape_waits_for_no_push_and_shows_what_waits(tiny: Driver) -> None:
    ready = (tiny.work / "bin/ready.sh").read_text()
    (tiny.live / "hold").touch()
    tiny.edit("bin/ready.sh", "while [ -e hold ]; do sleep 0.05; done\n" + ready)
    tiny.edit(ALPHA, GOOD + "# held\n")
    tiny.commit("A probe that waits")
    first = tiny.begin_push()
    try:
        eventually(lambda: value(values(scrape(tiny)), "worker_busy") == 1, 20)
        second = tiny.begin_push()
        eventually(lambda: value(values(scrape(tiny)), "worker_queue_length") == 1, 20)
        began = time.monotonic()
        for _ in range(10):
            scrape(tiny)
        assert time.monotonic() - began < 5
        assert first.poll() is None
    finally:
        (tiny.live / "hold").unlink()
    assert end_pushing(first)[0] == 0
    end_pushing(second)
    eventually(lambda: value(values(scrape(tiny)), "worker_busy") == 0, 20)
    assert value(values(scrape(tiny)), "worker_queue_length") == 0


def test_mirrors_are_shown_by_name(tiny: Driver) -> None:
    mirror = tiny.root / "mirror.git"
    sh("git", "init", "-q", "--bare", mirror)
    settings = tiny.home / "guard.yaml"
    before = settings.read_text()
    settings.write_text(re.sub(r"^mirrors:.*", f"mirrors: [{{name: near, url: {mirror}}}]", before, flags=re.MULTILINE))
    try:
        eventually(lambda: values(scrape(tiny)).get(state_of("near", "IN_SYNC")) == 1, 60)
        found = values(scrape(tiny))
        assert value(found, "mirror_behind_refs", mirror="near") == 0
        assert value(found, "mirror_failures", mirror="near") == 0
        assert value(found, "mirror_last_success_timestamp_seconds", mirror="near") > 0
    finally:
        settings.write_text(before)
    assert state_of("near", "IN_SYNC") not in values(scrape(tiny))


def state_of(mirror: str, state: str) -> tuple[str, tuple[tuple[str, str], ...]]:
    return "stateguard_mirror_state", (("mirror", mirror), ("state", state))


def test_counters_survive_the_guard(tiny: Driver) -> None:
    before = values(scrape(tiny))
    tiny.stop()
    without = values(tiny.must("metrics"))
    assert operations(without) == operations(before)
    assert value(without, "guard_running") == 0
    assert value(without, "health", state="UNKNOWN") == 1
    assert value(without, "baseline_number") == value(before, "baseline_number")
    tiny.start()
    again = values(tiny.ask("metrics")["exposition"])
    assert operations(again) == operations(before)
    assert value(again, "operation_duration_seconds_count", kind="apply") == value(
        before, "operation_duration_seconds_count", kind="apply"
    )
    assert value(again, "guard_running") == 1
