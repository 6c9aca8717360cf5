"""Secrets in ordinary surroundings, and how many of them are found.

Measure with ``PYTHONPATH=tests .venv/bin/python -m admission.secrets.corpus``.
"""

from __future__ import annotations

import argparse
import random
import sys
from collections import Counter

from admission.secrets.benign import benign
from admission.secrets.specimens import ARMOURED, SURROUNDINGS, Specimen, armour, specimens
from stateguard.admission.secrets.scan import find

SAMPLES, SEEDS = 30, 20
"""Of a full run: values of each form, and seeds of what only looks like one."""


def placed(samples: int, seed: int = 7) -> list[tuple[str, Specimen, str]]:
    """Return surrounding, specimen and text; also the keys in armour, each as a file, in YAML and in JSON."""
    made = [
        (where, specimen, put(specimen)) for specimen in specimens(samples, seed) for where, put in SURROUNDINGS.items()
    ]
    source = random.Random(3)
    for label, kind in ARMOURED.items():
        key = armour(label, source, "Version: 1\n\n" if "PGP" in label else "")
        specimen = Specimen(kind, "key", key)
        indented = "".join(f"  {line}\n" for line in key.splitlines())
        made.append(("file", specimen, key))
        made.append(("yaml", specimen, f"user: ann\nkey: |\n{indented}"))
        made.append(("json", specimen, '{"key": "' + key.replace("\n", "\\n") + '"}'))
    fields = ["Key-File-3: ssh-ed25519", "Encryption: none", "Public-Lines: 1", "AAAA", "Private-Lines: 1", "AAAA"]
    putty = "PuTTY-User-" + "\n".join(fields)
    made.append(("file", Specimen("putty-private-key", "key", putty), putty))
    return made


def is_found(specimen: Specimen, text: str) -> bool:
    """Say whether a secret is found as what it is: a person who is told another kind is told too little."""
    return any(found.kind == specimen.kind for found in find(text.encode()))


def main() -> int:
    """Measure a corpus that no test has seen: other values of the same forms, in every surrounding."""
    parser = argparse.ArgumentParser(prog="python -m admission.secrets.corpus", description=main.__doc__)
    parser.add_argument("--samples", type=int, default=SAMPLES, help="values of each form")
    parser.add_argument("--seed", type=int, default=1, help="decides what is random")
    options = parser.parse_args()
    cases = placed(options.samples, options.seed)
    missed = Counter((specimen.kind, where) for where, specimen, text in cases if not is_found(specimen, text))
    harmless = sorted({text for seed in range(options.seed, options.seed + SEEDS) for text in benign(seed)})
    unseen = sum(not find(text.encode()) for where, specimen, text in cases if (specimen.kind, where) in missed)
    alarms = sum(bool(find(text.encode())) for text in harmless)
    kinds, lost = len({specimen.kind for _, specimen, _ in cases}), missed.total()
    said = [
        f"{len(cases) - lost} of {len(cases)} secrets of {kinds} kinds found: recall {1 - lost / len(cases):.2%}",
        f"of the others {lost - unseen} were found as another kind, {unseen} not at all",
        f"{alarms} of {len(harmless)} harmless texts called secrets: false alarms {alarms / len(harmless):.2%}",
        *(f"missed {number} x {kind} in {where}" for (kind, where), number in missed.most_common(30)),
    ]
    sys.stdout.write("\n".join([*said, ""]))
    return 0


if __name__ == "__main__":
    sys.exit(main())
