"""Reports of who does the work: stages and their precision, the LLM's bill, people's answers."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from datetime import date
from decimal import Decimal

from core.domain.dashboard import days_of
from core.domain.decisions import Stage
from core.domain.llm_spending import LlmMonth
from core.domain.promise import ALONE, Cell, Tally, estimate
from core.domain.report_periods import Granularity, Span, part_of, parts_of
from core.domain.report_rows import Answers
from core.domain.report_tables import PERIOD, SHARE_DECIMALS, Column, Table, Value, amount_of, counted, share_of

_STAGES = tuple(stage.value for stage in (*ALONE, Stage.HUMAN))


def stage_table(
    counts: Iterable[tuple[date, str, str, int]], checks: Iterable[Cell], span: Span, granularity: Granularity
) -> Table:
    """By part of time and stage: how many it decided alone, its share of what was decided alone or asked of a person,
    and how right that is by spot checks (each stands where it was asked for), with a 95 % interval."""
    found: defaultdict[date, dict[str, int]] = defaultdict(dict)
    for day in days_of(counts, span.since, span.until):
        of_part = found[part_of(day.day, granularity)]
        for stage in _STAGES:
            of_part[stage] = of_part.get(stage, 0) + int(getattr(day, stage))
    checked: defaultdict[tuple[date, str], Tally] = defaultdict(Tally)
    for cell in checks:
        if cell.stage is not None:
            key = part_of(cell.month, granularity), cell.stage.value
            checked[key] = checked[key].plus(cell.checks)
    rows: list[Sequence[Value]] = []
    for part in parts_of(span, granularity):
        all_of_part = sum(found[part].values())
        for stage in _STAGES:
            records = found[part].get(stage, 0)
            known = estimate(checked.get((part, stage), Tally()))
            rows.append(
                (
                    part,
                    stage,
                    records,
                    round(records / all_of_part, SHARE_DECIMALS) if all_of_part else None,
                    known.checked if known else 0,
                    round(known.precision, SHARE_DECIMALS) if known else None,
                    round(known.low, SHARE_DECIMALS) if known else None,
                    round(known.high, SHARE_DECIMALS) if known else None,
                )
            )
    columns = (
        PERIOD,
        Column(key="stage", title="Stage"),
        counted("records", "Records"),
        share_of("share", "Share"),
        counted("checked", "Spot checks"),
        share_of("precision", "Precision"),
        share_of("low", "At least"),
        share_of("high", "At most"),
    )
    return Table(key="stages", title="Who decides, and how right", columns=columns, rows=rows)


def llm_table(months: Iterable[LlmMonth], span: Span, granularity: Granularity) -> Table:
    """What the LLM took in the calendar months (UTC) that the period touches, in US dollars."""
    names = ("calls", "failed", "records", "cached", "prompt_tokens", "completion_tokens", "unpriced")
    counts: defaultdict[date, list[int]] = defaultdict(lambda: [0] * len(names))
    costs: defaultdict[date, Decimal] = defaultdict(Decimal)
    first = span.since.replace(day=1)
    for month in months:
        if first <= month.month <= span.until:
            part = part_of(month.month, granularity)
            counts[part] = [had + getattr(month.spend, name) for had, name in zip(counts[part], names, strict=True)]
            costs[part] += month.spend.cost
    titles = (
        "Calls",
        "Failed",
        "Records by calls",
        "Records without",
        "Tokens in",
        "Tokens out",
        "Unpriced calls",
    )
    columns = (
        PERIOD,
        *(counted(name, title) for name, title in zip(names, titles, strict=True)),
        amount_of("cost", "US dollars"),
    )
    rows: list[Sequence[Value]] = [(part, *counts[part], costs[part].normalize()) for part in sorted(counts)]
    return Table(key="llm", title="What the LLM took", columns=columns, rows=rows)


def reviewer_table(answers: Iterable[Answers]) -> Table:
    """By part of time and person, those who answered most first."""
    rows: list[Sequence[Value]] = []
    for one in sorted(answers, key=lambda a: (a.part, -(a.approved + a.overridden), a.reviewer)):
        answered = one.approved + one.overridden
        rows.append(
            (
                one.part,
                one.reviewer,
                answered,
                one.approved,
                one.overridden,
                round(one.approved / answered, SHARE_DECIMALS) if answered else None,
                one.checks,
                one.withdrawn,
                round(one.median_seconds),
            )
        )
    columns = (
        PERIOD,
        Column(key="reviewer", title="Who"),
        counted("answers", "Answers"),
        counted("approved", "As suggested"),
        counted("overridden", "Otherwise"),
        share_of("approved_share", "Share as suggested"),
        counted("checks", "Spot checks among them"),
        counted("withdrawn", "Withdrawn since"),
        counted("median_seconds", "Seconds that the middle one had waited"),
    )
    return Table(key="reviewers", title="Answers of people", columns=columns, rows=rows)
