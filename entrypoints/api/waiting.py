"""Requests that take long: few at once, so that they keep no other request waiting; and few of a tenant, so that it
keeps no other one's waiting.

There are two kinds. Some wait for a source, which may hang. Others work for many records, by `Kind.COSTLY`: these take
processor time and memory, too.
"""

from __future__ import annotations

import functools
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any, TypeVar, cast
from uuid import UUID

from flask import Flask, current_app, g, request

from core.errors import SortationError
from entrypoints.api.limits import Kind
from entrypoints.api.state import small_body

View = TypeVar("View", bound=Callable[..., Any])
WAITING = "sortation.waiting"
WORKING = "sortation.working"
PATIENCE_SECONDS = 1.0
"""How long costly work waits for its turn: most of it takes no longer."""


class Busy(SortationError):
    """As many requests that take long are under way as may at once: try again in some seconds."""

    code = "busy"
    status = 503


class Turns:
    """Of this process: `most` at once, `each` for a tenant. Who finds none free waits so long for one (`patience`, in
    seconds), unless as many wait already as may (`queue`)."""

    def __init__(self, *, most: int, each: int, queue: int = 0, patience: float = 0) -> None:
        self._most, self._each, self._queue, self._patience = most, each, queue, patience
        self._taken: Counter[UUID | None] = Counter()
        self._queued = 0
        self._changed = threading.Condition()

    @property
    def taken(self) -> int:
        return self._taken.total()

    @property
    def queued(self) -> int:
        return self._queued

    @contextmanager
    def turn(self, tenant_id: UUID | None) -> Iterator[None]:
        """While it is open, a thread may take long; `tenant_id` is None where it is not known yet for whom. Raises
        `Busy` where too many do."""
        with self._changed:
            self._await(tenant_id)
            self._taken[tenant_id] += 1
        try:
            yield
        finally:
            with self._changed:
                self._taken[tenant_id] -= 1
                if not self._taken[tenant_id]:
                    del self._taken[tenant_id]
                self._changed.notify_all()

    def _await(self, tenant_id: UUID | None) -> None:
        if self._free(tenant_id):
            return
        if self._queued >= self._queue:
            raise Busy
        self._queued += 1
        try:
            if not self._changed.wait_for(lambda: self._free(tenant_id), self._patience):
                raise Busy
        finally:
            self._queued -= 1

    def _free(self, tenant_id: UUID | None) -> bool:
        return self.taken < self._most and (tenant_id is None or self._taken[tenant_id] < self._each)


def register(app: Flask, threads: int) -> None:
    """Of the server's threads a quarter may wait for sources, one for each tenant. Half may do costly work, half of
    these for one tenant, and a quarter wait until they may. To be called when all views are there."""
    app.extensions[WAITING] = Turns(most=max(1, threads // 4), each=1)
    most = max(1, threads // 2)
    app.extensions[WORKING] = Turns(
        most=most, each=max(1, most // 2), queue=max(1, threads // 4), patience=PATIENCE_SECONDS
    )
    for endpoint, view in list(app.view_functions.items()):
        if getattr(view, "limited", None) is Kind.COSTLY and not getattr(view, "takes_turn", False):
            app.view_functions[endpoint] = _in_turn(view)


def takes_turn(view: View) -> View:
    """For a costly view that takes its turn itself: once its large body is there, or with those who wait."""
    view.takes_turn = True  # type: ignore[attr-defined]
    return view


def of_app() -> Turns:
    """The turns of those who wait for sources."""
    return cast(Turns, current_app.extensions[WAITING])


def work() -> AbstractContextManager[None]:
    """A turn of costly work, for the caller's tenant. Raises `Busy`."""
    turns: Turns = current_app.extensions[WORKING]
    return turns.turn(g.actor.tenant_id if "actor" in g else None)


def _in_turn(view: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(view)
    def costly(**arguments: Any) -> Any:
        if request.method != "GET":
            small_body()  # whoever sends it slowly has no turn meanwhile
        with work():
            return view(**arguments)

    return costly
