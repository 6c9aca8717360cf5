"""What is shown of every agent, and who hears of a change."""

from __future__ import annotations

import threading
from collections.abc import Callable

from stateguard.host.logs import failure
from stateguard.model.health import AgentStatus


class Board:
    """Statuses that any thread may read at any time; whoever holds ``lock`` writes them."""

    def __init__(self, lock: threading.Lock, changed: Callable[[str], None]) -> None:
        """Show nothing yet; ``changed`` will hear the name of each agent whose state or left-overs have changed."""
        self._lock, self._changed = lock, changed
        self._shown: dict[str, AgentStatus] = {}
        self._news: list[str] = []

    def statuses(self) -> dict[str, AgentStatus]:
        """Return what is shown of every agent, by name; the caller's own copy."""
        return dict(self._shown)

    def show(self, now: AgentStatus) -> None:
        """Show how an agent is; called with the lock held."""
        before = self._shown.get(now.name)
        if now != before:
            self._shown = {**self._shown, now.name: now}
        if before is None or (before.state, before.strays) != (now.state, now.strays):
            self._news.append(now.name)

    def forget(self, name: str) -> None:
        """Show an agent no longer; called with the lock held."""
        self._shown = {n: status for n, status in self._shown.items() if n != name}

    def tell(self) -> None:
        """Tell the news; called without the lock."""
        with self._lock:
            news, self._news = self._news, []
        for name in news:
            try:
                self._changed(name)
            except Exception:  # noqa: BLE001 - a listener's fault must not end the supervision of all agents
                failure("a listener for agents' states failed", agent=name)
