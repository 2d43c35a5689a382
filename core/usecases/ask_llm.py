"""records:llm: the LLM is asked about a few records that the cheaper stages left open."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from uuid import UUID

from core.domain.approvals import group_key
from core.domain.categories import Category, paths
from core.domain.decisions import Candidate, Decision, Outcome, Stage, StageResult, decide, earlier_results, mix_in
from core.domain.jobs import Job
from core.domain.llm import LlmAnswer, LlmCategory, LlmRecord, LlmRequest
from core.domain.records import Record, clean_text, occurred_on
from core.domain.tenants import Tenant, worker_actor
from core.errors import LlmRefused
from core.usecases.shared.present import present_decisions
from ports.llm import Llm
from ports.storage import UnitOfWork

MAX_RATIONALE = 500


def ask_llm(job: Job, *, uow: UnitOfWork, llm: Llm | None) -> None:
    """Decides the records that the job names, or sends them to review.

    Raises what went wrong, for a retry, while attempts are left. After the last one, and when the LLM refuses, the
    records go to review with the reason in their trace: an LLM that is away holds nothing up for long.
    """
    actor = worker_actor(job.tenant_id, job.source_agent, job.request_id)
    with uow.begin(actor) as tx:
        tenant, categories = tx.tenants.get(), tx.categories.list()
        records = tx.records.open_among([UUID(id) for id in job.payload["records"]])
    results: Mapping[UUID, StageResult] = {}
    if llm is None:
        results = _same(records, Outcome.OFF, "no LLM is configured")
    elif records:
        try:
            answers = llm.classify(_request(records, categories, tenant)).answers
            results = {UUID(a.record_id): _result(a, tenant, llm.model) for a in answers}
        except LlmRefused as error:
            results = _same(records, Outcome.FAILED, f"the LLM refused: {error}")
        except Exception as error:
            if not job.last_attempt:
                raise
            results = _same(records, Outcome.FAILED, f"the LLM was not to be had: {error}")
    with uow.begin(actor) as tx:
        tx.jobs.hold(job)
        decisions = mix_in([_decision(r, results[r.id], tenant) for r in records])
        tx.records.decide(present_decisions(tx, decisions, records))
        tx.jobs.finish(job)
        tx.commit()


def _decision(record: Record, result: StageResult, tenant: Tenant) -> Decision:
    trace = [*earlier_results(record.reasoning_trace), result]
    decision = decide(record.id, trace, spot_check_share=tenant.settings.spot_check_share)
    return replace(decision, group_key=group_key(record)) if decision.approval else decision


def _request(records: Sequence[Record], categories: Sequence[Category], tenant: Tenant) -> LlmRequest:
    by_path = paths(categories)
    return LlmRequest(
        records=tuple(
            LlmRecord(
                id=str(r.id),
                text=r.text,
                counterparty=r.counterparty or None,
                amount=r.amount,
                currency=r.currency,
                occurred_on=occurred_on(r.occurred_at, tenant.zone),
            )
            for r in records
        ),
        categories=tuple(LlmCategory(key=str(c.id), path=by_path[c.id], description=c.description) for c in categories),
    )


def _result(answer: LlmAnswer, tenant: Tenant, model: str) -> StageResult:
    threshold = tenant.settings.llm_threshold
    rationale = clean_text(answer.rationale.replace("\x00", ""))[:MAX_RATIONALE]
    if answer.category_key is None:
        return StageResult(stage=Stage.LLM, outcome=Outcome.UNSURE, reason=f"abstained: {rationale}", model=model)
    candidate = Candidate(
        category_id=UUID(answer.category_key), confidence=answer.confidence, source=f"llm:{model}", rationale=rationale
    )
    sure = answer.confidence >= threshold
    return StageResult(
        stage=Stage.LLM,
        outcome=Outcome.DECIDED if sure else Outcome.UNSURE,
        reason=f"the answer has {answer.confidence:.2f}, {threshold:.2f} is needed",
        candidates=(candidate,),
        threshold=threshold,
        model=model,
    )


def _same(records: Sequence[Record], outcome: Outcome, reason: str) -> dict[UUID, StageResult]:
    return {r.id: StageResult(stage=Stage.LLM, outcome=outcome, reason=reason) for r in records}
