"""The learner: makes and loads ensembles, and keeps those of the tenants that were asked about last."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Mapping
from threading import Lock
from uuid import UUID

from adapters.learning.ensemble import VERSION, LearnedEnsemble


class EnsembleLearner:
    """A `Learner`. Keeps the ensembles of the `capacity` tenants used last, some tens of megabytes each at most. Safe
    to share between threads."""

    def __init__(self, capacity: int = 16) -> None:
        self._capacity = capacity
        self._kept: OrderedDict[UUID, tuple[int, str, LearnedEnsemble]] = OrderedDict()
        self._lock = Lock()

    @property
    def version(self) -> str:
        return VERSION

    def fresh(self) -> LearnedEnsemble:
        return LearnedEnsemble()

    def load(self, data: bytes, categories: Mapping[UUID, UUID]) -> LearnedEnsemble:
        return LearnedEnsemble.load(data, categories)

    def at_hand(
        self,
        tenant_id: UUID,
        version: int,
        tree: str,
        fetch: Callable[[], tuple[bytes, Mapping[UUID, UUID]]],
    ) -> LearnedEnsemble:
        with self._lock:
            kept = self._kept.get(tenant_id)
            if kept is not None and kept[:2] == (version, tree):
                self._kept.move_to_end(tenant_id)
                return kept[2]
        ensemble = self.load(*fetch())
        with self._lock:
            self._kept[tenant_id] = version, tree, ensemble
            self._kept.move_to_end(tenant_id)
            while len(self._kept) > self._capacity:
                self._kept.popitem(last=False)
        return ensemble
