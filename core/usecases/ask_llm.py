"""records:llm: the LLM is asked about a few records that the cheaper stages left open."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import date
from decimal import Decimal
from functools import partial
from uuid import UUID

from core.domain.approvals import group_key
from core.domain.billing import Terms
from core.domain.decisions import Candidate, Decision, Outcome, Stage, StageResult, decide, earlier_results, mix_in
from core.domain.drift import wanted
from core.domain.gate import RECENT, SHUT, Gate
from core.domain.jobs import Job
from core.domain.llm import LlmAnswer, LlmQuestion
from core.domain.llm_gate import level, llm_gates
from core.domain.llm_orders import order_in
from core.domain.llm_questions import grouped
from core.domain.llm_spending import LlmSpend, month_of
from core.domain.plans import Meter
from core.domain.records import Record, clean_text
from core.domain.tenants import Actor, Tenant, worker_actor
from core.errors import LlmCapReached, LlmRefused
from core.usecases.shared.acting import NOT_ALONE, acting_tenant, held_back
from core.usecases.shared.admitting import entitled, note_usage
from core.usecases.shared.limits import llm_off, within_plan
from core.usecases.shared.llm_calls import KEPT, Note, call
from core.usecases.shared.llm_questions import questions_about
from core.usecases.shared.present import present_decisions
from ports.clock import Clock, Ids
from ports.embedder import Embedder
from ports.llm import Llm
from ports.storage import Transaction, UnitOfWork

MAX_RATIONALE = 500


def ask_llm(
    job: Job, *, terms: Terms, uow: UnitOfWork, llm: Llm | None, embedder: Embedder | None, clock: Clock, ids: Ids
) -> None:
    """Decides the records that the job names, or sends them to review.

    Raises what went wrong, for a retry, while attempts are left; what was answered until then is kept. After the last
    one, when the LLM refuses, at the tenant's cap and where its plan ends, the records go to review with the reason in
    their trace: an LLM that is away holds nothing up for long.
    """
    actor = worker_actor(job.tenant_id, job.source_agent, job.request_id)
    with uow.begin(actor) as tx:
        entitlement = entitled(tx, terms, clock)
        tenant = within_plan(acting_tenant(tx), entitlement)
        records = tx.records.open_among([UUID(id) for id in job.payload["records"]])
        gates = _gates(tx, tenant, llm.model) if llm is not None and records else {}
    off = "no LLM is configured" if llm is None else llm_off(entitlement)
    results, cached = _same(records, Outcome.OFF, off or ""), 0
    if llm is not None and off is None and records:
        results = {r.id: _ordering(quote) for r in records if (quote := order_in([r.text, r.counterparty])) is not None}
        safe = [r for r in records if r.id not in results]
        try:
            note = partial(_note_spending, terms=terms, job=job, clock=clock, ids=ids)
            said, cached = _ask(
                safe, actor, tenant, gates, job, note=note, uow=uow, llm=llm, embedder=embedder, clock=clock, ids=ids
            )
            results |= said
        except Exception as error:
            if not job.last_attempt:
                raise
            results |= _same(safe, Outcome.FAILED, f"the LLM was not to be had: {error}")
    with uow.begin(actor) as tx:
        tx.jobs.hold(job)
        decisions = mix_in([_decision(r, results[r.id], tenant) for r in records])
        tx.records.decide(present_decisions(tx, decisions, records))
        if cached:
            tx.llm_usages.settle(None, month_of(clock.now()), LlmSpend(cached=cached))
        tx.jobs.finish(job)
        tx.commit()


def _note_spending(
    tx: Transaction, month: date, before: Decimal, after: Decimal, *, terms: Terms, job: Job, clock: Clock, ids: Ids
) -> None:
    limit = entitled(tx, terms, clock).limit(Meter.LLM_SPEND)
    note_usage(tx, Meter.LLM_SPEND, month, before, after, limit, terms, job.max_attempts, ids=ids)


def _gates(tx: Transaction, tenant: Tenant, model: str) -> Mapping[bool, Gate]:
    """From where on the model's answers decide alone: those with a measured confidence (True), and a stated one."""
    fixed = tenant.settings.llm_threshold
    if fixed is not None:
        return dict.fromkeys((True, False), Gate(threshold=fixed))
    strict = wanted(tenant.settings.promise, tx.promises.strictness()[Stage.LLM])
    if strict is None or Stage.LLM not in tenant.settings.alone:
        return dict.fromkeys((True, False), SHUT)
    return llm_gates(tx.promises.llm_labels(model, RECENT), strict)


