"""Everything a tree declares, from the bytes of its declaration files."""

from __future__ import annotations

from collections.abc import Mapping

from stateguard.config.agent import parse_agent
from stateguard.config.channel import parse_channel
from stateguard.config.defaults import default_policy
from stateguard.config.problem import InvalidDocument, Problem
from stateguard.config.state import STATE_FILE, parse_state
from stateguard.config.yaml import load
from stateguard.model.agent import AgentSpec, Channel
from stateguard.model.policy import Policy, System

_AGENT_PARTS = 3
_CHANNEL_PARTS = 2


def is_agent_file(path: str) -> bool:
    """Say whether a path is an ``agents/<name>/agent.yaml``."""
    parts = path.split("/")
    return len(parts) == _AGENT_PARTS and parts[0] == "agents" and parts[2] == "agent.yaml"


def is_channel_file(path: str) -> bool:
    """Say whether a path is a ``protocols/<name>.yaml``."""
    parts = path.split("/")
    return len(parts) == _CHANNEL_PARTS and parts[0] == "protocols" and parts[1].endswith(".yaml")


def is_declaration(path: str) -> bool:
    """Say whether a path is one of the files that stateguard itself reads."""
    return path == STATE_FILE or is_agent_file(path) or is_channel_file(path)


def load_system(files: Mapping[str, bytes]) -> System:
    """Return what the declaration files among some files declare; other paths are passed over.

    Raises:
        InvalidDocument: with every problem in any of them.
    """
    agents: dict[str, AgentSpec] = {}
    channels: list[Channel] = []
    policy: Policy = default_policy()
    problems: list[Problem] = []
    for path in sorted(files):
        try:
            if path == STATE_FILE:
                policy = parse_state(load(files[path], path), path, default_policy())
            elif is_agent_file(path):
                agent = parse_agent(load(files[path], path), path)
                agents[agent.name] = agent
            elif is_channel_file(path):
                channels.append(parse_channel(load(files[path], path), path))
        except InvalidDocument as error:
            problems.extend(error.problems)
    if problems:
        raise InvalidDocument("the state", problems)
    return System(agents, tuple(channels), policy)
