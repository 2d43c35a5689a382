"""What reports are made of."""

from __future__ import annotations

import csv
import io
import json
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import date, datetime
from decimal import Decimal
from functools import reduce
from statistics import median_low
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

from adapters.memory.filters import matches
from adapters.memory.state import KeptRecord, Workspace
from core.domain.approvals import ApprovalReason, Verdict
from core.domain.promise import Cell, Check, check_of, tally
from core.domain.record_filters import RecordFilter
from core.domain.recurrences import OCCURRENCES, Payment
from core.domain.report_money import Conversion, add, becomes, convert
from core.domain.report_periods import Granularity, Span, part_of
from core.domain.report_rows import Answers, PartySum, Sum, check_rows
from core.domain.spreadsheets import RECORD_COLUMNS, cell

_SHOWN = tuple(name for name in RECORD_COLUMNS if name != "category")


class MemoryFigures:
    def __init__(self, workspace: Workspace) -> None:
        self._at = workspace
        self._state = workspace.state

    def records(self, where: RecordFilter) -> Iterator[Mapping[str, Any]]:
        for kept in self._kept(where):
            yield {name: getattr(kept.record, name) for name in _SHOWN}

    def records_csv(self, where: RecordFilter, names: Mapping[UUID, str]) -> Iterator[bytes]:
        for row in self.records(where):
            line = io.StringIO()
            shown = {
                **row,
                "category": names.get(row["category_id"]),
                "occurred_at": row["occurred_at"].isoformat(),
                "tags": " ".join(row["tags"]),
                "attributes": json.dumps(row["attributes"]) if row["attributes"] else "",
            }
            csv.writer(line, lineterminator="\r\n").writerow([cell(shown[name]) for name in RECORD_COLUMNS])
            yield line.getvalue().encode()

    def sums(self, where: RecordFilter, granularity: Granularity | None, *, by_category: bool) -> Sequence[Sum]:
        def key(kept: KeptRecord) -> tuple[date | None, UUID | None, str | None]:
            part = None if granularity is None else part_of(kept.day, granularity)
            return part, kept.record.category_id if by_category else None, _currency(kept)

        groups = self._grouped(where, key)
        check_rows(len(groups))
        return [
            Sum(part=part, category_id=category, currency=currency, records=len(some), **_flows(some))
            for (part, category, currency), some in groups.items()
        ]

    def parties(self, where: RecordFilter, conversion: Conversion | None, most: int) -> Sequence[PartySum]:
        found = [
            PartySum(
                party=party,
                currency=currency,
                records=len(some),
                first=min(kept.day for kept in some),
                last=max(kept.day for kept in some),
                **_flows(some),
            )
            for (party, currency), some in self._grouped(where, lambda kept: (_party(kept), _currency(kept))).items()
        ]
        places: defaultdict[str | None, dict[str, list[PartySum]]] = defaultdict(lambda: defaultdict(list))
        for one in found:
            places[becomes(one.currency, conversion)][one.party].append(one)
        first = {
            (told, party)
            for told, parties in places.items()
            for party in sorted(parties, key=lambda name: (*_moved(parties[name], conversion), name))[:most]
        }
        kept = [one for one in found if (becomes(one.currency, conversion), one.party) in first]
        check_rows(len(kept))
        return sorted(kept, key=lambda one: (one.currency is None, one.currency or "", one.party))

    def payments(self, where: RecordFilter, most: int) -> Iterator[tuple[str, str, Sequence[Payment]]]:
        groups = self._grouped(where, lambda kept: (_party(kept), _currency(kept)))
        for (party, currency), some in groups.items():
            if currency is not None and len(some) >= OCCURRENCES:
                paid = [Payment(day=k.day, amount=k.record.amount) for k in some if k.record.amount is not None]
                yield party, currency, paid[-most:]

    def checks(self, span: Span) -> Sequence[Cell]:
        found: defaultdict[tuple[date, Any], list[Check]] = defaultdict(list)
        for approval in self._state.approvals.values():
            check = check_of(approval, self._state.records[approval.record_id].record)
            if check is not None and span.since <= (day := self._day(approval.created_at)) <= span.until:
                found[day, check.stage].append(check)
        return [
            Cell(month=day, stage=stage, decided=0, checks=tally(checks), recent=0)
            for (day, stage), checks in sorted(found.items())
        ]

    def answers(self, span: Span, granularity: Granularity) -> Sequence[Answers]:
        found: defaultdict[tuple[date, str], list[Any]] = defaultdict(list)
        for one in self._state.approvals.values():
            if one.decided_at is not None and span.since <= self._day(one.decided_at) <= span.until:
                found[part_of(self._day(one.decided_at), granularity), one.decided_by or ""].append(one)
        check_rows(len(found))
        return [
            Answers(
                part=part,
                reviewer=reviewer,
                approved=sum(one.verdict is Verdict.APPROVE for one in some),
                overridden=sum(one.verdict is Verdict.OVERRIDE for one in some),
                checks=sum(one.reason is ApprovalReason.SPOT_CHECK for one in some),
                withdrawn=sum(one.withdrawn_at is not None for one in some),
                median_seconds=median_low((one.decided_at - one.created_at).total_seconds() for one in some),
            )
            for (part, reviewer), some in sorted(found.items())
        ]

    def _day(self, instant: datetime) -> date:
        return instant.astimezone(ZoneInfo(self._at.time_zone)).date()

    def _kept(self, where: RecordFilter) -> list[KeptRecord]:
        found = [kept for kept in self._state.records.values() if matches(kept, where)]
        return sorted(found, key=lambda kept: (kept.day, kept.record.id))

    def _grouped(self, where: RecordFilter, key: Callable[[KeptRecord], Any]) -> dict[Any, list[KeptRecord]]:
        found: defaultdict[Any, list[KeptRecord]] = defaultdict(list)
        for kept in self._kept(where):
            found[key(kept)].append(kept)
        return dict(sorted(found.items(), key=lambda item: [(part is None, str(part or "")) for part in item[0]]))


def _currency(kept: KeptRecord) -> str | None:
    return None if kept.record.amount is None else kept.record.currency


def _party(kept: KeptRecord) -> str:
    return kept.record.counterparty or kept.record.text


def _flows(some: Sequence[KeptRecord]) -> dict[str, Any]:
    amounts = [kept.record.amount for kept in some if kept.record.amount is not None]
    return {"incoming": _total(a for a in amounts if a > 0), "outgoing": _total(a for a in amounts if a < 0)}


def _moved(sums: Sequence[PartySum], conversion: Conversion | None) -> tuple[Any, int]:
    """What sorts those first that most moved to and from."""
    each = (convert(add(one.outgoing, one.incoming.copy_negate()), one.currency, conversion) for one in sums)
    return _total(each), -sum(one.records for one in sums)


def _total(amounts: Iterable[Decimal]) -> Decimal:
    return reduce(add, amounts, Decimal(0))
