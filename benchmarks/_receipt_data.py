"""Tenants that are made up: what they pay, what their bank says of that, and receipts that say it well or badly."""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import date, timedelta
from decimal import Decimal
from uuid import UUID

from core.domain.receipt_matching import CANDIDATES, window_of
from core.domain.receipts import Candidate, Said

START = date(2026, 1, 1)
_SYLLABLES = tuple(
    "ba bel co dan dor fa fen gri hol ka kel la lin mar mo nor or pel qua ra ro sa sol ta tem ul ver wen zor".split()  # noqa: SIM905
)
_TRADES = ("Coffee", "Bakery", "Markt", "Apotheke", "Hotel", "Taxi", "Books", "Hardware", "Garage", "Bistro", "Energy")
_FORMS = ("", "", " GmbH", " Ltd", " AG", " Inc", " & Co KG")
_PLACES = ("BERLIN", "LONDON", "HAMBURG", "PARIS", "MUENCHEN", "DUBLIN", "WIEN", "KOELN")
_HEADINGS = ("Your order", "Kundenbeleg", "Vielen Dank", "Hauptfiliale", "Table 4")
_LAGS = (0,) * 35 + (1,) * 30 + (2,) * 15 + (3,) * 10 + (4, 5) * 4 + (7, 9)
"""Days from a purchase to its booking, each as often as it happens in a hundred."""


@dataclass(frozen=True, kw_only=True)
class Habits:
    """How tenants' receipts and statements are, each a share of them unless it says otherwise."""

    purchases: int = 600
    days: int = 180
    kept: float = 0.35
    """Of purchases, those with a receipt."""
    paid_elsewhere: float = 0.2
    """Of receipts, those that no record is of: cash, another card, not booked yet."""
    no_day: float = 0.2
    wrong_day: float = 0.04
    no_merchant: float = 0.25
    wrong_merchant: float = 0.12
    no_currency: float = 0.3
    wrong_currency: float = 0.02
    wrong_amount: float = 0.1
    unlike_name: float = 0.15
    """Of merchants, those whom banks call by another name."""
    tips: float = 0.35
    """Of what is paid in places where people tip."""
    fees: float = 0.03
    foreign: float = 0.1
    """Of merchants, those who are paid in another currency."""
    billed_later: float = 0.06
    """Of receipts, those that are dated some days after the payment."""


USUAL = Habits()
WORSE = Habits(no_day=0.35, wrong_day=0.08, no_merchant=0.4, wrong_merchant=0.2, wrong_amount=0.2, unlike_name=0.3,
               paid_elsewhere=0.35)  # fmt: skip
DENSE = Habits(purchases=4_000)
"""So many purchases that amounts repeat within days."""


@dataclass(frozen=True, kw_only=True)
class Case:
    """A receipt, what it may be of, and what it is of."""

    said: Said
    uploaded_on: date
    candidates: tuple[Candidate, ...]
    record_id: UUID | None


@dataclass(frozen=True, kw_only=True)
class _Merchant:
    name: str
    at_bank: str
    price: float
    fixed: Decimal | None
    tipped: bool
    currency: str


def cases(seed: int, habits: Habits = USUAL) -> Iterator[Case]:
    """Those of one tenant."""
    chance = random.Random(seed)
    merchants = [_merchant(chance, habits) for _ in range(60)]
    weights = [1 / (place + 1) for place in range(len(merchants))]
    records: dict[date, list[Candidate]] = defaultdict(list)
    receipts: list[tuple[Said, date, UUID | None]] = []
    for n in range(habits.purchases):
        merchant = chance.choices(merchants, weights)[0]
        day = START + timedelta(days=chance.randrange(habits.days))
        amount = merchant.fixed or _price(chance, merchant.price)
        elsewhere = False
        if chance.random() < habits.kept:
            elsewhere = chance.random() < habits.paid_elsewhere
            said = _said(chance, habits, merchant, amount, day)
            receipts.append(
                (said, day + timedelta(days=int(chance.expovariate(0.15))), None if elsewhere else UUID(int=n))
            )
        if not elsewhere:
            booked = day + timedelta(days=chance.choice(_LAGS))
            records[booked].append(
                _record(chance, UUID(int=n), merchant, _paid(chance, habits, merchant, amount), booked)
            )
    for said, uploaded_on, record_id in receipts:
        yield Case(
            said=said, uploaded_on=uploaded_on, candidates=_candidates(said, uploaded_on, records), record_id=record_id
        )


