"""What a connector logs, gathered without its secrets until it is stored with what it did."""

from __future__ import annotations

import logging
import threading
from collections import deque
from collections.abc import Sequence
from datetime import UTC, datetime
from uuid import UUID

from core.domain.health import MAX_LINE, MAX_LINES, LogLine, blacken, storable, without_middle
from ports.clock import Ids
from ports.storage import Transaction


class GatheredLog(logging.Handler):
    """Keeps the latest lines until they are `written`. `logger` is what a connector logs by; it belongs to no
    hierarchy, so that its lines reach nothing else."""

    def __init__(self, secret_words: Sequence[str]) -> None:
        super().__init__(logging.INFO)
        self._words = secret_words
        self._lines: deque[tuple[datetime, str, str]] = deque(maxlen=MAX_LINES)
        self._guard = threading.Lock()
        self.logger = logging.Logger("sortation.connection", logging.INFO)
        self.logger.addHandler(self)
        self.setFormatter(logging.Formatter())

    def emit(self, record: logging.LogRecord) -> None:
        try:
            text = self.format(record)
        except Exception:  # what can't be put together may still hold a secret: none of it is told
            text = "a line that could not be put together"
        at = datetime.fromtimestamp(record.created, UTC)
        with self._guard:
            self._lines.append(
                (at, record.levelname.lower(), without_middle(storable(blacken(text, self._words)), MAX_LINE))
            )

    def written(self, tx: Transaction, connection_id: UUID, ids: Ids) -> int:
        """Stores the lines with the transaction; returns how many. Call `forget` with it when that is committed."""
        with self._guard:
            lines = list(self._lines)
        tx.syncs.log(connection_id, _named(lines, ids))
        return len(lines)

    def forget(self, count: int) -> None:
        with self._guard:
            for _ in range(min(count, len(self._lines))):
                self._lines.popleft()


def _named(lines: Sequence[tuple[datetime, str, str]], ids: Ids) -> list[LogLine]:
    return [
        LogLine(id=id, at=at, level=level, text=text)
        for id, (at, level, text) in zip(ids.batch(len(lines)), lines, strict=True)
    ]
