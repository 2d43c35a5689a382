"""What was agreed by hand with tenants who pay by invoice."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol
from uuid import UUID

from core.domain.agreements import Agreement


class Agreements(Protocol):
    """Each call is a transaction of its own."""

    def get(self, tenant_id: UUID) -> Agreement | None: ...

    def put(self, agreement: Agreement) -> None: ...

    def list(self) -> Sequence[Agreement]:
        """Those of all tenants, by the time of their order: for the operator."""
        ...