def _ask(
    records: Sequence[Record],
    actor: Actor,
    tenant: Tenant,
    gates: Mapping[bool, Gate],
    job: Job,
    *,
    note: Note,
    uow: UnitOfWork,
    llm: Llm,
    embedder: Embedder | None,
    clock: Clock,
    ids: Ids,
) -> tuple[dict[UUID, StageResult], int]:
    """What the LLM says of each record, and how many records a kept answer, or an equal record's, was good for."""
    with uow.begin(actor) as tx:
        categories = tx.categories.list()
    questions = questions_about(records, categories, actor, tenant, uow=uow, embedder=embedder)
    key_of = dict(zip(questions, llm.keys(list(questions.values())), strict=True))
    with uow.begin(actor) as tx:
        kept = tx.llm_answers.get(list(set(key_of.values())), since=clock.now() - KEPT)
    results = {
        id: _result(kept[key], tenant, gates, llm.model, cached=True) for id, key in key_of.items() if key in kept
    }
    cached = len(results)
    alike: dict[bytes, list[UUID]] = {}
    for id, key in key_of.items():
        if key not in kept:
            alike.setdefault(key, []).append(id)
    key_of_question = {questions[same[0]].record.id: key for key, same in alike.items()}
    for group in grouped([questions[same[0]] for same in alike.values()]):
        asked: Mapping[bytes, LlmQuestion] = {key_of_question[question.record.id]: question for question in group}
        waiting = [id for key in asked for id in alike[key]]
        try:
            answers = call(asked, actor, tenant, llm=llm, note=note, uow=uow, clock=clock, ids=ids)
        except LlmCapReached as error:
            results |= _all(waiting, Outcome.OFF, str(error))
        except LlmRefused as error:
            results |= _all(waiting, Outcome.FAILED, f"the LLM refused: {error}")
        except Exception as error:
            if not job.last_attempt:
                raise
            results |= _all(waiting, Outcome.FAILED, f"the LLM was not to be had: {error}")
        else:
            for key, answer in answers.items():
                first, *others = alike[key]
                results[first] = _result(answer, tenant, gates, llm.model, cached=False)
                results |= {id: _result(answer, tenant, gates, llm.model, cached=True) for id in others}
                cached += len(others)
    return results, cached


def _decision(record: Record, result: StageResult, tenant: Tenant) -> Decision:
    trace = [*earlier_results(record.reasoning_trace), held_back(result, tenant)]
    decision = decide(record.id, trace, spot_check_share=tenant.settings.spot_check_share)
    return replace(decision, group_key=group_key(record)) if decision.approval else decision


def _ordering(quote: str) -> StageResult:
    return StageResult(
        stage=Stage.LLM,
        outcome=Outcome.UNSURE,
        reason=f"not asked: the record reads like an order to the LLM (“{quote}”)",
    )


def _result(answer: LlmAnswer, tenant: Tenant, gates: Mapping[bool, Gate], model: str, *, cached: bool) -> StageResult:
    gate = gates[answer.measured]
    rationale = clean_text(answer.rationale.replace("\x00", ""))[:MAX_RATIONALE]
    if answer.category_key is None:
        return StageResult(stage=Stage.LLM, outcome=Outcome.UNSURE, reason=f"abstained: {rationale}", model=model)
    candidate = Candidate(
        category_id=UUID(answer.category_key), confidence=answer.confidence, source=f"llm:{model}", rationale=rationale
    )
    # A fixed threshold is a person's number; one that was found is a level.
    at = answer.confidence if tenant.settings.llm_threshold is not None else level(answer.confidence)
    sure = gate.threshold is not None and at >= gate.threshold
    return StageResult(
        stage=Stage.LLM,
        outcome=Outcome.DECIDED if sure else Outcome.UNSURE,
        reason=f"the answer has {answer.confidence:.2f}, {_needed(gate, tenant)}",
        candidates=(candidate,),
        threshold=gate.threshold,
        model=model,
        evidence=({"measured": answer.measured, "cached": cached},),
    )


def _needed(gate: Gate, tenant: Tenant) -> str:
    if gate.threshold is None:
        if Stage.LLM not in tenant.settings.alone:
            return NOT_ALONE
        return f"too little is known yet of how often that is right ({gate.labels:,} answers by people)"
    if tenant.settings.llm_threshold is not None:
        return f"{gate.threshold:.2f} is needed"
    return f"{gate.threshold:.3g} is needed, as {gate.labels:,} answers by people tell"


def _same(records: Sequence[Record], outcome: Outcome, reason: str) -> dict[UUID, StageResult]:
    return _all([r.id for r in records], outcome, reason)


def _all(ids: Sequence[UUID], outcome: Outcome, reason: str) -> dict[UUID, StageResult]:
    return {id: StageResult(stage=Stage.LLM, outcome=outcome, reason=reason) for id in ids}
