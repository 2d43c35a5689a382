"""The similarity stage, and the decision that the stages add up to."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any
from uuid import UUID

from core.domain.approvals import group_key
from core.domain.decisions import Decision, Outcome, Stage, StageResult, Write, decide, write_result
from core.domain.records import Sortable, similarity_text, text_digest
from core.domain.rule_evaluation import RuleOutcome
from core.domain.similarity import NEIGHBOURS, vote
from core.domain.tenants import Actor, Tenant
from core.usecases.shared.vectors import cached_vectors
from ports.embedder import Embedder
from ports.storage import UnitOfWork


def ask_neighbours(
    records: Sequence[Sortable], actor: Actor, tenant: Tenant, uow: UnitOfWork, embedder: Embedder | None
) -> dict[UUID, StageResult]:
    """What similarity says of each record; nothing is embedded while there is nothing to compare with."""
    if not records:
        return {}
    if embedder is None:
        off = StageResult(stage=Stage.SIMILARITY, outcome=Outcome.OFF, reason="embeddings are switched off")
        return {r.id: off for r in records}
    threshold = tenant.settings.similarity_threshold
    with uow.begin(actor) as tx:
        model = tx.examples.serving()
    if model is None:
        return {r.id: vote([], threshold=threshold, model=embedder.model) for r in records}
    serving = embedder.of(model)
    if serving is None:
        reason = f"the examples are being embedded anew, by {embedder.model}"
        return {r.id: StageResult(stage=Stage.SIMILARITY, outcome=Outcome.UNSURE, reason=reason) for r in records}
    texts = {r.id: similarity_text(r.text, r.counterparty) for r in records}
    vectors = cached_vectors(list(texts.values()), actor, uow=uow, embedder=serving)
    with uow.begin(actor) as tx:
        digests = list(vectors)
        neighbours = dict(
            zip(digests, tx.examples.nearest(model, [vectors[d] for d in digests], NEIGHBOURS), strict=True)
        )
    votes = {digest: vote(found, threshold=threshold, model=model) for digest, found in neighbours.items()}
    return {id: votes[text_digest(text)] for id, text in texts.items()}


def remembering() -> Write:
    """`write_result` that writes each result once; the results outlive the chunk's decisions."""
    written: dict[int, Mapping[str, Any]] = {}

    def write(result: StageResult) -> Mapping[str, Any]:
        key = id(result)
        if key not in written:
            written[key] = write_result(result)
        return written[key]

    return write


def decision_on(
    record: Sortable,
    results: Sequence[StageResult],
    outcome: RuleOutcome,
    tenant: Tenant,
    no_llm: str | None,
    write: Write,
) -> Decision:
    """The decision that rules (`outcome`) and the other results add up to. `no_llm` says why the LLM is not asked about
    what is still open, None where it is asked next."""
    if no_llm is not None and results[-1].outcome in (Outcome.UNSURE, Outcome.OFF):
        results = [*results, StageResult(stage=Stage.LLM, outcome=Outcome.OFF, reason=no_llm)]
    decision = decide(
        record.id,
        results,
        spot_check_share=tenant.settings.spot_check_share,
        more=Stage.LLM if no_llm is None else None,
        write=write,
    )
    if decision.approval is not None:
        decision = replace(decision, group_key=group_key(record))
    if outcome.winner is not None:
        decision = replace(decision, rule_id=outcome.winner.rule.id)
    if outcome.tags or outcome.fields:
        decision = replace(decision, tags=outcome.tags, attributes=outcome.fields)
    return decision
