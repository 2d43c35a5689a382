"""The label memory: what people said of a key, each label's weight decaying as newer ones come."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from adapters.learning.features import Keys

SLOTS = 6
"""Labels kept of a key: those that weigh most."""
DECAY = 0.9
"""What a key's older labels keep of their weight at each new one."""
_FIRST_SIZE = 1 << 12
_COLUMNS = ("labels", "weights", "support", "streak", "last", "at")

Ints = npt.NDArray[np.int64]
Rows = npt.NDArray[np.int64]


class LabelMemory:
    """Row 0 is that of keys never seen. `at` is the learner's count of arrivals when the key was last told a label."""

    def __init__(self) -> None:
        self._row_of: dict[int, int] = {}
        self._keys: list[int] = [0]
        self.labels = np.full((_FIRST_SIZE, SLOTS), -1, np.int16)
        self.weights = np.zeros((_FIRST_SIZE, SLOTS), np.float32)
        self.support = np.zeros(_FIRST_SIZE, np.float32)
        self.streak = np.zeros(_FIRST_SIZE, np.float32)
        self.last = np.full(_FIRST_SIZE, -2, np.int16)
        self.at = np.zeros(_FIRST_SIZE, np.float32)

    def rows(self, keys: Keys) -> Rows:
        """The place of each key, 0 where it is new; of the shape of `keys`."""
        get = self._row_of.get
        return np.array([get(key, 0) for key in keys.ravel().tolist()], np.int64).reshape(keys.shape)

    def add(self, keys: Keys, labels: Ints, at: npt.NDArray[np.float64]) -> None:
        """Tells the memory of records in their order: `keys` (n, k), a label and an arrival count each."""
        for of_record, label, when in zip(keys.tolist(), labels.tolist(), at.tolist(), strict=True):
            rows = np.array([self._row(key) for key in of_record])
            weights, known = self.weights[rows] * np.float32(DECAY), self.labels[rows]
            same = known == label
            has = same.any(1)
            slot = np.where(has, same.argmax(1), weights.argmin(1))
            every = np.arange(len(rows))
            weights[every, slot] = np.where(has, weights[every, slot], 0) + 1
            known[every, slot] = label
            self.weights[rows], self.labels[rows] = weights, known
            self.support[rows] += 1
            self.streak[rows] = np.where(self.last[rows] == label, self.streak[rows] + 1, 1)
            self.last[rows], self.at[rows] = label, when

    def _row(self, key: int) -> int:
        row = self._row_of.get(key)
        if row is None:
            row = self._row_of[key] = len(self._keys)
            self._keys.append(key)
            if row == len(self.support):
                self._grow()
        return row

    def _grow(self) -> None:
        for name in _COLUMNS:
            column = getattr(self, name)
            fresh = np.full_like(column, {"labels": -1, "last": -2}.get(name, 0))
            setattr(self, name, np.concatenate([column, fresh]))

    def arrays(self) -> dict[str, npt.NDArray[Any]]:
        used = len(self._keys)
        kept = {f"memory.{name}": getattr(self, name)[:used] for name in _COLUMNS}
        return kept | {"memory.keys": np.array(self._keys, np.uint64)}

    @classmethod
    def load(cls, arrays: Any) -> LabelMemory:
        found = cls()
        found._keys = arrays["memory.keys"].tolist()
        found._row_of = {key: row for row, key in enumerate(found._keys) if row}
        for name in _COLUMNS:
            setattr(found, name, arrays[f"memory.{name}"])
        if len(found.support) == len(found._keys):
            found._grow()
        return found
