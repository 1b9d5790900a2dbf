"""The log: a line of JSON for each event and request, with no picture and no query in it."""

import json
import logging
import sys
from datetime import UTC, datetime
from typing import Any

LONGEST = 200  # characters of a path


class JsonLines(logging.Formatter):
    """Writes a record as one line of JSON."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line; what a record carries as `fields` stands beside its message."""
        line: dict[str, Any] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "event": record.getMessage(),
            **getattr(record, "fields", {}),
        }
        if record.exc_info:
            line["trace"] = self.formatException(record.exc_info)
        return json.dumps(line, ensure_ascii=False)


def open_journal() -> None:
    """Send our own lines and those of uvicorn to stderr from now on."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonLines())
    for name, level in (("retrain.serve", logging.INFO), ("uvicorn", logging.WARNING)):
        logger = logging.getLogger(name)
        logger.handlers, logger.propagate = [handler], False
        logger.setLevel(level)
    logging.getLogger("asyncio").addHandler(handler)


def log(event: str, level: int = logging.INFO, **fields: Any) -> None:
    """Write one line.

    Args:
        event: what happened, in a few words.
        level: of Python's logging.
        fields: JSON values.
    """
    logging.getLogger("retrain.serve").log(level, event, extra={"fields": fields})
