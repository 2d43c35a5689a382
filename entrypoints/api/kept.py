"""What many ask for and anybody may: computed by one thread at a time, and kept for some seconds."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Generic, TypeVar

from core.errors import Transient

Value = TypeVar("Value")
MOST_WAITING = 2
"""Threads that wait for the one which computes, where nothing is kept that could be answered instead."""
PATIENCE = 2.0
"""Seconds that they wait, and for which what is kept serves on while its successor is computed."""


class Kept(Generic[Value]):
    """The answer of `compute`, which is good for `seconds`.

    However many ask, `compute` holds one thread, and for some seconds two more: also where it hangs.
    """

    def __init__(self, compute: Callable[[], Value], *, seconds: float) -> None:
        self._compute = compute
        self._seconds = seconds
        self._done = threading.Condition()
        self._computing = False
        self._waiting = 0
        self._kept: tuple[float, Value] | None = None

    def get(self) -> Value:
        """Raises `Transient` where too many wait, or too long; and what `compute` does."""
        with self._done:
            if (kept := self._younger_than(self._seconds)) is not None:
                return kept[1]
            if self._computing:
                return self._other_threads()
            self._computing = True
        made: tuple[float, Value] | None = None
        try:
            made = (time.monotonic(), self._compute())
            return made[1]
        finally:
            with self._done:
                self._computing, self._kept = False, made
                self._done.notify_all()

    def _other_threads(self) -> Value:
        if (kept := self._younger_than(self._seconds + PATIENCE)) is not None:
            return kept[1]
        if self._waiting < MOST_WAITING:
            self._waiting += 1
            try:
                self._done.wait_for(lambda: not self._computing, PATIENCE)
            finally:
                self._waiting -= 1
            if (kept := self._younger_than(self._seconds + PATIENCE)) is not None:
                return kept[1]
        raise Transient("this takes longer than it should: ask again later")

    def _younger_than(self, seconds: float) -> tuple[float, Value] | None:
        """By when its computing began, since that is what it tells."""
        if self._kept is None or time.monotonic() - self._kept[0] >= seconds:
            return None
        return self._kept
