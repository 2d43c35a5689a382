"""What several pages of billing share: their state, and asking who takes the payments, in its turn."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from core.errors import Conflict, Invalid, PaymentsRefused, PaymentsUnavailable
from core.usecases.billing import BillingState
from entrypoints.api.state import container
from entrypoints.api.waiting import Busy, of_app
from entrypoints.console.billing import words
from entrypoints.console.guard import me

REFUSALS = (Busy, Conflict, Invalid, PaymentsRefused, PaymentsUnavailable)
"""What a page says that asked for something of payments."""


@contextmanager
def asking() -> Iterator[None]:
    """While who takes the payments is asked. Raises `Busy`."""
    with of_app().turn(me().tenant_id):
        yield


def here(path: str) -> str:
    """The address that people come back to."""
    return f"{container().settings().public_url}{path}"


def shared(state: BillingState) -> dict[str, Any]:
    """What the pages' templates are given of it."""
    base = container().terms().base
    return {
        "state": state,
        "plan": state.entitlement.plan,
        "subscription": state.account.subscription,
        "sells": words.sells(state, base),
        "by_hand": words.by_hand(state),
        "taken_by": words.taken_by(state),
    }
