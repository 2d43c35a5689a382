"""The rule type `amount_outlier`: an amount that is unusual for its category, such as a tenfold electricity bill.

What it means, exactly. The record's amount is compared with those of the same sign and currency that people put into
the category: `params.category`, or else the one that people gave most often to the other records of its counterparty
(of equally frequent ones, the one given last). It is an outlier when its modified z-score, taken on the logarithms of
the absolute amounts, is beyond `factor`: z = (ln|amount| - median) / spread, where spread is 1.4826 times the median
absolute deviation (MAD), or 1.2533 times the mean one where more than half of the amounts are equal and the MAD is 0.
Logarithms, since amounts of a category are skewed: half of the usual is as odd as twice.

No verdict: the record has no amount or one of 0, no category is known, or fewer than `min_count` such amounts are.
A record that a person has sorted already is itself one of the amounts.

Source of the score, its constants and 3.5 as the bound: B. Iglewicz, D. Hoaglin, "How to Detect and Handle Outliers",
ASQC Quality Press, 1993; the scaled mean deviation for a MAD of 0 is the usual substitute for it.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from statistics import fmean, median
from typing import Any, NamedTuple

from sortation import MAX_AMOUNTS, CompiledRule, History, Past, RuleTypeManifest, Sortable, hookimpl

FACTOR = 3.5
MIN_COUNT = 20
LEAST_SPREAD = math.log(1.05)
"""Where nearly all amounts are equal, a few percent more are no news: at a factor of 3.5 it takes 19 %. Our choice."""
_OF_MEDIAN_DEVIATION = 1.4826
_OF_MEAN_DEVIATION = 1.2533
"""What makes either deviation estimate the standard deviation where values are normally distributed."""

PARAMS_SCHEMA: Mapping[str, Any] = {
    "type": "object",
    "additionalProperties": False,
    "properties": {
        "category": {
            "type": "string",
            "minLength": 1,
            "maxLength": 120,
            "description": "The key of the category whose amounts are the usual ones; absent: the category that people "
            "gave most often to this counterparty.",
        },
        "factor": {
            "type": "number",
            "minimum": 1,
            "maximum": 20,
            "default": FACTOR,
            "description": "How many times the usual spread an amount must be away from the middle.",
        },
        "min_count": {
            "type": "integer",
            "minimum": 5,
            "maximum": MAX_AMOUNTS,
            "default": MIN_COUNT,
            "description": "How many amounts must be known to say what is usual.",
        },
        "direction": {
            "enum": ["above", "below", "either"],
            "default": "either",
            "description": "Whether unusually large amounts match (whatever their sign), small ones, or both.",
        },
    },
}


@hookimpl
def sortation_rule_types() -> list[RuleTypeManifest]:
    return [
        RuleTypeManifest(
            key="amount_outlier",
            version="1.0.0",
            title="Unusual amount for its category",
            factory="plugins.amount_outlier:AmountOutlier",
            params_schema=PARAMS_SCHEMA,
        )
    ]


class AmountOutlier:
    def compile(self, params: Mapping[str, Any]) -> CompiledRule:
        return _Outlier(
            category=params.get("category"),
            factor=float(params.get("factor", FACTOR)),
            min_count=int(params.get("min_count", MIN_COUNT)),
            direction=params.get("direction", "either"),
        )


class _Usual(NamedTuple):
    """What is usual, in logarithms of absolute amounts."""

    middle: float
    spread: float


class _Group(NamedTuple):
    """Amounts that are compared with each other."""

    category: str
    currency: str
    positive: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class _Outlier:
    category: str | None
    factor: float
    min_count: int
    direction: str

    def evaluate(self, records: Sequence[Sortable], history: History) -> Sequence[bool | None]:
        able = [(record, record.amount, record.currency) for record in records if record.amount and record.currency]
        categories: list[str | None] = [self.category] * len(able)
        if able and self.category is None:
            categories = [_category(past) for past in history.of_party([record for record, _, _ in able])]
        groups = [
            _Group(category, currency, amount > 0) if category else None
            for (_, amount, currency), category in zip(able, categories, strict=True)
        ]
        known = dict.fromkeys(group for group in groups if group)
        amounts = {key: history.amounts(*key) for key in dict.fromkeys(group[:2] for group in known)}
        usual = {group: self._usual(group, amounts[group[:2]]) for group in known}
        verdicts = iter(
            [
                self._is_outlier(amount, usual[group]) if group else None
                for (_, amount, _), group in zip(able, groups, strict=True)
            ]
        )
        return [next(verdicts) if record.amount and record.currency else None for record in records]

    def _usual(self, group: _Group, amounts: Sequence[Decimal]) -> _Usual | None:
        logs = [math.log(abs(amount)) for amount in amounts if amount and (amount > 0) is group.positive]
        if len(logs) < self.min_count:
            return None
        middle = median(logs)
        deviations = [abs(log - middle) for log in logs]
        spread = _OF_MEDIAN_DEVIATION * median(deviations) or _OF_MEAN_DEVIATION * fmean(deviations)
        return _Usual(middle, max(spread, LEAST_SPREAD))

    def _is_outlier(self, amount: Decimal, usual: _Usual | None) -> bool | None:
        if usual is None:
            return None
        score = (math.log(abs(amount)) - usual.middle) / usual.spread
        if self.direction == "either":
            return abs(score) > self.factor
        return (score if self.direction == "above" else -score) > self.factor


def _category(past: Sequence[Past]) -> str | None:
    """The most frequent category; `Counter` keeps the order, so the latest of equally frequent ones."""
    given = Counter(other.category for other in past if other.category is not None)
    return given.most_common(1)[0][0] if given else None
