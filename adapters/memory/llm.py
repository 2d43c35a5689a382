"""What the LLM answered, and what it took."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import fields, replace
from datetime import date, datetime
from decimal import Decimal
from uuid import UUID

from adapters.memory.state import Workspace
from core.domain.llm import LlmAnswer
from core.domain.llm_spending import LlmMonth, LlmSpend


class MemoryLlmAnswers:
    def __init__(self, workspace: Workspace) -> None:
        self._at = workspace
        self._answers = workspace.state.llm_answers

    def get(self, keys: Sequence[bytes], *, since: datetime) -> Mapping[bytes, LlmAnswer]:
        kept = {key: self._answers[key] for key in keys if key in self._answers}
        return {key: answer for key, (answer, at) in kept.items() if at >= since}

    def put(self, answers: Mapping[bytes, LlmAnswer]) -> None:
        for key, answer in answers.items():
            self._answers[key] = (replace(answer, record_id=""), self._at.now)

    def forget(self, before: datetime) -> None:
        for key in [key for key, (_, at) in self._answers.items() if at < before]:
            del self._answers[key]


class MemoryLlmUsages:
    def __init__(self, workspace: Workspace) -> None:
        self._usages = workspace.state.llm_usages
        self._reservations = workspace.state.llm_reservations

    def reserve(self, id: UUID, month: date, cost: Decimal, cap: Decimal | None) -> bool:
        spent = self._usages.get(month, LlmSpend())
        if cap is not None and spent.cost + self._reserved(month) + cost > cap:
            return False
        # Written anew, so that a commit fails when another transaction reserved or settled meanwhile.
        self._usages[month] = replace(spent)
        self._reservations[id] = (month, cost)
        return True

    def settle(self, id: UUID | None, month: date, spend: LlmSpend) -> None:
        if id is not None:
            self._reservations.pop(id, None)
        former = self._usages.get(month, LlmSpend())
        self._usages[month] = LlmSpend(
            **{f.name: getattr(former, f.name) + getattr(spend, f.name) for f in fields(LlmSpend)}
        )

    def since(self, month: date) -> Sequence[LlmMonth]:
        return [
            LlmMonth(month=present, spend=self._usages[present], reserved=self._reserved(present))
            for present in sorted(self._usages, reverse=True)
            if present >= month
        ]

    def _reserved(self, month: date) -> Decimal:
        return sum((cost for of, cost in self._reservations.values() if of == month), Decimal(0))
