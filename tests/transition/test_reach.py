"""What a push lets the guard ask: this host and public addresses, and what guard.yaml lists."""

from __future__ import annotations

import ipaddress

from helpers import eventually
from stateguard.guard.applies import Applies
from stateguard.model.health import Result
from transition.setting import STATE, Setting

PROBES = """\
probes:
  - {name: internal, http: {url: "http://10.255.255.1/"}, timeout_seconds: 0.1, period_seconds: 0.1}
  - {name: port, tcp: {host: 10.255.255.1, port: 9}, timeout_seconds: 0.1, period_seconds: 0.1}
"""


def test_a_push_cannot_have_other_networks_asked(setting: Setting) -> None:
    guard = setting.guard
    before, said = guard.main, list[str]()
    new = setting.commit({"stateguard.yaml": STATE.replace("4s", "1s") + PROBES})
    answer = Applies(guard).receive("push-reach", before, new, (), "ann", said.append)
    assert (answer.accepted, guard.main) == (False, before)
    assert any("10.255.255.1 is neither this host nor public" in text for text in said)


def test_what_guard_yaml_lists_is_asked_from_then_on(setting: Setting) -> None:
    guard = setting.guard
    system = guard.books.declared.system(setting.commit({"stateguard.yaml": STATE + PROBES}))
    guard.prober.configure([p for p in system.probes if p.agent is None])

    def last(name: str) -> tuple[Result, str]:
        found = guard.prober.readings()[f"/{name}"].last
        return (found.result, found.message) if found else (Result.PASS, "")

    for name in ("internal", "port"):
        eventually(lambda name=name: last(name)[0] is Result.ERROR)  # type: ignore[misc]
        assert "probes: {allow: [10.255.255.1]}" in last(name)[1]
    text = guard.home.settings.read_text()
    guard.home.settings.write_text(f"{text}\nprobes: {{allow: [10.255.0.0/16]}}\n")
    for name in ("internal", "port"):
        eventually(lambda name=name: "guard.yaml" not in last(name)[1])  # type: ignore[misc]
    assert guard.settings.probe_networks == (ipaddress.ip_network("10.255.0.0/16"),)
