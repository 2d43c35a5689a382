"""The repository of what proves the promise; see `ports.storage`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import date, datetime
from typing import Protocol

from core.domain.decisions import Stage
from core.domain.drift import Watch
from core.domain.llm_gate import LlmLabel
from core.domain.promise import Cell, Check


class Promises(Protocol):
    def cells(self, since: date, *, recent: datetime) -> Sequence[Cell]:
        """What became of records from that day on, by month of the decision (in the tenant's time zone) and stage, by
        month, then by stage, what went to a person last. Checks stand in the month in which they were asked for;
        `recent` counts those that were answered after that instant."""
        ...

    def checks(self, stage: Stage, *, since: datetime | None, limit: int) -> Sequence[Check]:
        """The latest `limit` answered checks (and not withdrawn) of what the stage decided after `since`, in the order
        in which they were answered."""
        ...

    def llm_labels(self, model: str, latest: int) -> Sequence[LlmLabel]:
        """What came of suggestions that this model made, among people's `latest` answers in the review queue (that were
        not withdrawn), in the order in which they were given. Categories count as what they were merged into."""
        ...

    def strictness(self) -> Mapping[Stage, int]:
        """By how many steps each stage that decides alone is tightened: see `core.domain.drift.wanted`."""
        ...

    def hold(self, stages: Iterable[Stage], promise: float) -> Mapping[Stage, Watch]:
        """The running tests of these stages, locked until the transaction ends; one that is not there yet begins."""
        ...

    def put(self, watches: Iterable[Watch]) -> None:
        """Keeps tests that are held."""
        ...
