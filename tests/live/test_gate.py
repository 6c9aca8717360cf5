from __future__ import annotations

import threading
from collections.abc import Callable

from stateguard.host.clock import boot_seconds
from stateguard.live.gate import Gate

DEADLINE_SECONDS = 60.0
AT_LEAST_SECONDS = 0.05


def passing(gate: Gate) -> Callable[[float], bool]:
    """Let a thread pass a gate; returns what says whether it has passed within some seconds."""
    passed = threading.Event()

    def work() -> None:
        gate.passing()
        passed.set()

    threading.Thread(target=work, daemon=True).start()
    return passed.wait


def test_an_open_one_lets_pass() -> None:
    assert passing(Gate())(DEADLINE_SECONDS)


def test_a_shut_one_holds_until_it_is_opened() -> None:
    gate = Gate()
    gate.shut(3600)
    passed = [passing(gate) for _ in range(3)]
    assert not any(one(AT_LEAST_SECONDS) for one in passed)
    gate.open()
    assert all(one(DEADLINE_SECONDS) for one in passed)


def test_one_that_nobody_opens_opens_by_itself() -> None:
    gate = Gate()
    until = boot_seconds() + AT_LEAST_SECONDS
    gate.shut(AT_LEAST_SECONDS)
    gate.passing()
    assert boot_seconds() >= until


def test_shutting_it_again_holds_longer() -> None:
    gate = Gate()
    gate.shut(AT_LEAST_SECONDS)
    gate.shut(3600)
    passed = passing(gate)
    assert not passed(2 * AT_LEAST_SECONDS)
    gate.open()
    assert passed(DEADLINE_SECONDS)
