"""Requests that wait for a source: few at once, so that sources which hang keep no other request waiting."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import cast
from uuid import UUID

from flask import current_app

from core.errors import SortationError

EXTENSION = "sortation.waiting"


class Busy(SortationError):
    """As many requests wait for sources as may at once: try again in some seconds."""

    code = "busy"
    status = 503


class Waiting:
    """Who waits for sources in this process: a quarter of the server's threads at most, one for each tenant."""

    def __init__(self, threads: int) -> None:
        self._most = max(1, threads // 4)
        self._count = 0
        self._tenants: set[UUID] = set()
        self._lock = threading.Lock()

    @contextmanager
    def turn(self, tenant_id: UUID | None) -> Iterator[None]:
        """While it is open, a thread may wait; `tenant_id` is None where it is not known yet for whom. Raises `Busy`,
        at once, where too many do."""
        with self._lock:
            if self._count >= self._most or tenant_id in self._tenants:
                raise Busy
            self._count += 1
            if tenant_id is not None:
                self._tenants.add(tenant_id)
        try:
            yield
        finally:
            with self._lock:
                self._count -= 1
                self._tenants -= {tenant_id}


def of_app() -> Waiting:
    return cast(Waiting, current_app.extensions[EXTENSION])
