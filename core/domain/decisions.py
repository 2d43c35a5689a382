"""How a record gets its category: stages, candidates, the decision and its trace.

Each stage returns a `Verdict` for each record. The first that is sure decides; what none is sure of goes to a person.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from functools import lru_cache
from typing import Any, NamedTuple
from uuid import UUID

from core.domain.approvals import ApprovalReason, draw, margin, place_of, quantile, urgency
from core.domain.records import RecordStatus


class Stage(StrEnum):
    RULES = "rules"
    SIMILARITY = "similarity"
    LLM = "llm"
    HUMAN = "human"


class Outcome(StrEnum):
    DECIDED = "decided"
    UNSURE = "unsure"
    REVIEW = "review"
    """A rule asked for a person."""
    SKIPPED = "skipped"
    """A rule said that this record is not to be sorted."""
    OFF = "off"
    FAILED = "failed"
    WITHDRAWN = "withdrawn"
    """A person took a person's word back."""


class Candidate(NamedTuple):
    """A proposed category. `source` names what proposes it (a rule, an example, a model); `confidence` is 0 to 1. A
    tuple, since 30,000 of them are made for a chunk of records."""

    category_id: UUID
    confidence: float
    source: str
    rationale: str


@dataclass(frozen=True, slots=True, kw_only=True)
class StageResult:
    """What a stage says of a record: candidates best first; `threshold` is the confidence from which it may decide."""

    stage: Stage
    outcome: Outcome
    reason: str
    candidates: tuple[Candidate, ...] = ()
    threshold: float | None = None
    model: str | None = None
    evidence: tuple[Mapping[str, Any], ...] = ()
    """What else a person may want to see, as JSON: every rule that matched, with what it does, or why it failed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """What is to be written to a record, and the approval item that goes with it, if any.

    `selection_probability` is the chance that a person is asked about this record: 1 for what goes to review, the
    spot-check share for what was decided alone. `open_stage` is the stage that still has to be asked: then nothing is
    decided yet, and only the trace so far is kept.
    """

    record_id: UUID
    status: RecordStatus
    category_id: UUID | None = None
    stage: Stage | None = None
    confidence: float | None = None
    threshold: float | None = None
    model_version: str | None = None
    selection_probability: float | None = None
    trace: Mapping[str, Any]
    failure: str | None = None
    tags: tuple[str, ...] = ()
    """Added to those that the record has."""
    attributes: Mapping[str, str] = field(default_factory=dict)
    approval: ApprovalReason | None = None
    suggested_id: UUID | None = None
    suggested_confidence: float = 0.0
    rule_id: UUID | None = None
    """The rule that won, where one did."""
    urgency: float = 0.0
    """Of the approval item; also where a stage is still to be asked: the urgency so far."""
    group_key: str = ""
    """Equal for records that one answer may settle; given with an approval."""
    open_stage: Stage | None = None


def write_result(result: StageResult) -> dict[str, Any]:
    """A stage's result as the trace holds it: candidates best first, winners and losers."""
    written: dict[str, Any] = {
        "stage": result.stage.value,
        "outcome": result.outcome.value,
        "reason": result.reason,
        "candidates": [
            {
                "category_id": _id_text(c.category_id),
                "confidence": round(c.confidence * 10_000) / 10_000,  # a fifth of the time of `round(…, 4)`
                "source": c.source,
                "rationale": c.rationale,
            }
            for c in result.candidates
        ],
    }
    if result.threshold is not None:
        written["threshold"] = result.threshold
    if result.model is not None:
        written["model"] = result.model
    if result.evidence:
        written["evidence"] = list(result.evidence)
    return written


@lru_cache(10_000)
def _id_text(id: UUID) -> str:
    """Few categories are written again and again."""
    return str(id)


Write = Callable[[StageResult], Mapping[str, Any]]


def trace_of(results: Sequence[StageResult], reason: str, write: Write = write_result) -> dict[str, Any]:
    """The readable whole: every stage that was asked, and why it ended as it did. `write` may remember what it wrote:
    many records of a chunk share a result."""
    return {"reason": reason, "stages": [write(r) for r in results]}


def earlier_results(trace: Mapping[str, Any] | None) -> tuple[StageResult, ...]:
    """The stage results that a stored trace holds: where a record goes on in a later job, its trace goes on too."""
    return tuple(
        StageResult(
            stage=Stage(s["stage"]),
            outcome=Outcome(s["outcome"]),
            reason=s["reason"],
            threshold=s.get("threshold"),
            model=s.get("model"),
            evidence=tuple(s.get("evidence", ())),
            candidates=tuple(
                Candidate(
                    category_id=UUID(c["category_id"]),
                    confidence=c["confidence"],
                    source=c["source"],
                    rationale=c["rationale"],
                )
                for c in s["candidates"]
            ),
        )
        for s in (trace or {}).get("stages", ())
    )


