"""Shipped recipes for ``runtime: {command: {recipe: …}}``: how service managers are asked, as data."""

from __future__ import annotations

from dataclasses import replace

from stateguard.model.health import AgentState
from stateguard.model.runtime import Commands

OPTIONS = "{options}"
"""An argument that stands for the recipe's ``options``."""

_SYSTEMD_STATES: tuple[tuple[AgentState | None, str], ...] = (
    (None, r"^LoadState=(not-found|bad-setting|error|masked)$"),
    (AgentState.BACKOFF, r"^SubState=auto-restart"),
    (AgentState.STARTING, r"^ActiveState=activating$"),
    (AgentState.RUNNING, r"^ActiveState=(active|reloading|refreshing|deactivating)$"),
    (AgentState.FATAL, r"^ActiveState=failed$"),
    (AgentState.STOPPED, r"^ActiveState=inactive$"),
)
_SYSTEMD_PROPERTIES = "--property=LoadState,ActiveState,SubState,MainPID,Result,ExecMainStatus"

_SYSTEMCTL = Commands(
    title="systemctl",
    start=("systemctl", OPTIONS, "start", "--", "{unit}"),
    stop=("systemctl", OPTIONS, "stop", "--", "{unit}"),
    status=("systemctl", OPTIONS, "show", _SYSTEMD_PROPERTIES, "--", "{unit}"),
    logs=("journalctl", OPTIONS, "--no-pager", "--output=cat", "--lines={lines}", "--unit={unit}"),
    # The old spelling: systemd before 252 knows no other, later ones take both.
    reload=("systemctl", OPTIONS, "kill", "--kill-who=main", "--signal={signal}", "--", "{unit}"),
    states=_SYSTEMD_STATES,
    pid=r"^MainPID=([1-9][0-9]*)$",
    unit="{name}.service",
    deadline_seconds=100.0,
)

_CONTAINER_STATES: tuple[tuple[AgentState | None, str], ...] = (
    (None, r"(?i)no such (container|object)"),
    (AgentState.RUNNING, r"^(running|stopping|paused)\b"),
    (AgentState.BACKOFF, r"^restarting\b"),
    (AgentState.EXITED, r"^(exited|dead|removing)\b"),
    (AgentState.STOPPED, r"^(created|configured|initialized|stopped)\b"),
)


def _containers(program: str) -> Commands:
    return Commands(
        title=program,
        start=(program, OPTIONS, "start", "{unit}"),
        stop=(program, OPTIONS, "stop", "{unit}"),
        status=(
            program, OPTIONS, "inspect", "--type=container", "--format={{.State.Status}} {{.State.Pid}}", "{unit}",
        ),
        logs=(program, OPTIONS, "logs", "--tail={lines}", "{unit}"),
        reload=(program, OPTIONS, "kill", "--signal={signal}", "{unit}"),
        states=_CONTAINER_STATES,
        pid=r"^[a-z]+ ([1-9][0-9]*)$",
        passed=("XDG_RUNTIME_DIR", "DOCKER_HOST", "DOCKER_CONFIG", "CONTAINER_HOST"),
        deadline_seconds=60.0,
    )  # fmt: skip


RECIPES: dict[str, Commands] = {
    "systemctl": _SYSTEMCTL,
    "systemctl-user": replace(
        _SYSTEMCTL,
        title="systemctl --user",
        start=("systemctl", "--user", *_SYSTEMCTL.start[1:]),
        stop=("systemctl", "--user", *_SYSTEMCTL.stop[1:]),
        status=("systemctl", "--user", *_SYSTEMCTL.status[1:]),
        logs=("journalctl", "--user", *_SYSTEMCTL.logs[1:]),
        reload=("systemctl", "--user", *_SYSTEMCTL.reload[1:]),
        passed=("XDG_RUNTIME_DIR", "DBUS_SESSION_BUS_ADDRESS"),
    ),
    "docker": _containers("docker"),
    "podman": _containers("podman"),
    "docker-compose": Commands(
        title="docker compose",
        # up, not start: it makes the container anew when the Compose file has changed.
        start=("docker", "compose", OPTIONS, "up", "--detach", "--no-deps", "{unit}"),
        stop=("docker", "compose", OPTIONS, "stop", "{unit}"),
        status=("docker", "compose", OPTIONS, "ps", "--all", "--format=json", "{unit}"),
        logs=("docker", "compose", OPTIONS, "logs", "--no-color", "--no-log-prefix", "--tail={lines}", "{unit}"),
        reload=("docker", "compose", OPTIONS, "kill", "--signal={signal}", "{unit}"),
        states=(
            (None, r"(?i)no such service"),
            (AgentState.RUNNING, r'"State": ?"(running|paused)"'),
            (AgentState.BACKOFF, r'"State": ?"restarting"'),
            (AgentState.EXITED, r'"State": ?"(exited|dead|removing)"'),
            (AgentState.STOPPED, r'"State": ?"created"|\A\s*(\[\])?\s*\Z'),
        ),
        passed=("DOCKER_HOST", "DOCKER_CONFIG", "DOCKER_CONTEXT", "XDG_RUNTIME_DIR"),
        deadline_seconds=60.0,
    ),
}
"""Recipe by name."""
