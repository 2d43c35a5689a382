"""records:process: a chunk of records goes through rules and similarity, and is decided in one write."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any
from uuid import UUID

from core.domain.decisions import Decision, Outcome, Stage, StageResult, Write, decide, failed, write_result
from core.domain.jobs import Job, NewJob, Stream
from core.domain.records import Record, chunked, similarity_text, text_digest
from core.domain.rule_evaluation import RuleOutcome
from core.domain.rule_stage import hits, rules_result
from core.domain.rules import Rule
from core.domain.similarity import NEIGHBOURS, vote
from core.domain.tenants import Actor, Tenant, worker_actor
from core.errors import LeaseLost, Transient
from core.usecases.vectors import cached_vectors
from ports.clock import Clock, Ids
from ports.embedder import Embedder
from ports.matching import RuleMatcher
from ports.storage import UnitOfWork

_NO_LLM = StageResult(stage=Stage.LLM, outcome=Outcome.OFF, reason="no LLM is configured")
LLM_BATCH = 20
"""Records in one question to the LLM: few enough for a small model to keep apart."""


def process_records(
    job: Job,
    *,
    uow: UnitOfWork,
    matcher: RuleMatcher,
    embedder: Embedder | None,
    llm_model: str | None,
    clock: Clock,
    ids: Ids,
) -> None:
    """Decides the still open records of the import and id range that the job names.

    What neither stage is sure of is queued for the LLM, or goes to review when `llm_model` is None. Raises `Transient`
    for what a retry may cure, and `LeaseLost` when another worker took over.
    """
    actor = worker_actor(job.tenant_id, job.source_agent, job.request_id)
    with uow.begin(actor) as tx:
        tenant, rules = tx.tenants.get(), tx.rules.list()
        payload = job.payload
        records = tx.records.open_between(UUID(payload["import_id"]), UUID(payload["first"]), UUID(payload["last"]))

    faults: list[tuple[Record, Exception]] = []

    def work(records: Sequence[Record]) -> None:
        """A record that can't be processed is set aside: the chunk is halved around it."""
        try:
            outcomes = _ask_rules(records, rules, tenant, matcher)
            # Many records of a chunk share an outcome: what is said of it, and written of that, is made once.
            said = {id(outcome): outcome for outcome in outcomes.values()}
            verdicts = {key: rules_result(outcome, tenant.rules_version) for key, outcome in said.items()}
            results = {record_id: [verdicts[id(outcome)]] for record_id, outcome in outcomes.items()}
            unsure = [r for r in records if results[r.id][-1].outcome is Outcome.UNSURE]
            for record_id, result in _ask_neighbours(unsure, actor, tenant, uow, embedder).items():
                results[record_id].append(result)
            write = _remembering()
            decisions = [_decision(r, results[r.id], outcomes[r.id], tenant, llm_model, write) for r in records]
            _write(job, actor, decisions, outcomes, uow, clock, ids)
        except (Transient, LeaseLost):
            raise
        except Exception as error:
            if len(records) == 1:
                faults.append((records[0], error))
            else:
                half = len(records) // 2
                work(records[:half])
                work(records[half:])

    if records:
        work(records)
    if faults and len(faults) == len(records) and not (job.last_attempt and len(records) == 1):
        raise faults[0][1]  # not these records are at fault, but what they all need: the job is tried again
    with uow.begin(actor) as tx:
        tx.jobs.hold(job)
        tx.records.decide([failed(record.id, _first_line(error)) for record, error in faults])
        tx.jobs.finish(job)
        tx.commit()


def _first_line(error: Exception) -> str:
    return next(iter(str(error).splitlines()), type(error).__name__)[:300]


def _ask_rules(
    records: Sequence[Record], rules: Sequence[Rule], tenant: Tenant, matcher: RuleMatcher
) -> dict[UUID, RuleOutcome]:
    outcomes = matcher.evaluate(rules, tenant.rules_version, records, tenant.zone)
    return {record.id: outcome for record, outcome in zip(records, outcomes, strict=True)}


def _ask_neighbours(
    records: Sequence[Record], actor: Actor, tenant: Tenant, uow: UnitOfWork, embedder: Embedder | None
) -> dict[UUID, StageResult]:
    """What similarity says of each record; nothing is embedded while there is nothing to compare with."""
    if not records:
        return {}
    if embedder is None:
        off = StageResult(stage=Stage.SIMILARITY, outcome=Outcome.OFF, reason="embeddings are switched off")
        return {r.id: off for r in records}
    threshold, model = tenant.settings.similarity_threshold, embedder.model
    with uow.begin(actor) as tx:
        anything = tx.examples.any()
    if not anything:
        return {r.id: vote([], threshold=threshold, model=model) for r in records}
    texts = {r.id: similarity_text(r.text, r.counterparty) for r in records}
    vectors = cached_vectors(list(texts.values()), actor, uow=uow, embedder=embedder)
    with uow.begin(actor) as tx:
        digests = list(vectors)
        neighbours = dict(
            zip(digests, tx.examples.nearest(model, [vectors[d] for d in digests], NEIGHBOURS), strict=True)
        )
    votes = {digest: vote(found, threshold=threshold, model=model) for digest, found in neighbours.items()}
    return {id: votes[text_digest(text)] for id, text in texts.items()}


def _remembering() -> Write:
    """`write_result` that writes each result once; the results outlive the chunk's decisions."""
    written: dict[int, Mapping[str, Any]] = {}

    def write(result: StageResult) -> Mapping[str, Any]:
        key = id(result)
        if key not in written:
            written[key] = write_result(result)
        return written[key]

    return write


def _decision(
    record: Record,
    results: list[StageResult],
    outcome: RuleOutcome,
    tenant: Tenant,
    llm_model: str | None,
    write: Write,
) -> Decision:
    if llm_model is None and results[-1].outcome in (Outcome.UNSURE, Outcome.OFF):
        results.append(_NO_LLM)
    decision = decide(
        record.id,
        results,
        spot_check_share=tenant.settings.spot_check_share,
        more=Stage.LLM if llm_model is not None else None,
        write=write,
    )
    if decision.approval is not None:
        decision = replace(decision, group_key=text_digest(record.text).hex()[:32])
    if outcome.tags or outcome.fields:
        decision = replace(decision, tags=outcome.tags, attributes=outcome.fields)
    return decision


def _write(
    job: Job,
    actor: Actor,
    decisions: Sequence[Decision],
    outcomes: Mapping[UUID, RuleOutcome],
    uow: UnitOfWork,
    clock: Clock,
    ids: Ids,
) -> None:
    with uow.begin(actor) as tx:
        tx.jobs.hold(job)
        changed = set(tx.records.decide(decisions))
        open_ids = [d.record_id for d in decisions if d.open_stage is Stage.LLM and d.record_id in changed]
        tx.jobs.add(
            [
                NewJob(
                    id=ids.new(),
                    stream=Stream.LLM,
                    payload={"records": [str(id) for id in some]},
                    request_id=job.request_id,
                    source_agent=job.source_agent,
                    max_attempts=job.max_attempts,
                    trace_parent=job.trace_parent,
                )
                for some in chunked(open_ids, LLM_BATCH)
            ]
        )
        decided = [d.record_id for d in decisions if d.stage is Stage.RULES and d.record_id in changed]
        tx.rules.count_hits(hits(outcomes[id] for id in decided), clock.now())
        tx.commit()
