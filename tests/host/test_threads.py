from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

from stateguard.errors import AgentsError
from stateguard.host.threads import NO_THREAD, begin, each


@pytest.fixture
def no_threads() -> Iterator[None]:
    """Let the kernel refuse every new thread: there is no room for such a stack."""
    before = threading.stack_size(1 << 46)
    yield
    threading.stack_size(before)


@pytest.mark.parametrize("count", [0, 1, 2, 40])
def test_results_come_in_the_order_of_the_items(count: int) -> None:
    assert each(lambda n: n * n, range(count), 4, "square") == [n * n for n in range(count)]


def test_several_are_done_at_once() -> None:
    together = threading.Barrier(3)
    assert len(each(lambda _: together.wait(10), [1, 2, 3], 3, "meet")) == 3


def test_without_threads_they_are_done_one_after_the_other(no_threads: None) -> None:
    del no_threads
    with pytest.raises(RuntimeError, match=NO_THREAD):
        threading.Thread(target=print).start()
    assert each(lambda n: n + 1, [1, 2, 3], 3, "more") == [2, 3, 4]


def test_a_guard_that_may_start_no_thread_says_so(no_threads: None) -> None:
    del no_threads
    with pytest.raises(AgentsError, match=r"no thread more \(probes\)"):
        begin(threading.Thread(target=print, name="probes"))


def test_what_the_work_raises_is_raised() -> None:
    def fails(number: int) -> None:
        raise RuntimeError(str(number))

    with pytest.raises(RuntimeError, match="1"):
        each(fails, [1, 2], 2, "fail")
