"""Amounts of reports: each currency apart, or converted by rates that somebody gave.

A sum is converted exactly, as a whole, and rounded once, half to even, to the decimals of the currency that it becomes
(ISO 4217). So a total may differ from the sum of its rounded parts by their roundings, and never by more.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import ROUND_HALF_EVEN, Context, Decimal

from core.domain.minor_units import ISO_DECIMALS
from core.errors import Invalid

EXACT = Context(prec=400)
"""Wide enough for any sum of amounts times a rate: nothing is rounded but where we say so."""
MOST_RATES = 200
_CURRENCY = re.compile(r"[A-Z]{3}")
_MAX_RATE = Decimal(10) ** 12
_RATE_DECIMALS = 12


@dataclass(frozen=True, slots=True, kw_only=True)
class Conversion:
    """All becomes amounts of the currency `to`: `rates` says how much of it one unit of another is worth. A currency
    without a rate stays apart."""

    to: str
    rates: Mapping[str, Decimal] = field(default_factory=dict)

    def rate(self, currency: str) -> Decimal | None:
        return Decimal(1) if currency == self.to else self.rates.get(currency)


def check_conversion(conversion: Conversion) -> None:
    """Raises `Invalid`."""
    for currency in (conversion.to, *conversion.rates):
        if not _CURRENCY.fullmatch(currency):
            raise _wrong(f"{currency!r} is not an ISO 4217 code")
    if conversion.to in conversion.rates:
        raise _wrong(f"{conversion.to} needs no rate: it is what the others become")
    if len(conversion.rates) > MOST_RATES:
        raise _wrong(f"at most {MOST_RATES} rates")
    for currency, rate in conversion.rates.items():
        exponent = rate.as_tuple().exponent
        if not isinstance(exponent, int) or not 0 < rate < _MAX_RATE or -exponent > _RATE_DECIMALS:
            raise _wrong(f"the rate of {currency} is above 0 and below 1E12, with at most {_RATE_DECIMALS} decimals")


def _wrong(said: str) -> Invalid:
    return Invalid(said, fields={"conversion": [f"{said[:1].upper()}{said[1:]}."]})


def becomes(currency: str | None, conversion: Conversion | None) -> str | None:
    """The currency that amounts of this one are told in."""
    if currency is None or conversion is None or conversion.rate(currency) is None:
        return currency
    return conversion.to


def convert(amount: Decimal, currency: str | None, conversion: Conversion | None) -> Decimal:
    """Exactly; to be rounded by `rounded` when it was added up."""
    rate = None if currency is None or conversion is None else conversion.rate(currency)
    return amount if rate is None else EXACT.multiply(amount, rate)


def add(one: Decimal, other: Decimal) -> Decimal:
    """Exactly, where `+` keeps 28 digits."""
    return EXACT.add(one, other)


def rounded(amount: Decimal, currency: str | None, conversion: Conversion | None) -> Decimal:
    """As it is told: to the currency's decimals where it was converted, with at least these where it was not."""
    decimals = ISO_DECIMALS.get(currency or "", 2)
    step = Decimal(1).scaleb(-decimals)
    if conversion is not None and currency == conversion.to:
        return amount.quantize(step, ROUND_HALF_EVEN, EXACT)
    plain = amount.normalize(EXACT)  # 1.5000 and 1.50 are one amount, told as one
    exponent = plain.as_tuple().exponent
    exact = isinstance(exponent, int) and -exponent > decimals
    return plain if exact else plain.quantize(step, context=EXACT)
