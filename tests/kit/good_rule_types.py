"""A rule type that does everything right; each mutant of the tests is it with a small change."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

from sortation import CompiledRule, History, RuleInvalid, RuleTypeManifest, Sortable, hookimpl

TIMES = 3
PARAMS_SCHEMA = {
    "type": "object",
    "additionalProperties": False,
    "properties": {
        "times": {
            "type": "integer",
            "minimum": 1,
            "maximum": 200,
            "default": TIMES,
            "description": "How many earlier records of the counterparty there must be.",
        },
        "since": {
            "type": "string",
            "examples": ["2026-01-31"],
            "description": "The day from which on they count.",
        },
    },
}


@hookimpl
def sortation_rule_types() -> list[RuleTypeManifest]:
    return [
        RuleTypeManifest(
            key="frequent",
            version="1.0.0",
            title="Of a frequent counterparty",
            factory=f"{__name__}:Frequent",
            params_schema=PARAMS_SCHEMA,
        )
    ]


class Frequent:
    def compile(self, params: Mapping[str, Any]) -> CompiledRule:
        try:
            since = date.fromisoformat(params["since"]) if "since" in params else date.min
        except ValueError as error:
            raise RuleInvalid(f"params.since: {error}") from error
        return OfFrequent(times=params.get("times", TIMES), since=since)


@dataclass(kw_only=True)
class OfFrequent:
    times: int
    since: date

    def evaluate(self, records: Sequence[Sortable], history: History) -> Sequence[bool | None]:
        days = history.days(records)
        pasts = history.of_party(records)
        verdicts: list[bool | None] = []
        for record, day, past in zip(records, days, pasts, strict=True):
            earlier = [other for other in past if self.since <= other.day < day]
            verdicts.append(None if record.amount is None else len(earlier) >= self.times)
        return verdicts
