"""What a balance transaction is as records: itself, and its fees."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from core.domain.minor_units import STRIPE_DECIMALS, from_minor
from plugins.json_lines import plain
from sortation import Draft


def drafts_of(transaction: Mapping[str, Any], account: str, fees_apart: bool) -> list[Draft]:
    """The transaction, and with `fees_apart` each of its fees: together they are what the balance changed by. Raises
    `KeyError`, `TypeError` and `ValueError` for what is no balance transaction."""
    source = transaction.get("source")
    details: Mapping[str, Any] = source if isinstance(source, dict) else {}
    currency = transaction["currency"].upper()
    common: dict[str, Any] = {
        "occurred_at": datetime.fromtimestamp(transaction["created"], UTC),
        "account": account,
        "pending": transaction.get("status") == "pending",
    }
    available = transaction.get("available_on")
    attributes = {
        "type": transaction["type"],
        "reporting_category": transaction.get("reporting_category"),
        "source": details.get("id", source if isinstance(source, str) else None),
        "available_on": available and datetime.fromtimestamp(available, UTC).date().isoformat(),
        "fee": str(_money(transaction.get("fee") or 0, currency)),
        "net": str(_money(transaction["net"], currency)),
        "exchange_rate": transaction.get("exchange_rate"),
    }
    itself = Draft(
        external_id=transaction["id"],
        text=_text(transaction, details),
        counterparty=_counterparty(transaction, details),
        amount=_money(transaction["amount"], currency),
        currency=currency,
        attributes={name: plain(value) for name, value in attributes.items() if value is not None},
        raw=plain({**transaction, "source": attributes["source"]}),
        **common,
    )
    if not fees_apart:
        return [itself]
    return [itself, *_fees(transaction, currency, common)]


def _fees(transaction: Mapping[str, Any], currency: str, common: Mapping[str, Any]) -> Iterator[Draft]:
    total = transaction.get("fee") or 0
    told = transaction.get("fee_details") or ()
    if sum(fee["amount"] for fee in told) != total:
        told = [{"amount": total, "currency": currency, "type": "stripe_fee", "description": None}]
    for number, fee in enumerate(told, start=1):
        if not fee["amount"]:
            continue
        ours = fee["type"] != "application_fee"
        yield Draft(
            external_id=f"{transaction['id']}:fee:{number}",
            text=fee.get("description") or ("Stripe fee" if ours else "Application fee"),
            counterparty="Stripe" if ours else fee.get("application") or "",
            amount=_money(fee["amount"], currency).copy_negate(),
            currency=currency,
            attributes={"type": fee["type"], "of": transaction["id"]},
            raw=plain(fee),
            **common,
        )


def _money(amount: int, currency: str) -> Decimal:
    return from_minor(amount, currency, STRIPE_DECIMALS)


def _text(transaction: Mapping[str, Any], details: Mapping[str, Any]) -> str:
    said = (
        transaction.get("description"),
        details.get("description"),
        details.get("calculated_statement_descriptor") or details.get("statement_descriptor"),
    )
    words = dict.fromkeys(text for text in said if isinstance(text, str) and text.strip())
    return " ".join(words) or str(transaction.get("reporting_category") or transaction["type"]).replace("_", " ")


def _counterparty(transaction: Mapping[str, Any], details: Mapping[str, Any]) -> str:
    billing = details.get("billing_details") or {}
    name = billing.get("name") or details.get("receipt_email") or billing.get("email")
    if name:
        return str(name)
    return "Stripe" if str(transaction["type"]).startswith(("stripe_fee", "stripe_fx_fee", "tax_fee")) else ""
