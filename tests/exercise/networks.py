"""Mirrors on real networks that are bad: namespaces, veth pairs, nftables and tbf; needs root, changes nothing outside.

One guard in a namespace of its own, five git servers in theirs: one well, one behind 20 % loss, one behind 2 Mbit, one
that resets every connection, one black hole. Pushes must not be slower than to a guard without mirrors, the guard must
stop at once, and when the networks are well again every mirror must hold everything.

    python tests/exercise/networks.py [--changes 60]
"""

from __future__ import annotations

import argparse
import contextlib
import os
import random
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Self

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from driving import Document, Driver, git, sh
from exercise.mirrors import SLOWER_SECONDS, measured, states
from helpers import eventually
from mirror.setting import bare, forced, refs

PLACES = ("well", "lossy", "slow", "reset", "hole")
SOON_SECONDS = 300.0
STOP_SECONDS = 1.0
BIG_BYTES = 2_000_000
_DEADLINE_SECONDS = 4

_FILTER = """\
table inet bad {{
  chain come {{
    type filter hook input priority 0; policy accept;
    iifname "{link}" {rule}
  }}
}}
"""
LOSS = "numgen random mod 100 < 20 drop"
HOLE = "drop"
RESET = "tcp dport 9418 ct state established reject with tcp reset"
RATE = ("tbf", "rate", "2mbit", "burst", "32kbit", "latency", "400ms")


class Skipped(Exception):  # noqa: N818 - it is no error
    """This cannot be done here; the text says why."""