def _candidates(said: Said, uploaded_on: date, records: dict[date, list[Candidate]]) -> tuple[Candidate, ...]:
    """As the storage finds them."""
    window = window_of(said, uploaded_on)
    if window is None:
        return ()
    days = (window.since + timedelta(days=n) for n in range((window.until - window.since).days + 1))
    inside = [r for day in days for r in records.get(day, ()) if window.lowest <= abs(r.amount) <= window.highest]
    inside.sort(key=lambda r: (abs(abs(r.amount) - window.amount), abs(r.day - window.near), r.record_id))
    return tuple(inside[:CANDIDATES])


def _merchant(chance: random.Random, habits: Habits) -> _Merchant:
    trade = chance.choice(_TRADES)
    name = f"{_word(chance)} {trade}"
    known_as = f"{_word(chance)} {_word(chance)}" if chance.random() < habits.unlike_name else name
    price = chance.choice((4, 9, 15, 30, 60, 120, 400)) * chance.uniform(0.7, 1.4)
    fixed = _price(chance, price) if chance.random() < 0.2 else None
    tipped = trade in ("Coffee", "Hotel", "Taxi", "Bistro")
    return _Merchant(
        name=name + chance.choice(_FORMS),
        at_bank=known_as,
        price=price,
        fixed=fixed,
        tipped=tipped,
        currency="USD" if chance.random() < habits.foreign else "EUR",
    )


def _word(chance: random.Random) -> str:
    return "".join(chance.choices(_SYLLABLES, k=chance.choice((2, 3)))).capitalize()


def _price(chance: random.Random, around: float) -> Decimal:
    whole = max(1, round(chance.lognormvariate(0, 0.5) * around))
    cents = chance.choice((0, 0, 50, 90, 95, 99, 99, chance.randrange(100), chance.randrange(100)))
    return Decimal(whole) + Decimal(cents) / 100


def _paid(chance: random.Random, habits: Habits, merchant: _Merchant, amount: Decimal) -> Decimal:
    if merchant.tipped and chance.random() < habits.tips:
        with_tip = float(amount) * chance.uniform(1.03, 1.2)
        return Decimal(round(with_tip) if chance.random() < 0.5 else round(with_tip, 2)).quantize(Decimal("0.01"))
    if chance.random() < habits.fees:
        return (amount * Decimal(chance.uniform(0.98, 1.03))).quantize(Decimal("0.01"))
    return amount


def _said(chance: random.Random, habits: Habits, merchant: _Merchant, amount: Decimal, day: date) -> Said:
    if chance.random() < habits.wrong_amount:  # the net amount, or one of an item
        factor = chance.choice((1 / 1.19, 1 / 1.07, chance.uniform(0.1, 0.9)))
        amount = max((amount * Decimal(factor)).quantize(Decimal("0.01")), Decimal("0.01"))
    said = Said(amount=amount, currency=merchant.currency, day=day, merchant=merchant.name)
    if chance.random() < habits.billed_later:
        said = replace(said, day=day + timedelta(days=chance.choice((1, 1, 2, 3, 5))))
    if chance.random() < habits.wrong_currency:
        said = replace(said, currency=chance.choice(("EUR", "USD", "GBP")))
    if chance.random() < habits.wrong_day:  # when it is due, or was delivered
        said = replace(said, day=day + timedelta(days=chance.choice((-30, -7, 14, 30))))
    if chance.random() < habits.no_day:
        said = replace(said, day=None)
    if chance.random() < habits.wrong_merchant:
        said = replace(said, merchant=chance.choice(_HEADINGS))
    if chance.random() < habits.no_merchant:
        said = replace(said, merchant=None)
    if chance.random() < habits.no_currency:
        said = replace(said, currency=None)
    return said


def _record(chance: random.Random, id: UUID, merchant: _Merchant, paid: Decimal, booked: date) -> Candidate:
    name = merchant.at_bank.upper()
    text = chance.choice(
        (
            f"{name} {chance.choice(_PLACES)} {chance.randrange(10_000)}",
            f"{name[:12]} {chance.choice(_PLACES)}",
            f"SUMUP *{name}",
            f"PAYPAL *{name.replace(' ', '')}",
            f"KARTENZAHLUNG {name} {booked:%d.%m}",
        )
    )
    refunded = chance.random() < 0.03
    return Candidate(
        receipt_id=UUID(int=0),
        record_id=id,
        amount=paid if refunded else -paid,
        currency=merchant.currency,
        day=booked,
        text=text,
        counterparty=merchant.at_bank if chance.random() < 0.4 else "",
    )
