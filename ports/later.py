"""What need not be waited for."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol


class Later(Protocol):
    def __call__(self, work: Callable[[], None]) -> None:
        """Has the work done soon, beside what calls it; what goes wrong with it is logged. It is lost where the process
        is killed meanwhile."""
        ...
