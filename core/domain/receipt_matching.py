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
_NEAR = 0.03
"""By which share fees and rates of exchange change what is paid."""


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
    """Of the features of a pair, in their order; `exact_name` is of a name where the amount is the same, too, `crowd`
    of how many candidates there are: among many, one is as the receipt says by chance."""

    always: float
    exact: float
    near: float
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
    exact_name: float
    crowd: float


WEIGHTS = Weights(
    always=1.04,
    exact=3.99,
    near=-0.84,
    above=-1.57,
    below=-17.94,
    same_currency=0.1,
    other_currency=-1.95,
    late=-1.5,
    early=-3.7,
    no_day=-0.25,
    far=-0.97,
    name=2.97,
    no_name=1.12,
    exact_name=-1.02,
    crowd=-1.19,
)
"""Fitted on the receipts of 40 made-up tenants, of no real one: `benchmarks/_receipt_data.py` says how these pay, and
what is wrong with their receipts."""


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
    crowd = len(candidates)
    odds = [
        math.exp(sum(w * x for w, x in zip(ordered, features(said, uploaded_on, candidate, crowd), strict=True)))
        for candidate in candidates
    ]
    whole = 1.0 + math.fsum(odds)
    found = [(candidate, one / whole) for candidate, one in zip(candidates, odds, strict=True)]
    return sorted(found, key=lambda pair: (-pair[1], pair[0].record_id))


def features(said: Said, uploaded_on: date, candidate: Candidate, crowd: int) -> tuple[float, ...]:
    """Of a receipt that names an amount, and one of its `crowd` candidates: as `Weights` has them. The sign of the
    record's amount says nothing: a receipt of something that was given back is one, too."""
    wanted, paid = said.amount or Decimal(0), abs(candidate.amount)
    gap = float((paid - wanted) / wanted) if wanted else float(paid > 0)
    exact = float(paid == wanted)
    lag = (candidate.day - (said.day or uploaded_on)).days
    alike = similarity(said.merchant, candidate.text, candidate.counterparty) if said.merchant else None
    known_currencies = said.currency is not None and candidate.currency is not None
    known_day = said.day is not None
    return (
        1.0,
        exact,
        float(not exact and abs(gap) <= _NEAR),
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
        exact * (alike or 0.0),
        math.log(crowd),
    )
