"""A source on loopback as bad as they come: tokens that end after a few requests, 429 and 503 in between, records that
tie where pages meet. A test holds its pages, and sees who asks."""

from __future__ import annotations

import threading
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any

from tests.stubs.oauth_server import OAuthServer
from tests.stubs.source_server import Reply, Request, SourceServer

PAGE = 10
TIED = 15
"""So many records in a row have the same time, so that pages meet within it."""
_BEGIN = datetime(2026, 1, 1, tzinfo=UTC)
_HELD_SECONDS = 90.0

STREAM: Mapping[str, Any] = {
    "name": "entries",
    "path": "/entries",
    "records": "$.data",
    "pagination": {"type": "cursor", "param": "after", "path": "$.next"},
    "incremental": {"path": "$.updated_at", "param": "updated_since", "overlap": 1},
    "fields": {"external_id": "$.id", "text": "$.text", "occurred_at": "$.updated_at"},
}


@dataclass(kw_only=True)
class Ledger:
    """`size` records, the oldest first, of which those come that changed after `updated_since`; `after` is where a page
    begins. A token serves `uses` answers. With `faults`, every fourth request in order is answered 429 and every
    seventh 503, each time but a second time in a row."""

    provider: OAuthServer
    size: int
    uses: int = 3
    faults: bool = True
    held: set[int] = field(default_factory=set)
    """Places (see `after`) whose requests wait until `release`."""
    held_first_use: bool = False
    """Whether requests with a token that was never seen wait, too."""
    waiting: Counter[int] = field(default_factory=Counter)
    """How many requests were held, by place; `-1`: those with a new token."""
    statuses: Counter[int] = field(default_factory=Counter)
    seen: Counter[str] = field(default_factory=Counter)
    """Answers with what was asked for, by token."""
    _gates: defaultdict[int, threading.Event] = field(default_factory=lambda: defaultdict(threading.Event))
    _lock: Any = field(default_factory=threading.Lock)
    _asked: Any = field(default_factory=lambda: count(1))

    def __post_init__(self) -> None:
        self.server = SourceServer(self.answer)

    def release(self, place: int) -> None:
        with self._lock:
            self.held.discard(place)
            self._gates.pop(place, threading.Event()).set()

    def answer(self, request: Request) -> Reply:
        reply = self._answer(request)
        self.statuses[reply.status] += 1
        return reply

    def _answer(self, request: Request) -> Reply:
        place = int(request.query.get("after", 0))
        number = next(self._asked)
        if self.faults and number % 4 == 2:
            return Reply(status=429, headers={"Retry-After": "1"})
        if self.faults and number % 7 == 5:
            return Reply(status=503, headers={"Retry-After": "0"} if number % 2 else {})
        self._wait(-1, lambda: self.held_first_use and self._known(request) not in self.seen)
        self._wait(place, lambda: place in self.held)
        token = self.provider.valid(request.headers.get("authorization", ""))
        if token is None:
            return Reply(status=401)
        self.seen[token.access_token] += 1
        if self.seen[token.access_token] >= self.uses:
            token.expires_at = 0
        since = request.query.get("updated_since")
        changed = [n for n in range(self.size) if since is None or moment(n) > datetime.fromisoformat(since)]
        found = [n for n in changed if n >= place]
        following = str(found[PAGE]) if len(found) > PAGE else None
        return Reply(body={"data": [entry(n) for n in found[:PAGE]], "next": following})

    def _known(self, request: Request) -> str:
        return request.headers.get("authorization", "").removeprefix("Bearer ")

    def _wait(self, place: int, held: Callable[[], bool]) -> None:
        """Where it is held, until that is released."""
        with self._lock:
            if not held():
                return
            gate = self._gates[place]
            self.waiting[place] += 1
        gate.wait(_HELD_SECONDS)


def moment(n: int) -> datetime:
    return _BEGIN + timedelta(hours=n // TIED)


def entry(n: int) -> dict[str, str]:
    return {"id": f"{n:05}", "text": f"entry {n}", "updated_at": moment(n).isoformat()}
