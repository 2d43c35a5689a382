"""The repositories of what the LLM answered and took; see `ports.storage`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date, datetime
from decimal import Decimal
from typing import Protocol
from uuid import UUID

from core.domain.llm import LlmAnswer
from core.domain.llm_spending import LlmMonth, LlmSpend


class LlmAnswers(Protocol):
    """The cache: answers by the key of their question (`Llm.keys`), without the id of the record that was asked."""

    def get(self, keys: Sequence[bytes], *, since: datetime) -> Mapping[bytes, LlmAnswer]:
        """Those that were kept since; their `record_id` is empty."""
        ...

    def put(self, answers: Mapping[bytes, LlmAnswer]) -> None:
        """Keeps answers with the time of the transaction; the newest of a key stays."""
        ...

    def forget(self, before: datetime) -> None:
        """Drops what was kept before."""
        ...


class LlmUsages(Protocol):
    """What was spent, by calendar month; a month is named by its first day, money is in US dollars."""

    def reserve(self, id: UUID, month: date, cost: Decimal, cap: Decimal | None) -> bool:
        """Sets `cost` aside for a call, unless the month's spending and everything that is set aside would then exceed
        the cap: False, and nothing is set aside. Of transactions that do so at once each sees what the others took."""
        ...

    def settle(self, id: UUID | None, month: date, spend: LlmSpend) -> None:
        """Gives back what was set aside under that id, if anything, and adds what was spent."""
        ...

    def since(self, month: date) -> Sequence[LlmMonth]:
        """The months from that one on in which something was spent or set aside, the newest first."""
        ...
