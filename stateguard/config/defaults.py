"""The shipped policy, from the YAML file in this package."""

from __future__ import annotations

from functools import lru_cache
from importlib.resources import files

from stateguard.config.state import parse_state
from stateguard.config.yaml import load
from stateguard.model.policy import Policy

_FILE = "defaults.yaml"


@lru_cache(maxsize=1)
def default_policy() -> Policy:
    """Return the policy that holds where ``stateguard.yaml`` says nothing."""
    data = files("stateguard.config").joinpath(_FILE).read_bytes()
    return parse_state(load(data, _FILE), _FILE, Policy(sections=()))
