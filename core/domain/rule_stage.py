"""What the rules say of a record, as a stage's result."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any
from uuid import UUID

from core.domain.decisions import Candidate, Outcome, Stage, StageResult
from core.domain.rule_evaluation import RuleOutcome
from core.domain.rules import Rule, action_to_json

_MODEL = "rules:"
UNTRUSTED_CONFIDENCE = 0.5
"""What a suggestion of an untrusted starter rule is worth: enough to be shown first, never enough to decide."""


def rules_result(outcome: RuleOutcome, rules_version: int) -> StageResult:
    """The first matching rule that is trusted and sets a category decides; an untrusted one only suggests, a demoted
    one asks for a person. Every rule that matched, or could not be asked, is in the evidence."""
    candidates = _candidates(outcome)
    evidence = _evidence(outcome)
    model = f"{_MODEL}{rules_version}"
    winner = outcome.winner.rule if outcome.winner else None
    faults = f"; {len(outcome.errors)} could not be asked: {outcome.errors[0].reason}" if outcome.errors else ""
    if winner is None:
        return _result(Outcome.UNSURE, f"no rule matched{faults}", candidates, model, evidence)
    if not winner.trusted:
        return _result(
            Outcome.UNSURE, f"starter rule “{winner.name}” only suggests{faults}", candidates, model, evidence
        )
    if winner.then.skip:
        return _result(Outcome.SKIPPED, f"rule “{winner.name}” leaves it unsorted{faults}", candidates, model, evidence)
    if winner.then.review:
        return _result(Outcome.REVIEW, f"rule “{winner.name}” asks for a person{faults}", candidates, model, evidence)
    if winner.demoted:
        reason = f"rule “{winner.name}” only asks, since people contradicted it too often{faults}"
        return _result(Outcome.REVIEW, reason, candidates, model, evidence)
    return _result(Outcome.DECIDED, f"rule “{winner.name}” matched{faults}", candidates, model, evidence)


def version_of(model: str | None) -> int:
    """The `rules_version` that a result of the rules names as its model; 0 where it names none."""
    written = (model or "").removeprefix(_MODEL)
    return int(written) if written.isdecimal() else 0


def hits(outcomes: Iterable[RuleOutcome]) -> dict[UUID, int]:
    """How many records each rule won, by rule."""
    found: dict[UUID, int] = {}
    for outcome in outcomes:
        if outcome.winner is not None:
            found[outcome.winner.rule.id] = found.get(outcome.winner.rule.id, 0) + 1
    return found


def _candidates(outcome: RuleOutcome) -> tuple[Candidate, ...]:
    """The winner first, then what lost to it."""
    matched = [m.rule for m in outcome.matches if m.rule.then.category_id is not None]
    if outcome.winner is not None:
        matched.sort(key=lambda rule: rule is not outcome.winner.rule)  # type: ignore[union-attr]
    return tuple(_candidate(rule) for rule in matched)


def _candidate(rule: Rule) -> Candidate:
    assert rule.then.category_id is not None  # noqa: S101 - narrows the type
    return Candidate(
        category_id=rule.then.category_id,
        confidence=1.0 if rule.trusted else UNTRUSTED_CONFIDENCE,
        source=f"rule:{rule.id}",
        rationale=f"rule “{rule.name}” matched",
    )


def _evidence(outcome: RuleOutcome) -> tuple[Mapping[str, Any], ...]:
    matched = [
        {"rule_id": str(m.rule.id), "name": m.rule.name, "then": action_to_json(m.rule.then)} for m in outcome.matches
    ]
    return (*matched, *({"rule_id": str(e.rule_id), "error": e.reason} for e in outcome.errors))


def _result(
    outcome: Outcome,
    reason: str,
    candidates: tuple[Candidate, ...],
    model: str,
    evidence: tuple[Mapping[str, Any], ...],
) -> StageResult:
    return StageResult(
        stage=Stage.RULES,
        outcome=outcome,
        reason=reason,
        candidates=candidates,
        threshold=1.0,
        model=model,
        evidence=evidence,
    )
