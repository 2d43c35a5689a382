"""What there is from the start: a category tree and a pack of rules for bank transactions, and plans."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

from core.domain.categories import CategorySeed
from core.domain.conditions import Condition, parse_condition
from core.domain.plans import Catalog, catalog_from


@dataclass(frozen=True, slots=True, kw_only=True)
class StarterRule:
    """A rule of the starter pack: `category_key` is the key of a `CategorySeed`, lower `priority` is asked first.

    Priorities: 10 what the bank itself writes (fees, cash, interest), 20 income and money back, 30 a merchant's special
    service (before the merchant), 50 merchants, 70 words of a trade, 90 payment services that say little.
    """

    name: str
    when: Condition
    category_key: str
    priority: int


@cache
def default_categories() -> tuple[CategorySeed, ...]:
    """The category tree for bank transactions, parents before their children."""
    return tuple(CategorySeed(**item) for item in _read("bank_categories.json"))


@cache
def starter_rules() -> tuple[StarterRule, ...]:
    """The starter pack, in the order of its file. Conditions hold for the merchants' and banks' usual wordings."""
    return tuple(
        StarterRule(
            name=item["name"],
            when=parse_condition(item["when"]),
            category_key=item["category"],
            priority=item["priority"],
        )
        for item in _read("bank_rules.json")
    )


@cache
def default_plans() -> Catalog:
    """What is offered where nobody says otherwise. No provider has prices for these yet."""
    return catalog_from(_read("plans.json"))


def _read(name: str) -> list[dict[str, Any]]:
    items: list[dict[str, Any]] = json.loads(files(__name__).joinpath(name).read_text(encoding="utf-8"))
    return items