class Network:
    """Namespaces that are gone when this is left, whatever happens."""

    def __init__(self) -> None:
        """Nothing is made before it is entered."""
        self.mark = f"sg{os.getpid()}"
        self.guard = f"{self.mark}-guard"
        self._processes: dict[str, subprocess.Popen[bytes]] = {}

    def __enter__(self) -> Self:
        """Make the namespaces, a wire from the guard's to each place."""
        try:
            self._space(self.guard)
            for number, place in enumerate(PLACES):
                self._space(self.space(place))
                (_, here), (_, there) = self._ends(place)
                tool(
                    "ip",
                    "-n",
                    self.guard,
                    "link",
                    "add",
                    here,
                    "type",
                    "veth",
                    "peer",
                    there,
                    "netns",
                    self.space(place),
                )
                for last, (space, link) in enumerate(self._ends(place), 1):
                    tool("ip", "-n", space, "addr", "add", f"10.99.{number}.{last}/30", "dev", link)
                    tool("ip", "-n", space, "link", "set", link, "up")
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        """End what runs there and remove it."""
        for place in list(self._processes):
            self.end(place)
        for space in (self.guard, *map(self.space, PLACES)):
            quietly("ip", "netns", "del", space)

    def space(self, place: str) -> str:
        """Return the name of a place's namespace."""
        return f"{self.mark}-{place}"

    def address(self, place: str) -> str:
        """Return the address of a place."""
        return f"10.99.{PLACES.index(place)}.2"

    def url(self, place: str) -> str:
        """Return the address of the repository there."""
        return f"git://{self.address(place)}/{place}"

    def serve(self, place: str, root: Path) -> None:
        """Run git daemon there."""
        self._run(place, "git", "daemon", f"--listen={self.address(place)}", "--reuseaddr", "--export-all",
                  "--enable=receive-pack", f"--base-path={root}", str(root))  # fmt: skip

    def spoil(self, place: str, rule: str) -> None:
        """Do something to each packet that comes to a place, and for loss to each that comes from there."""
        for space, link in self._ends(place) if rule == LOSS else self._ends(place)[1:]:
            tool("ip", "netns", "exec", space, "nft", "-f", "-", stdin=_FILTER.format(link=link, rule=rule))

    def throttle(self, place: str) -> None:
        """Let through 2 Mbit a second in each direction."""
        for space, link in self._ends(place):
            tool("tc", "-n", space, "qdisc", "add", "dev", link, "root", *RATE)

    def mend(self, place: str) -> None:
        """Take back whatever was done to a place."""
        for space, link in self._ends(place):
            quietly("tc", "-n", space, "qdisc", "del", "dev", link, "root")
            quietly("ip", "netns", "exec", space, "nft", "delete", "table", "inet", "bad")

    def _ends(self, place: str) -> tuple[tuple[str, str], tuple[str, str]]:
        """Return both ends of the wire to a place: namespace and link, the guard's first."""
        number = PLACES.index(place)
        return (self.guard, f"g{number}"), (self.space(place), f"m{number}")

    def end(self, place: str) -> None:
        """End what runs at a place."""
        process = self._processes.pop(place)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()

    def _space(self, name: str) -> None:
        tool("ip", "netns", "add", name)
        tool("ip", "-n", name, "link", "set", "lo", "up")

    def _run(self, place: str, *words: str) -> None:
        if place in self._processes:
            self.end(place)
        self._processes[place] = subprocess.Popen(
            ["ip", "netns", "exec", self.space(place), "nice", "-n", "15", *words],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        with contextlib.suppress(OSError):  # no autogroups: niceness is enough
            Path(f"/proc/{self._processes[place].pid}/autogroup").write_text("15", encoding="ascii")


class Away(Driver):
    """A guard in a namespace."""

    def __init__(self, root: Path, source: Path, space: str) -> None:
        """Everything lies below ``root``."""
        super().__init__(root, source)
        self._space = space

    def command(self, *words: str | Path) -> list[str]:
        """Return the argument list of a stateguard command there."""
        return ["ip", "netns", "exec", self._space, *super().command(*words)]

    def mirrors(self) -> dict[str, Document]:
        """Return each mirror's part of the status by name."""
        return {m["name"]: m for m in states(self)}

    def in_sync(self, *places: str) -> bool:
        """Say whether mirrors are in sync."""
        found = self.mirrors()
        return all(found[place]["state"] == "IN_SYNC" for place in places)


def tool(*words: str, stdin: str = "") -> None:
    """Run a tool that must succeed; if it does not, the kernel lacks something."""
    done = subprocess.run(words, check=False, capture_output=True, text=True, input=stdin)
    if done.returncode:
        raise Skipped(f"{' '.join(words)}: {done.stderr.strip()}")


def quietly(*words: str) -> None:
    """Run a tool that may find nothing to do."""
    subprocess.run(words, check=False, capture_output=True)


def lacking() -> str:
    """Return what is missing here, or nothing."""
    if os.geteuid() != 0:
        return "network namespaces need root"
    missing = [name for name in ("ip", "tc", "nft") if shutil.which(name) is None]
    return f"{' and '.join(missing)} missing; apt-get install iproute2 nftables" if missing else ""


def guard(root: Path, space: str, mirrors: str) -> Away:
    """Take a directory of plain configuration under guard, in a namespace."""
    source = root / "source"
    (source / "config").mkdir(parents=True)
    (source / "config" / "plain.conf").write_text("n = 0\n", encoding="utf-8")
    driver = Away(root, source, space)
    driver.init("--no-baseline")
    settings = driver.home / "guard.yaml"
    text = settings.read_text(encoding="utf-8")
    settings.write_text(text.replace("mirrors: []\n", mirrors or "mirrors: []\n"), encoding="utf-8")
    return driver


def exercise(root: Path, network: Network, changes: int) -> Iterator[tuple[str, bool]]:
    """Do it; yields each promise and whether it was kept."""
    places = root / "places"
    places.mkdir()
    rows = "".join(
        f"  - {{name: {p}, url: '{network.url(p)}', deadline: {_DEADLINE_SECONDS}s, breaker: {{pause: 3s}}}}\n"
        for p in PLACES
    )
    for place in PLACES:
        bare(places / place)
        network.serve(place, places)
    mirrored = guard(root / "with", network.guard, f"mirrors:\n{rows}")
    plain = guard(root / "without", network.guard, "")
    try:
        mirrored.start()
        plain.start()
        yield "all five in sync while the networks are well", arrives(lambda: mirrored.in_sync(*PLACES))
        network.throttle("slow")
        for place, rule in (("lossy", LOSS), ("hole", HOLE), ("reset", RESET)):
            network.spoil(place, rule)
        yield from bad(mirrored, plain, changes)
        yield from stopped(mirrored)
        for place in PLACES:
            network.mend(place)
        yield from mended(mirrored, places)
    finally:
        mirrored.close()
        plain.close()


def bad(mirrored: Away, plain: Away, changes: int) -> Iterator[tuple[str, bool]]:
    """Push while the networks are bad."""
    slow, plainly = measured(mirrored, plain, changes, 3, lambda: mirrored.in_sync("well"))
    difference = statistics.median(slow) - statistics.median(plainly)
    yield f"{changes} pushes accepted", True
    yield (
        (
            f"push slower by {difference * 1000:.1f} ms at the median (with {statistics.median(slow) * 1000:.1f} ms), "
            f"at most {SLOWER_SECONDS * 1000:.0f}"
        ),
        difference <= SLOWER_SECONDS,
    )
    begun = time.monotonic()
    held = arrives(lambda: mirrored.in_sync("well", "lossy", "slow"))
    yield f"20 % loss and 2 Mbit in sync {time.monotonic() - begun:.1f} s after the last push", held
    chance = random.Random(1)
    (mirrored.work / "config" / "big.bin").write_bytes(chance.randbytes(BIG_BYTES))
    mirrored.commit("Add something big")
    begun = time.monotonic()
    assert mirrored.push().returncode == 0
    held = arrives(lambda: mirrored.in_sync("slow"))
    took = time.monotonic() - begun
    yield f"{BIG_BYTES} bytes over 2 Mbit in {took:.1f} s, with a deadline of {_DEADLINE_SECONDS} s that grows", held
    found = mirrored.mirrors()
    for place in ("reset", "hole"):
        told = found[place]
        open_ = told["state"] == "BEHIND" and told["failures"] >= 5 and told["last_error"]
        yield (
            f"{place} is BEHIND by {told['behind']} refs, breaker {told['breaker']}: {told['last_error']}",
            bool(open_),
        )


def stopped(mirrored: Away) -> Iterator[tuple[str, bool]]:
    """Stop and start the guard while it speaks with a black hole."""
    url = mirrored.mirrors()["hole"]["url"]
    eventually(lambda: speaking(url), SOON_SECONDS)
    assert mirrored.daemon
    begun = time.monotonic()
    mirrored.daemon.terminate()
    mirrored.daemon.wait(60)
    took = time.monotonic() - begun
    yield f"the guard stopped in {took:.2f} s, at most {STOP_SECONDS:.0f}", took <= STOP_SECONDS
    yield "nothing was left running", not speaking(url)
    mirrored.start()
    eventually(lambda: speaking(url), SOON_SECONDS)
    mirrored.kill()
    yield "a killed guard leaves nothing running", arrives(lambda: not speaking(url), 10)
    mirrored.start()


def mended(mirrored: Away, places: Path) -> Iterator[tuple[str, bool]]:
    """See what is there once the networks are well again."""
    begun = time.monotonic()
    held = mirrored.run("mirror", "sync").returncode == 0 and mirrored.in_sync(*PLACES)
    yield f"all five in sync {time.monotonic() - begun:.1f} s after the networks were well and somebody asked", held
    served = refs(mirrored.repository)
    for place in PLACES:
        history = git(places / place, "rev-list", "--first-parent", "refs/heads/main")
        whole = git(places / place, "fsck", "--strict", "--full", "--no-dangling") == ""
        yield f"{place}: every ref as it is served, every object whole", refs(places / place) == served and whole
        yield f"{place}: {len(history.splitlines())} commits of main, nothing forced", forced(places / place) == []


def speaking(url: str) -> bool:
    """Say whether a process speaks with a remote."""
    return sh("pgrep", "-f", f"git .*{url}", check=False).returncode == 0


def arrives(condition: Callable[[], bool], seconds: float = SOON_SECONDS) -> bool:
    """Say whether a condition holds in time."""
    try:
        return eventually(condition, seconds)
    except AssertionError:
        return False


def main() -> int:
    """Parse, run, say."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--changes", type=int, default=60)
    given = parser.parse_args()
    if reason := lacking():
        print(f"skipped: {reason}")
        return 0
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    kept = True
    try:
        with tempfile.TemporaryDirectory(prefix="stateguard-networks-") as scratch, Network() as network:
            for sentence, held in exercise(Path(scratch), network, given.changes):
                print(f"{'kept  ' if held else 'BROKEN'}  {sentence}", flush=True)
                kept = kept and held
    except Skipped as reason:
        print(f"skipped: {reason}")
    return 0 if kept else 1


if __name__ == "__main__":
    sys.exit(main())
