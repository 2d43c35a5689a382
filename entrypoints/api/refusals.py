"""Deliveries that were refused, counted here until they are noted: strangers must not write as often as they like."""

from __future__ import annotations

import threading
from collections.abc import Callable
from time import monotonic
from typing import cast
from uuid import UUID

from flask import current_app

EXTENSION = "sortation.refusals"
NOTE_SECONDS = 60.0
"""How often a process writes what was refused of one connection, at most."""
_MOST = 10_000
"""Connections that are remembered; what was not noted of others is forgotten."""


class Refusals:
    def __init__(self, now: Callable[[], float] = monotonic) -> None:
        self._now = now
        self._noted: dict[UUID, tuple[float, int]] = {}
        """When what was refused of a connection was noted last, and how many were refused since."""
        self._lock = threading.Lock()

    def count(self, connection_id: UUID) -> int:
        """Counts one more; returns how many are to be noted now, 0 when it is too early."""
        with self._lock:
            at, waiting = self._noted.get(connection_id, (self._now() - NOTE_SECONDS, 0))
            if self._now() - at < NOTE_SECONDS:
                self._noted[connection_id] = (at, waiting + 1)
                return 0
            if len(self._noted) >= _MOST:
                self._noted.clear()
            self._noted[connection_id] = (self._now(), 0)
            return waiting + 1


def of_app() -> Refusals:
    return cast(Refusals, current_app.extensions[EXTENSION])
