"""Records, rules and a matcher for the tests of rules."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

from core.domain.conditions import parse_condition
from core.domain.records import Record, RecordStatus, Sortable
from core.domain.rule_evaluation import CompiledRuleLike, RuleTypeLike
from core.domain.rule_history import History
from core.domain.rules import Action, Rule, RuleStage
from core.errors import PluginUnavailable

TENANT = UUID(int=1)
START = datetime(2026, 1, 1, tzinfo=UTC)


def a_record(text: str = "TESCO STORES", amount: Decimal | str | None = "-10.00", **changes: Any) -> Record:
    fields: dict[str, Any] = {
        "id": UUID(int=7),
        "tenant_id": TENANT,
        "connection_id": UUID(int=2),
        "import_id": None,
        "kind": "transaction",
        "account": "Checking",
        "external_id": "1",
        "occurred_at": date(2026, 1, 31),
        "text": text,
        "counterparty": "",
        "amount": None if amount is None else Decimal(amount),
        "currency": None if amount is None else "EUR",
        "attributes": {},
        "raw": {},
        "pending": False,
        "status": RecordStatus.INGESTED,
        "category_id": None,
        "stage": None,
        "confidence": None,
        "threshold": None,
        "model_version": None,
        "selection_probability": None,
        "reasoning_trace": None,
        "failure": None,
        "tags": (),
        "created_at": START,
        "updated_at": START,
        "version": 1,
    }
    return Record(**fields | changes)


def a_rule(when: Mapping[str, Any], number: int = 1, **changes: Any) -> Rule:
    """A main rule of priority 100 that sets the category `UUID(int=number)`; `number` is its id, too."""
    fields: dict[str, Any] = {
        "id": UUID(int=number),
        "tenant_id": TENANT,
        "name": f"rule {number}",
        "stage": RuleStage.MAIN,
        "priority": 100,
        "when": parse_condition(when),
        "then": Action(category_id=UUID(int=number)),
        "stop": False,
        "enabled": True,
        "pack": None,
        "trusted": True,
        "hits": 0,
        "last_hit_at": None,
        "created_at": START,
        "version": 1,
    }
    return Rule(**fields | changes)


def leaf(field: str, op: str, value: Any, **more: Any) -> dict[str, Any]:
    return {"field": field, "op": op, "value": value, **more}


class Answering:
    """A rule type whose answer to each record is its parameter `answer`; `"raise"` raises. It counts its calls."""

    def __init__(self) -> None:
        self.calls = 0

    def compile(self, params: Mapping[str, Any]) -> CompiledRuleLike:
        return _Answer(self, params.get("answer"))


class _Answer:
    def __init__(self, owner: Answering, answer: Any) -> None:
        self._owner = owner
        self._answer = answer

    def evaluate(self, records: Sequence[Sortable], history: History) -> Sequence[bool | None]:
        self._owner.calls += 1
        if self._answer == "raise":
            raise RuntimeError("no luck")
        return [self._answer for _ in records]


def rule_types(**types: RuleTypeLike) -> Any:
    """A lookup that knows `types`, and `answer` for every purpose."""
    known: dict[str, RuleTypeLike] = {"answer": Answering(), **types}

    def rule_type(key: str) -> RuleTypeLike:
        if key not in known:
            raise PluginUnavailable(f"no plugin offers the rule type {key!r}")
        return known[key]

    return rule_type
