"""What was agreed by hand with tenants who pay by invoice."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol
from uuid import UUID

from core.domain.billing import Invoice


@dataclass(frozen=True, slots=True, kw_only=True)
class Agreement:
    """A plan by its price, ordered then, and paid until then; None: not paid yet. `ends_at` is when it ends without
    being renewed."""

    tenant_id: UUID
    price_id: str
    ordered_at: datetime
    trial_end: datetime | None = None
    paid_from: datetime | None = None
    paid_until: datetime | None = None
    ends_at: datetime | None = None
    invoices: tuple[Invoice, ...] = ()


class Agreements(Protocol):
    """Each call is a transaction of its own."""

    def get(self, tenant_id: UUID) -> Agreement | None: ...

    def put(self, agreement: Agreement) -> None: ...

    def list(self) -> Sequence[Agreement]:
        """Those of all tenants, by the time of their order: for the operator."""
        ...
