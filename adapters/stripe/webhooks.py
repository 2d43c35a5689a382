"""What Stripe tells of its own accord."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime
from typing import Any

import stripe

from adapters.stripe.reading import moment
from core.domain.payments import PaymentEvent
from core.errors import WebhookRefused

NAME = "stripe"
SIGNATURE = "stripe-signature"
TOLERANCE = 300
"""Seconds: what was signed longer ago may be sent by somebody who kept it."""
_MATTERS = ("checkout.session.", "customer.subscription.", "invoice.")
_SEPARATORS = re.compile(r"[\s,]+")


def read_event(body: bytes, headers: Mapping[str, str], secrets: str, now: datetime) -> PaymentEvent:
    """The event, if one of the secrets (with commas or spaces between them) has signed it lately. Raises
    `WebhookRefused`."""
    signature = headers.get(SIGNATURE, "")
    for secret in filter(None, _SEPARATORS.split(secrets)):
        try:
            # Its tolerance would be by the machine's clock; 0 leaves the age to us.
            event = stripe.Webhook.construct_event(body, signature, secret, tolerance=0)
        except stripe.SignatureVerificationError:
            continue
        except (ValueError, TypeError, AttributeError, RecursionError):
            raise WebhookRefused("this is no event that could be signed") from None
        if _signed_at(signature) < now.timestamp() - TOLERANCE:
            raise WebhookRefused(f"this was signed more than {TOLERANCE} seconds ago")
        return _told(event)
    raise WebhookRefused("no secret here signed this")


def _signed_at(signature: str) -> int:
    """As the library reads it: the first one counts."""
    return int(next(part for part in signature.split(",") if part.startswith("t=")).removeprefix("t="))


def _told(event: stripe.Event) -> PaymentEvent:
    try:
        thing: Any = event.data.object
        customer = thing if thing.object == "customer" else getattr(thing, "customer", None)
        customer_id = getattr(customer, "id", customer)
        return PaymentEvent(
            provider=NAME,
            id=str(event.id),
            type=str(event.type),
            customer_id=customer_id if isinstance(customer_id, str) else None,
            known=event.type == "customer.deleted" or event.type.startswith(_MATTERS),
            created_at=moment(event.created),
        )
    except (ValueError, TypeError, AttributeError, OverflowError, OSError):
        raise WebhookRefused("this is signed, but no event") from None
