"""Rules and bank records in the manner of real ones, the same for the same seed."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

from core.domain.conditions import parse_condition
from core.domain.records import RecordStatus, Snapshot, clean_text
from core.domain.rules import Action, Rule, RuleStage

TENANT = UUID(int=1)
CONNECTION = UUID(int=2)
MATCHED = 0.92
"""Share of the records whose merchant is that of a rule; whether the rule matches is up to its condition."""
KINDS = {"contains": 0.60, "equals": 0.15, "starts_with": 0.10, "regex": 0.10, "compound": 0.05}


def _words(text: str) -> list[str]:
    return text.split()


_STARTS = _words(
    "al an ar bel ber bo bran cal cas cor da del do el fa fer gar gol ha hel in ka kel la lin lo mar mel mo na nor"
)
_MIDDLES = _words("a be ca da di do e fi ga go i ka le li lo ma mi na no o pe ra ri ro sa se ta te ti to ve vi za")
_ENDS = _words(
    "ba co da den dia do go ka la len lia lo man mar na nia no ra ria ro sa son ta tec ter tia to ton va via x"
)
_TRADES = _words(
    "BAKERY BOOKS BISTRO CARPETS CINEMA CLEANING COFFEE DENTAL DIRECT ELECTRIC ENERGY EXPRESS FITNESS FLOWERS FOODS "
    "FUEL FURNITURE GARDEN GARAGE HARDWARE HOTEL INSURANCE LOGISTICS MARKET MEDIA MOBILE MUSIC OPTICS PARKING PHARMACY "
    "PIZZA PRINT RADIO RENTALS SHOES SOFTWARE SPORTS STATIONERY SUPERMARKET TAXI TELECOM TOOLS TOYS TRAVEL WATER WINES "
    "BÄCKEREI GETRÄNKE MÖBEL CAFÉ APOTHEKE BLUMEN DROGERIE STADTWERKE PÂTISSERIE PELUQUERÍA"
)
_FORMS = ("GmbH", "AG", "Ltd", "LLC", "Inc", "SA", "BV", "Oy", "")
_CITIES = _words(
    "BERLIN HAMBURG MÜNCHEN KÖLN LEIPZIG DRESDEN WIEN GRAZ ZÜRICH BASEL PARIS LYON LILLE MADRID SEVILLA MÁLAGA LISBOA "
    "PORTO ROMA MILANO TORINO LONDON LEEDS BRISTOL DUBLIN CORK OSLO BERGEN MALMÖ AARHUS HELSINKI TALLINN RIGA VILNIUS "
    "WARSZAWA ŁÓDŹ PRAHA BRNO BUDAPEST ZAGREB ATHENS PATRAS BOSTON DENVER AUSTIN SEATTLE CHICAGO TORONTO"
)
_DAY = date(2026, 1, 1)


def merchants(count: int, chance: random.Random) -> list[str]:
    names: dict[str, None] = {}
    while len(names) < count:
        middles = chance.choices(_MIDDLES, k=chance.choices(range(4), weights=[1, 4, 4, 1])[0])
        brand = "".join([chance.choice(_STARTS), *middles, chance.choice(_ENDS)])
        form = chance.random()
        trade = (
            f" {chance.choice(_TRADES)}" if form < 0.75 else f" & {chance.choice(_ENDS)}".upper() if form < 0.8 else ""
        )
        if len(brand) > 4 or trade:
            names[f"{brand.upper()}{trade}"] = None
    return list(names)


def rules(count: int, names: Sequence[str], chance: random.Random) -> list[Rule]:
    """A rule per name; `KINDS` in their shares."""
    kinds = [kind for kind, share in KINDS.items() for _ in range(round(share * count))]
    chance.shuffle(kinds)
    made = []
    for number, (kind, name) in enumerate(zip(kinds, names, strict=True), 1):
        category = UUID(int=1_000 + chance.randrange(80))
        made.append(
            Rule(
                id=UUID(int=number << 64),
                tenant_id=TENANT,
                name=f"{kind} {name}",
                stage=chance.choices(list(RuleStage), weights=[1, 18, 1])[0],
                priority=chance.choice([50, 100, 100, 100, 200]),
                when=parse_condition(_CONDITIONS[kind](name, chance)),
                then=Action(category_id=category) if chance.random() < 0.97 else Action(tags=("seen",)),
                stop=chance.random() < 0.1,
                enabled=True,
                pack=None,
                trusted=chance.random() < 0.9,
                hits=0,
                last_hit_at=None,
                created_at=datetime(2026, 1, 1, tzinfo=UTC) + timedelta(minutes=number),
                version=1,
            )
        )
    return made


def records(count: int, known: Sequence[str], others: Sequence[str], chance: random.Random) -> list[Snapshot]:
    """Merchants are as unequally frequent as in life: the n-th of `known` 1/n as often as the first."""
    weights = [1 / (rank + 3) for rank in range(len(known))]
    share = round(count * MATCHED)
    named = chance.choices(known, weights=weights, k=share) + chance.choices(others, k=count - share)
    chance.shuffle(named)
    return [_record(number, name, chance) for number, name in enumerate(named, 1)]


def _record(number: int, name: str, chance: random.Random) -> Snapshot:
    day = _DAY + timedelta(days=chance.randrange(365))
    text, counterparty = chance.choice(_MANNERS)
    words = {
        "name": name,
        "company": _company(name),
        "city": chance.choice(_CITIES),
        "day": day,
        "four": f"{chance.randrange(10**4):04}",
        "more": f"{chance.randrange(10**4):04}",
        "six": f"{chance.randrange(10**6):06}",
        "ten": f"{chance.randrange(10**10):010}",
    }
    return Snapshot(
        id=UUID(int=number),
        connection_id=CONNECTION,
        kind="transaction",
        account="Checking",
        occurred_at=day,
        text=clean_text(text.format(**words)),
        counterparty=clean_text(counterparty.format(**words)),
        amount=Decimal(chance.randrange(-20_000, 5_000)) / 100,
        currency=chance.choice(("EUR", "EUR", "EUR", "USD")),
        attributes={},
        status=RecordStatus.INGESTED,
        category_id=None,
        stage=None,
        rule_id=None,
        asked=False,
        version=1,
    )


def _company(name: str) -> str:
    """As it signs its direct debits: always in the same way."""
    return f"{name.title()} {_FORMS[len(name) % len(_FORMS)]}".strip()


_MANNERS = (
    ("{name} {four} {city} CARD *{more}", ""),
    ("{name} {city} {day:%d.%m}", ""),
    ("POS {six} {name} {city} {day:%d.%m} CARD {more}", ""),
    ("SEPA-LASTSCHRIFT {name} MREF {ten} {day:%m/%y}", "{company}"),
    ("CREDIT TRANSFER {company} INV {six} OF {day:%d.%m.%Y}", "{company}"),
    ("Invoice {six} dated {day:%d %b %Y}", "{company}"),
    ("PAYPAL *{name} {ten} LU", "PayPal Europe"),
    ("{name} MONTHLY SUBSCRIPTION", "{company}"),
)
"""Text and counterparty as different banks and shops write them."""

_Condition = Callable[[str, random.Random], dict[str, Any]]


def _leaf(field: str, op: str, value: Any) -> dict[str, Any]:
    return {"field": field, "op": op, "value": value}


def _equals(name: str, _: random.Random) -> dict[str, Any]:
    return _leaf("text", "equals", f"{name.lower()} monthly subscription")


def _regex(name: str, chance: random.Random) -> dict[str, Any]:
    word = name.split()[0].lower()
    pattern = chance.choice([rf"{word}\s+[a-z]+\s+\d{{4}}", rf"(pos|card) .*{word}", rf"{word}.*(berlin|paris|london)"])
    return _leaf("text", "regex", pattern)


def _compound(name: str, chance: random.Random) -> dict[str, Any]:
    named = _leaf("text", "contains", name)
    return chance.choice(
        [
            {"all": [named, _leaf("amount", "lt", str(chance.randrange(-150, 0)))]},
            {"all": [named, _leaf("currency", "equals", "USD"), {"not": _leaf("text", "contains", "paypal")}]},
            {
                "any": [
                    {"all": [named, _leaf("month", "in", [1, 2, 3])]},
                    _leaf("text", "starts_with", f"paypal *{name}"),
                ]
            },
        ]
    )


_CONDITIONS: dict[str, _Condition] = {
    "contains": lambda name, chance: _leaf("text", "contains", name if chance.random() < 0.7 else name.split()[0]),
    "equals": _equals,
    "starts_with": lambda name, chance: _leaf("text", "starts_with", chance.choice([name, f"PAYPAL *{name}"])),
    "regex": _regex,
    "compound": _compound,
}
