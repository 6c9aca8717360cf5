"""The bill of materials names what is installed, and what needs what."""

from __future__ import annotations

import json
import subprocess
import sys
from importlib.metadata import requires, version
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parents[2]


def test_it_names_every_package_that_stateguard_needs_with_its_version(tmp_path: Path) -> None:
    place = tmp_path / "sbom.json"
    subprocess.run([sys.executable, ROOT / ".ci" / "sbom", place], check=True, capture_output=True)
    document = json.loads(place.read_text(encoding="utf-8"))
    assert document["bomFormat"] == "CycloneDX"
    found = {canonicalize_name(one["name"]): one["version"] for one in document["components"]}
    direct = [one for one in map(Requirement, requires("stateguard") or ()) if not one.marker or one.marker.evaluate()]
    assert len(direct) > 5
    assert {canonicalize_name(one.name): version(one.name) for one in direct}.items() <= found.items()
    needed = {one["ref"]: one.get("dependsOn", []) for one in document["dependencies"]}
    assert len(needed[f"stateguard@{version('stateguard')}"]) == len(direct)
