"""What the LLM took and may take: months, and a plan before a big run."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from decimal import ROUND_CEILING, Decimal
from fractions import Fraction
from math import ceil

from core.domain.billing import Terms
from core.domain.llm_orders import order_in
from core.domain.llm_questions import batches, content_of, grouped, merged
from core.domain.llm_spending import LlmMonth
from core.domain.records import RecordStatus, Snapshot, chunked
from core.domain.tenants import Actor
from core.usecases.shared.llm_calls import KEPT
from core.usecases.shared.llm_means import LlmMeans, llm_means, llm_months
from core.usecases.shared.llm_questions import questions_about
from core.usecases.shared.storing import BATCH
from ports.clock import Clock
from ports.embedder import Embedder
from ports.llm import Llm
from ports.storage import RecordFilter, UnitOfWork

OPEN = (RecordStatus.INGESTED.value, RecordStatus.NEEDS_REVIEW.value)
"""What the LLM could still be asked about: what no stage decided alone, and no person yet."""
MOST_RECORDS = 50_000
SAMPLE = 200
"""Distinct contents that are made ready as if they were to be asked: what is new of them must be embedded."""

_CENT_MILLIONTH = Decimal("1E-8")


@dataclass(frozen=True, slots=True, kw_only=True)
class LlmPlan:
    """What asking about `records` would take, at most: rules and similarity may decide some before.

    The newest of them were `seen`, and `distinct` of their contents differ, of which `cached` are answered already,
    `refused` are not to be asked since they read like orders, and `asked` would be. These and what follows is scaled up
    from `sampled` of the distinct contents; it is exact where that is all of them. `cost` is in US dollars, None where
    no prices are configured; `fits` says whether the LLM is asked at all, and its cap allows the whole.
    """

    records: int
    seen: int
    distinct: int
    sampled: int
    cached: int
    refused: int
    asked: int
    calls: int
    prompt_tokens: int
    completion_tokens: int
    cost: Decimal | None
    fits: bool
    means: LlmMeans


def llm_usage(
    actor: Actor, *, months: int, terms: Terms, uow: UnitOfWork, llm: Llm | None, clock: Clock
) -> tuple[LlmMeans, Sequence[LlmMonth]]:
    """What is left this month, and the latest `months` months, this one first."""
    with uow.begin(actor) as tx:
        found = llm_months(tx, months, clock)
        means = llm_means(tx, found[0], llm, terms, clock)
    return means, found


def plan_llm(
    actor: Actor,
    where: RecordFilter,
    *,
    terms: Terms,
    uow: UnitOfWork,
    llm: Llm | None,
    embedder: Embedder | None,
    clock: Clock,
) -> LlmPlan:
    """What asking the LLM about the records that the filter lets through would take. Asks nothing, and costs nothing.

    Without statuses in the filter, those that are open are meant. Looks at the newest `MOST_RECORDS` of them.
    """
    where = where if where.statuses else replace(where, statuses=OPEN)
    with uow.begin(actor) as tx:
        tenant, categories = tx.tenants.get(), tx.categories.list()
        means = llm_means(tx, llm_months(tx, 1, clock)[0], llm, terms, clock)
        total = tx.records.count(where)
        seen = tx.records.snapshots(where, before=None, limit=MOST_RECORDS)
        distinct = list({content_of(s): s.id for s in seen}.values())
        sampled = min(SAMPLE, len(distinct))
        sample = tx.records.get_many([distinct[place * len(distinct) // sampled] for place in range(sampled)])
    safe = [r for r in sample if order_in([r.text, r.counterparty]) is None]
    fresh, estimates = 0, []
    if llm is not None:
        questions = questions_about(safe, categories, actor, tenant, uow=uow, embedder=embedder).values()
        by_key = dict(zip(llm.keys(list(questions)), questions, strict=True))
        with uow.begin(actor) as tx:
            kept = tx.llm_answers.get(list(by_key), since=clock.now() - KEPT)
        left = [question for key, question in by_key.items() if key not in kept]
        fresh, a_call = len(left), _fresh_per_call(seen[::-1])
        groups = [group for some in chunked(left, a_call) for group in grouped(some)]
        estimates = [llm.estimate(merged(group)) for group in groups]
    scale = Fraction(len(distinct), len(sample)) if sample else Fraction(1)
    cost = _scaled([e.cost or Decimal(0) for e in estimates], scale)
    return LlmPlan(
        records=total,
        seen=len(seen),
        distinct=len(distinct),
        sampled=len(sample),
        cached=0 if llm is None else round((len(safe) - fresh) * scale),
        refused=round((len(sample) - len(safe)) * scale),
        asked=round(fresh * scale),
        calls=ceil(len(estimates) * scale),
        prompt_tokens=ceil(sum(e.prompt_tokens for e in estimates) * scale),
        completion_tokens=ceil(sum(e.completion_tokens for e in estimates) * scale),
        cost=cost if llm is not None and llm.priced else None,
        fits=means.off is None and (means.left is None or cost <= means.left),
        means=means,
    )


def _scaled(costs: Sequence[Decimal], scale: Fraction) -> Decimal:
    """Their sum, scaled, and rounded up to 8 decimals."""
    return (sum(costs, Decimal(0)) * scale.numerator / scale.denominator).quantize(_CENT_MILLIONTH, ROUND_CEILING)


def _fresh_per_call(records: Sequence[Snapshot]) -> int:
    """How many contents that were not asked about before a job brings, of those that bring any: chunks that are
    processed one after the other share contents, and every call tells the categories anew."""
    known: set[tuple[str, str, str]] = set()
    fresh = []
    for some in (batch for chunk in chunked(records, BATCH) for batch in batches(chunk)):
        contents = {content_of(record) for record in some}
        fresh.append(len(contents - known))
        known |= contents
    return ceil(len(known) / max(1, sum(count > 0 for count in fresh))) or 1
