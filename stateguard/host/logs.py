"""The guard's own log: one JSON document a line, on standard error."""

from __future__ import annotations

import json
import logging
import sys
from typing import Any

from stateguard.model.moment import rfc3339
from stateguard.text.redact import redact

LOGGER = logging.getLogger("stateguard")


class _JsonLines(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        document: dict[str, Any] = {
            "at": rfc3339(record.created),
            "level": record.levelname.lower(),
            "event": redact(record.getMessage()),
        }
        document |= getattr(record, "fields", {})
        if record.exc_info:
            document["error"] = redact(self.formatException(record.exc_info))
        return json.dumps(document, ensure_ascii=False, default=str)


def to_stderr(level: int = logging.INFO) -> None:
    """Send the log to standard error as JSON lines."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_JsonLines())
    LOGGER.handlers[:] = [handler]
    LOGGER.setLevel(level)
    LOGGER.propagate = False


def log(event: str, **fields: object) -> None:
    """Log one event with its fields."""
    LOGGER.info(event, extra={"fields": fields})


def warn(event: str, **fields: object) -> None:
    """Log one event that wants attention."""
    LOGGER.warning(event, extra={"fields": fields})


def failure(event: str, error: BaseException | None = None, **fields: object) -> None:
    """Log an exception, else the one that is being handled, with its trace."""
    LOGGER.error(event, extra={"fields": fields}, exc_info=error or sys.exc_info())
