"""Amounts in the smallest unit of their currency, as many APIs have them: 1250 is 12.50 EUR and 1250 JPY."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal

_WITHOUT = "BIF CLP DJF GNF ISK JPY KMF KRW PYG RWF UGX UYI VND VUV XAF XOF XPF"
_WITH_THREE = "BHD IQD JOD KWD LYD OMR TND"
ISO_DECIMALS: Mapping[str, int] = {
    **dict.fromkeys(_WITHOUT.split(), 0),
    **dict.fromkeys(_WITH_THREE.split(), 3),
    "CLF": 4,
    "UYW": 4,
}
"""How many decimals a currency has by ISO 4217; those that are not here have two."""
_WITHOUT_AT_STRIPE = "BIF CLP DJF GNF JPY KMF KRW MGA PYG RWF VND VUV XAF XOF XPF"
STRIPE_DECIMALS: Mapping[str, int] = {
    **dict.fromkeys(_WITHOUT_AT_STRIPE.split(), 0),
    **dict.fromkeys(["BHD", "JOD", "KWD", "OMR", "TND"], 3),
}
"""As Stripe counts, which is not always as ISO 4217 does: to it, ISK and UGX have two decimals, and MGA none."""


def from_minor(amount: Decimal | int, currency: str, decimals: Mapping[str, int] = ISO_DECIMALS) -> Decimal:
    """The amount in whole units of `currency` (ISO 4217), exactly. Raises `ValueError` for what is no finite number."""
    sign, digits, exponent = Decimal(amount).as_tuple()
    if not isinstance(exponent, int):
        raise ValueError(f"the amount {amount!r} is no number")
    return Decimal((sign, digits, exponent - decimals.get(currency, 2)))