def drawn(record_id: UUID, share: float) -> bool:
    """Whether a record belongs to the random `share` that is spot-checked.

    The draw is independent of the record's content, and the same when a job is repeated after a kill.
    """
    return draw(record_id, "spot-check") < share


def decide(
    record_id: UUID,
    results: Sequence[StageResult],
    *,
    spot_check_share: float,
    more: Stage | None = None,
    write: Write = write_result,
) -> Decision:
    """The decision that the stages asked so far add up to.

    The last result decides, or skips; else, if `more` names a stage that is still to be asked, the record stays
    open; else it goes to review with the most confident candidate of all as the suggestion.
    """
    last = results[-1]
    if last.outcome is Outcome.DECIDED:
        best = last.candidates[0]
        checked = drawn(record_id, spot_check_share)
        return Decision(
            record_id=record_id,
            status=RecordStatus.PROCESSED,
            category_id=best.category_id,
            stage=last.stage,
            confidence=best.confidence,
            threshold=last.threshold,
            model_version=last.model,
            selection_probability=spot_check_share,
            trace=trace_of(results, f"{last.stage.value}: {best.rationale}", write),
            approval=ApprovalReason.SPOT_CHECK if checked else None,
            suggested_id=best.category_id,
            suggested_confidence=best.confidence,
            urgency=urgency(draw(record_id, "margin"), draw(record_id, "novelty")) if checked else 0.0,
        )
    if last.outcome is Outcome.SKIPPED:
        return Decision(
            record_id=record_id,
            status=RecordStatus.PROCESSED,
            stage=last.stage,
            confidence=1.0,
            threshold=last.threshold,
            model_version=last.model,
            selection_probability=0.0,
            trace=trace_of(results, f"{last.stage.value}: {last.reason}", write),
        )
    if more is not None and last.outcome is not Outcome.REVIEW:
        return Decision(
            record_id=record_id,
            status=RecordStatus.INGESTED,
            trace=trace_of(results, f"waits for {more.value}", write),
            open_stage=more,
            urgency=urgency_of(results),
        )
    candidates = [(c, r) for r in results for c in r.candidates]
    best_of_all, proposer = max(candidates, key=lambda pair: pair[0].confidence, default=(None, None))
    asked = last.outcome is Outcome.REVIEW
    return Decision(
        record_id=record_id,
        status=RecordStatus.NEEDS_REVIEW,
        stage=None,
        confidence=best_of_all.confidence if best_of_all else 0.0,
        threshold=(proposer or last).threshold,
        model_version=(proposer or last).model,
        selection_probability=1.0,
        trace=trace_of(results, f"review: {last.reason}" if asked else "review: no stage is sure", write),
        approval=ApprovalReason.RULE if asked else ApprovalReason.UNSURE,
        suggested_id=best_of_all.category_id if best_of_all else None,
        suggested_confidence=best_of_all.confidence if best_of_all else 0.0,
        urgency=urgency_of(results),
    )


def urgency_of(results: Sequence[StageResult]) -> float:
    """How urgent the stages' results make a question to a person."""
    return urgency(*doubt_of(results))


def doubt_of(results: Sequence[StageResult]) -> tuple[float, float | None]:
    """The margin between the best two categories, and the novelty. The similarity of the nearest example, where one was
    looked for, stands in the evidence as `nearest`."""
    nearest = [said["nearest"] for result in results for said in result.evidence if "nearest" in said]
    said = margin((c.category_id, c.confidence) for result in results for c in result.candidates)
    return said, 1 - max(nearest) if nearest else None


def mix_in(decisions: Sequence[Decision]) -> list[Decision]:
    """The decisions of a chunk, in which the urgencies of spot checks are drawn from those of the chunk's questions, so
    that their place in the queue does not tell what they are. Where there is no question to draw from, a spot check
    keeps the urgency that was drawn for it alone."""
    asked = sorted(
        d.urgency
        for d in decisions
        if d.approval is not ApprovalReason.SPOT_CHECK and (d.approval is not None or d.open_stage is not None)
    )
    if not asked:
        return list(decisions)
    return [
        replace(d, urgency=quantile(asked, place_of(d.record_id))) if d.approval is ApprovalReason.SPOT_CHECK else d
        for d in decisions
    ]


def failed(record_id: UUID, reason: str) -> Decision:
    """A record that could not be processed: it fails alone, and says why."""
    return Decision(
        record_id=record_id,
        status=RecordStatus.FAILED,
        trace={"reason": f"failed: {reason}", "stages": []},
        failure=reason,
    )
