"""The machine's own clock and randomness."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from datetime import UTC, datetime
from uuid import UUID

import uuid_utils.compat


class SystemClock:
    def now(self) -> datetime:
        return datetime.now(UTC)


class SystemIds:
    def new(self) -> UUID:
        return uuid_utils.compat.uuid7()

    def batch(self, count: int) -> Sequence[UUID]:
        return [uuid_utils.compat.uuid7() for _ in range(count)]

    def entropy(self, count: int) -> bytes:
        return secrets.token_bytes(count)

    def uniform(self) -> float:
        return secrets.randbelow(1 << 53) / (1 << 53)
