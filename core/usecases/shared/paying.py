"""Whose customer a tenant is."""

from __future__ import annotations

from core.domain.billing import Account
from ports.payments import Payments


def provider_key(payments: Payments) -> str:
    """What accounts and events name a provider by: its test customers are not its live ones."""
    return f"{payments.name}/{payments.prices}"


def customer_of(account: Account, payments: Payments) -> str | None:
    """The tenant's customer at this provider, if it has one."""
    return account.customer_id if account.provider == provider_key(payments) else None
