"""Time, chance and identity: what makes a run differ from the next."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Protocol
from uuid import UUID


class Clock(Protocol):
    def now(self) -> datetime:
        """The instant, aware, in UTC."""
        ...


class Ids(Protocol):
    def new(self) -> UUID:
        """A UUIDv7: ids made later sort later."""
        ...

    def batch(self, count: int) -> Sequence[UUID]:
        """`count` of them, rising."""
        ...

    def entropy(self, count: int) -> bytes:
        """`count` random bytes, fit for secrets."""
        ...

    def uniform(self) -> float:
        """A random number in [0, 1)."""
        ...
