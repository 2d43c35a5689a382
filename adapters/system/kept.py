"""What was computed a moment ago, by key, in this process."""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import TypeVar, cast

from core.errors import Transient

Value = TypeVar("Value")
PATIENCE = 5.0
"""Seconds that others wait for who computes the same."""


class KeptByKey:
    """Values are good for `seconds`, from when their computing began. At most `most` are kept, those that were computed
    last; the same one is computed by one thread at a time."""

    def __init__(self, *, seconds: float, most: int) -> None:
        self._seconds = seconds
        self._most = most
        self._done = threading.Condition()
        self._computing: set[Hashable] = set()
        self._kept: OrderedDict[Hashable, tuple[float, object]] = OrderedDict()

    def get(self, key: Hashable, compute: Callable[[], Value]) -> Value:
        asked = time.monotonic()
        with self._done:
            if not self._done.wait_for(lambda: key not in self._computing, PATIENCE):
                raise Transient("this takes longer than it should: ask again later")
            # What another began while we waited is as fresh as what we would compute now.
            kept = self._kept.get(key)
            if kept is not None and (kept[0] >= asked or time.monotonic() - kept[0] < self._seconds):
                return cast("Value", kept[1])
            self._computing.add(key)
        began = time.monotonic()
        try:
            value = compute()
            with self._done:
                self._kept[key] = (began, value)
                self._kept.move_to_end(key)
                while len(self._kept) > self._most:
                    self._kept.popitem(last=False)
            return value
        finally:
            with self._done:
                self._computing.discard(key)
                self._done.notify_all()
