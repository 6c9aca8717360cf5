from __future__ import annotations

import subprocess
import sys

TAKES_AND_GIVES_BACK = """
from pathlib import Path
from stateguard.host.memory import give_back

def resident():
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmRSS"))

held = [bytes(3000) for _ in range(20_000)]
last = bytes(3000)  # at the end of the heap: what lies before it is not given back by itself
del held
before = resident()
give_back()
print(before - resident())
"""


def test_what_was_freed_goes_back_to_the_system() -> None:
    told = subprocess.run([sys.executable, "-c", TAKES_AND_GIVES_BACK], capture_output=True, text=True, check=True)
    assert int(told.stdout) > 30_000, "kilobytes"
