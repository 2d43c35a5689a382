"""A clock that stands still and ids that count: what makes a run the same as the one before."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from uuid import UUID

START = datetime(2026, 1, 5, 9, 0, tzinfo=UTC)


class FixedClock:
    """Tells the same instant (aware, UTC) until it is set or advanced."""

    def __init__(self, now: datetime = START) -> None:
        self._now = now.astimezone(UTC)

    def now(self) -> datetime:
        return self._now

    def set(self, now: datetime) -> None:
        self._now = now.astimezone(UTC)

    def advance(self, by: timedelta) -> datetime:
        """Moves on, and tells the new instant."""
        self._now += by
        return self._now


class CountingIds:
    """Rising UUIDs in the shape of version 7, with a count in place of chance; all else follows from the count."""

    def __init__(self, start: datetime = START) -> None:
        self._head = int(start.timestamp() * 1_000) << 80 | 7 << 76 | 2 << 62
        self._count = 0

    def new(self) -> UUID:
        self._count += 1
        return UUID(int=self._head | self._count)

    def batch(self, count: int) -> Sequence[UUID]:
        return [self.new() for _ in range(count)]

    def entropy(self, count: int) -> bytes:
        return hashlib.shake_256(self.new().bytes).digest(count)

    def uniform(self) -> float:
        return int.from_bytes(self.entropy(6), "big") / 2**48
