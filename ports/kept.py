"""What may be answered again for a while."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from typing import Protocol, TypeVar

Value = TypeVar("Value")


class Kept(Protocol):
    def get(self, key: Hashable, compute: Callable[[], Value]) -> Value:
        """What was computed for the key a moment ago, or what `compute` gives now. Raises what that raises, and keeps
        nothing then; `Transient` where many wait for it too long."""
        ...
