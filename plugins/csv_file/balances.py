"""A column of running balances: what a statement began and ended with, told by its rows."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal

from plugins.csv_file.layout import Layout
from sortation import Draft, Statement

_ENOUGH = 0.9
"""The share of neighbouring rows that must agree before the column is believed to be the balance of these rows: in some
files it counts fees, or several accounts at once."""
_MAX_ACCOUNTS = 100


@dataclass(slots=True)
class _Run:
    """The rows of one account in one currency: what the first and the last of them say."""

    first: tuple[Decimal, Decimal]
    last: tuple[Decimal, Decimal]
    total: Decimal
    pairs: int = 0
    upwards: int = 0
    downwards: int = 0


class Balances:
    """Follows the balance from row to row, oldest or newest first."""

    def __init__(self, layout: Layout) -> None:
        self._at = layout.roles.balance or 0
        self._parse = layout.parse_money
        self._runs: dict[tuple[str, str], _Run | None] = {}

    def add(self, draft: Draft, row: Sequence[str]) -> None:
        """A row without a balance of its own, unless it is pending, leaves its account's balances unknown."""
        if draft.amount is None or draft.currency is None or draft.pending:
            return
        key = (draft.account, draft.currency)
        run = self._runs.get(key)
        if run is None and (key in self._runs or len(self._runs) >= _MAX_ACCOUNTS):
            return
        try:
            balance, _ = self._parse(row[self._at])
        except ValueError:
            self._runs[key] = None
            return
        now = (draft.amount, balance)
        if run is None:
            self._runs[key] = _Run(first=now, last=now, total=draft.amount)
            return
        amount_before, balance_before = run.last
        run.pairs += 1
        run.upwards += balance == balance_before + draft.amount
        run.downwards += balance_before == balance + amount_before
        run.total += draft.amount
        run.last = now

    def statements(self) -> Iterator[Statement]:
        for (account, currency), run in self._runs.items():
            if run is None or not run.pairs or max(run.upwards, run.downwards) < _ENOUGH * run.pairs:
                continue
            first, last = (run.first, run.last) if run.upwards >= run.downwards else (run.last, run.first)
            yield Statement(
                account=account, currency=currency, opening=first[1] - first[0], closing=last[1], total=run.total
            )
