"""What was agreed by hand with tenants who pay by invoice."""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

from adapters.memory.state import MemoryStore
from core.domain.agreements import Agreement


class MemoryAgreements:
    def __init__(self, store: MemoryStore) -> None:
        self._store = store

    def get(self, tenant_id: UUID) -> Agreement | None:
        with self._store.lock:
            return self._store.state(tenant_id).agreements.get(tenant_id)

    def put(self, agreement: Agreement) -> None:
        with self._store.lock:
            self._store.state(agreement.tenant_id).agreements[agreement.tenant_id] = agreement

    def list(self) -> Sequence[Agreement]:
        with self._store.lock:
            kept = [one for state in self._store.tenants.values() for one in state.agreements.values()]
        return sorted(kept, key=lambda one: (one.ordered_at, one.tenant_id))
