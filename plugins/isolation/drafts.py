"""Drafts on their way from a child: what most of the time between the two goes into."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from datetime import date, datetime
from decimal import Decimal
from typing import Any

import msgspec

from core.domain.records import Draft


class WireDraft(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """A `Draft`. When it occurred is a day, or else a moment with its own offset, which msgpack's moments lack."""

    text: str
    day: date | None
    moment: str | None
    kind: str
    account: str
    external_id: str | None
    counterparty: str
    amount: Decimal | None
    currency: str | None
    attributes: dict[str, Any]
    raw: dict[str, Any]
    pending: bool
    pending_external_id: str | None
    category: str | None


def packed_draft(d: Draft) -> WireDraft:
    """Raises `AttributeError`, `TypeError` and `ValueError` for what is no draft."""
    when, amount = d.occurred_at, d.amount
    if not (amount is None or isinstance(amount, Decimal)):
        raise TypeError(f"the amount {amount!r} is no Decimal")
    if not isinstance(when, date):
        raise TypeError(f"{when!r} is neither a day nor a moment")
    moment = when.isoformat() if isinstance(when, datetime) else None
    return WireDraft(
        d.text,
        when if moment is None else None,
        moment,
        d.kind,
        d.account,
        d.external_id,
        d.counterparty,
        amount,
        d.currency,
        plain(d.attributes),
        plain(d.raw),
        d.pending,
        d.pending_external_id,
        d.category,
    )


(
    _text,
    _occurred_at,
    _kind,
    _account,
    _external_id,
    _counterparty,
    _amount,
    _currency,
    _attributes,
    _raw,
    _pending,
    _pending_external_id,
    _category,
) = (Draft.__dict__[field.name].__set__ for field in fields(Draft))
"""What sets each field of a new draft. `Draft()` does the same for a frozen class in nearly three times the time, which
is most of what the host has to do with a record; the types of what comes are checked by then."""


def draft_of(d: WireDraft) -> Draft:
    """Raises `ValueError` for what is no moment."""
    when = d.day
    if when is None:
        when = datetime.fromisoformat(d.moment or "")
    draft = object.__new__(Draft)
    _text(draft, d.text)
    _occurred_at(draft, when)
    _kind(draft, d.kind)
    _account(draft, d.account)
    _external_id(draft, d.external_id)
    _counterparty(draft, d.counterparty)
    _amount(draft, d.amount)
    _currency(draft, d.currency)
    _attributes(draft, d.attributes)
    _raw(draft, d.raw)
    _pending(draft, d.pending)
    _pending_external_id(draft, d.pending_external_id)
    _category(draft, d.category)
    return draft


def plain(values: Mapping[str, Any]) -> dict[str, Any]:
    return values if isinstance(values, dict) else dict(values)
