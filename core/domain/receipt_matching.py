"""How likely it is that a receipt is of a record: by amount, currency, day and name.

A conditional logit: each candidate has a logit, and the receipt is of one of them, or of none (logit 0). So what
several records suit equally well is shared among them. The weights are those that `python -m benchmarks.receipts --fit`
found; there they are tried on tenants that they were not fitted on.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal

from core.domain.receipt_names import similarity
from core.domain.receipts import Candidate, Said

BELOW, ABOVE = Decimal("0.97"), Decimal("1.25")
"""What may have been paid of what the receipt says: less by a discount, more by a tip or a fee."""
CENT = Decimal("0.011")
EARLIEST, LATEST = 3, 14
"""Days by which a record may be before the day of its receipt, and after it: banks book late."""
UNKNOWN_EARLIEST, UNKNOWN_LATEST = 60, 14
"""The same, counted from the upload, where the receipt names no day."""
CANDIDATES = 20
"""Of a receipt: the nearest by amount, then by day."""
LEAST = 0.05
"""What is less likely is not suggested."""
_TOO_FAR = 30


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """Which records a receipt may be of."""

    amount: Decimal
    lowest: Decimal
    highest: Decimal
    since: date
    until: date
    near: date
    """The day that is looked at first."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Weights:
    """Of the features of a pair, in their order."""

    always: float
    exact: float
    above: float
    below: float
    same_currency: float
    other_currency: float
    late: float
    early: float
    no_day: float
    far: float
    name: float
    no_name: float


WEIGHTS = Weights(
    always=-3.0,
    exact=4.0,
    above=-10.0,
    below=-60.0,
    same_currency=0.5,
    other_currency=-3.0,
    late=-0.6,
    early=-2.0,
    no_day=0.5,
    far=-0.7,
    name=4.0,
    no_name=1.5,
)


def window_of(said: Said, uploaded_on: date) -> Window | None:
    """None where the receipt names no amount: nothing else tells a record from others."""
    if said.amount is None:
        return None
    near, before, after = uploaded_on, UNKNOWN_EARLIEST, UNKNOWN_LATEST
    if said.day is not None:
        near, before, after = said.day, EARLIEST, LATEST
    return Window(
        amount=said.amount,
        lowest=said.amount * BELOW - CENT,
        highest=said.amount * ABOVE + CENT,
        since=near - timedelta(days=before),
        until=near + timedelta(days=after),
        near=near,
    )


def scores(
    said: Said, uploaded_on: date, candidates: Sequence[Candidate], weights: Weights = WEIGHTS
) -> list[tuple[Candidate, float]]:
    """Each of a receipt's candidates with the probability that the receipt is of it, the likeliest first."""
    ordered = [getattr(weights, name) for name in Weights.__slots__]
    odds = [
        math.exp(sum(w * x for w, x in zip(ordered, features(said, uploaded_on, candidate), strict=True)))
        for candidate in candidates
    ]
    whole = 1.0 + math.fsum(odds)
    found = [(candidate, one / whole) for candidate, one in zip(candidates, odds, strict=True)]
    return sorted(found, key=lambda pair: (-pair[1], pair[0].record_id))


def features(said: Said, uploaded_on: date, candidate: Candidate) -> tuple[float, ...]:
    """Of a receipt that names an amount, and a record: as `Weights` has them. The sign of the record's amount says
    nothing: a receipt of something that was given back is one, too."""
    wanted, paid = said.amount or Decimal(0), abs(candidate.amount)
    gap = float((paid - wanted) / wanted) if wanted else float(paid > 0)
    lag = (candidate.day - (said.day or uploaded_on)).days
    alike = similarity(said.merchant, candidate.text, candidate.counterparty) if said.merchant else None
    known_currencies = said.currency is not None and candidate.currency is not None
    known_day = said.day is not None
    return (
        1.0,
        float(paid == wanted),
        min(max(gap, 0.0), 1.0),
        min(max(-gap, 0.0), 1.0),
        float(known_currencies and said.currency == candidate.currency),
        float(known_currencies and said.currency != candidate.currency),
        math.log1p(min(max(lag, 0), _TOO_FAR)) if known_day else 0.0,
        math.log1p(min(max(-lag, 0), _TOO_FAR)) if known_day else 0.0,
        float(not known_day),
        0.0 if known_day else math.log1p(abs(lag)),
        alike or 0.0,
        float(alike is None),
    )
