"""The decision that the stages add up to."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from core.domain.approvals import group_key
from core.domain.decisions import Decision, Outcome, Stage, StageResult, Write, decide, write_result
from core.domain.records import Sortable
from core.domain.rule_evaluation import RuleOutcome
from core.domain.tenants import Tenant
from core.usecases.shared.acting import held_back


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
    check_share: float | None = None,
) -> Decision:
    """The decision that rules (`outcome`) and the other results add up to. `no_llm` says why the LLM is not asked about
    what is still open, None where it is asked next. `check_share` is the chance of a spot check where it is not the
    tenant's."""
    results = [held_back(r, tenant) for r in results]
    if no_llm is not None and results[-1].outcome in (Outcome.UNSURE, Outcome.OFF):
        results = [*results, StageResult(stage=Stage.LLM, outcome=Outcome.OFF, reason=no_llm)]
    decision = decide(
        record.id,
        results,
        spot_check_share=tenant.settings.spot_check_share if check_share is None else check_share,
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
