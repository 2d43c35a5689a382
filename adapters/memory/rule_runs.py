"""Runs of rules over records that were decided before: what they change, and its undoing."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any
from uuid import UUID

from adapters.memory.approvals import MemoryApprovals
from adapters.memory.record_changes import decided, tell_decided, write
from adapters.memory.state import KeptChange, Workspace, as_json, one
from core.domain.approvals import Approval
from core.domain.decisions import Decision, Stage
from core.domain.events import EventType, NewEvent
from core.domain.records import Record, RecordStatus
from core.domain.rule_runs import RuleRun, RunChange
from core.errors import Invalid
from ports.record_storage import Restored

_REDECIDABLE = frozenset({RecordStatus.PROCESSED, RecordStatus.NEEDS_REVIEW, RecordStatus.FAILED})
_SHOWN = ("status", "category_id", "stage", "rule_id", "tags", "attributes", "confidence")
_MARKS = ("threshold", "model_version", "selection_probability", "reasoning_trace", "failure")


class MemoryRuleRuns:
    def __init__(self, workspace: Workspace) -> None:
        self._state = workspace.state
        self._runs = workspace.state.runs

    def add(self, run: RuleRun) -> None:
        self._runs[run.id] = replace(run, where=as_json(run.where))

    def get(self, id: UUID, *, lock: bool = False) -> RuleRun:  # noqa: ARG002
        return one(self._runs, id, "rule run")

    def list(self, *, before: UUID | None, limit: int) -> Sequence[RuleRun]:
        newest_first = sorted(self._runs, reverse=True)
        return [self._runs[id] for id in newest_first if before is None or id < before][:limit]

    def update(self, run: RuleRun) -> None:
        self._runs[run.id] = replace(
            self.get(run.id),
            job_id=run.job_id,
            status=run.status,
            counts=run.counts,
            finished_at=run.finished_at,
            undone_at=run.undone_at,
            failure=run.failure,
        )

    def changes(self, run_id: UUID, *, after: UUID | None, limit: int) -> Sequence[RunChange]:
        mine = sorted(record_id for run, record_id in self._state.changes if run == run_id)
        return [self._state.changes[run_id, id].change for id in mine if after is None or id > after][:limit]


def redecide(at: Workspace, run_id: UUID, decisions: Sequence[tuple[Decision, int]]) -> Sequence[UUID]:
    changed = []
    for decision, version in sorted(decisions, key=lambda pair: pair[0].record_id):
        kept = at.state.records.get(decision.record_id)
        if kept is None or kept.record.version != version or kept.record.status not in _REDECIDABLE:
            continue
        if decision.category_id not in (None, *at.state.categories):
            continue
        if run_id not in at.state.runs:
            raise Invalid("the run does not exist")
        before = kept.record
        approval = _take_approval(at, before.id)
        # Rules only add attributes: one that is there may have been set by a person.
        attributes = {**as_json(decision.attributes), **before.attributes}
        write(at, replace(decided(before, decision), rule_id=decision.rule_id, attributes=attributes))
        _note(at, run_id, before, approval)
        tell_decided(at, decision, run_id=run_id)
        changed.append(before.id)
    return changed


def restore(at: Workspace, run_id: UUID, *, after: UUID | None, limit: int) -> Restored:
    page = [
        record_id
        for run, record_id in sorted(at.state.changes)
        if run == run_id
        and at.state.changes[run, record_id].change.undone is None
        and (after is None or record_id > after)
    ][:limit]
    back = [at.state.changes[run_id, record_id].change for record_id in page if _put_back(at, run_id, record_id)]
    hits = Counter(_winner(change.before) for change in back)
    hits.subtract(_winner(change.after) for change in back)
    return Restored(
        restored=len(back),
        kept=len(page) - len(back),
        last=page[-1] if page else None,
        hits={id: n for id, n in hits.items() if id is not None and n},
    )


def _winner(state: Mapping[str, Any]) -> UUID | None:
    """The rule that a record in this state counts as a hit of."""
    return UUID(state["rule_id"]) if state["stage"] == Stage.RULES and state["rule_id"] else None


def _note(at: Workspace, run_id: UUID, before: Record, approval: Approval | None) -> None:
    now = at.state.records[before.id].record
    first = at.state.changes.get((run_id, before.id))
    if first is not None and first.after_version == before.version:
        before, approval = first.before, first.approval
    at.state.changes[run_id, now.id] = KeptChange(
        change=RunChange(record_id=now.id, before=_shown(before), after=_shown(now)),
        before=before,
        approval=approval,
        after_version=now.version,
    )


def _put_back(at: Workspace, run_id: UUID, record_id: UUID) -> bool:
    kept = at.state.changes[run_id, record_id]
    now, before = at.state.records[record_id].record, kept.before
    category_id = at.category_now(before.category_id)
    restored = now.version == kept.after_version and (before.category_id is None or category_id is not None)
    if restored:
        _take_approval(at, record_id)
        former = {name: getattr(before, name) for name in (*_SHOWN, *_MARKS)}
        write(at, replace(now, **former | {"category_id": category_id}))
        _continue(at, run_id, record_id, before.version)
        if kept.approval is not None:
            suggested_id = at.category_now(kept.approval.suggested_id)
            MemoryApprovals(at).add([replace(kept.approval, suggested_id=suggested_id)])
        about = {"change": "undone", "run_id": run_id}
        at.tell(NewEvent(type=EventType.UPDATED, subject_id=record_id, payload=about))
    at.state.changes[run_id, record_id] = replace(kept, change=replace(kept.change, undone=restored))
    return restored


def _continue(at: Workspace, run_id: UUID, record_id: UUID, version: int) -> None:
    """The record is again what an earlier run made of it, which was `version` then."""
    now = at.state.records[record_id].record.version
    for key, other in at.state.changes.items():
        if key[1] == record_id and key[0] != run_id and other.after_version == version:
            at.state.changes[key] = replace(other, after_version=now)


def _take_approval(at: Workspace, record_id: UUID) -> Approval | None:
    for approval in MemoryApprovals(at).open_of([record_id]):
        del at.state.approvals[approval.id]
        return approval
    return None


def _shown(record: Record) -> Mapping[str, Any]:
    shown: Mapping[str, Any] = as_json({name: getattr(record, name) for name in _SHOWN})
    return shown
