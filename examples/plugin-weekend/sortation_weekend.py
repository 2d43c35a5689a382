"""A whole rule type: is the record of a weekend or a holiday?

Installed beside Sortation (`pip install examples/plugin-weekend`), it is found by its entry point. A rule uses it by
its key: `{"type": "weekend", "params": {"holidays": ["2026-12-25"]}}`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

from sortation import CompiledRule, History, RuleInvalid, RuleTypeManifest, Sortable, hookimpl

SATURDAY = 6
PARAMS_SCHEMA = {
    "type": "object",
    "additionalProperties": False,
    "properties": {
        "holidays": {
            "type": "array",
            "items": {"type": "string"},
            "description": "Days that count as a weekend, such as 2026-12-25.",
        },
    },
}


@hookimpl
def sortation_rule_types() -> list[RuleTypeManifest]:
    return [
        RuleTypeManifest(
            key="weekend",
            version="1.0.0",
            title="On a weekend or holiday",
            factory="sortation_weekend:Weekend",
            params_schema=PARAMS_SCHEMA,
        )
    ]


class Weekend:
    def compile(self, params: Mapping[str, Any]) -> CompiledRule:
        """The host has checked `params` against the schema; what a schema can't tell is checked here."""
        try:
            holidays = frozenset(date.fromisoformat(day) for day in params.get("holidays", []))
        except ValueError as error:
            raise RuleInvalid(f"params.holidays: {error}") from error
        return OnWeekend(holidays=holidays)


@dataclass(frozen=True, slots=True, kw_only=True)
class OnWeekend:
    holidays: frozenset[date]

    def evaluate(self, records: Sequence[Sortable], history: History) -> Sequence[bool | None]:
        return [day.isoweekday() >= SATURDAY or day in self.holidays for day in history.days(records)]
