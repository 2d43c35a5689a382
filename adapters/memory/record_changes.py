"""What a decision makes of a record and tells of it, and which records a filter lets through."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from adapters.memory.approvals import MemoryApprovals
from adapters.memory.state import Workspace, as_json
from core.domain.approvals import Approval
from core.domain.decisions import Decision
from core.domain.events import EventType, NewEvent
from core.domain.records import Record


def decided(record: Record, decision: Decision) -> Record:
    """The record as a decision leaves it; where that knows no rule, a former stage's suggestion stays."""
    return replace(
        record,
        status=decision.status,
        category_id=decision.category_id,
        stage=decision.stage.value if decision.stage else None,
        confidence=decision.confidence,
        threshold=decision.threshold,
        model_version=decision.model_version,
        selection_probability=decision.selection_probability,
        reasoning_trace=as_json(decision.trace),
        failure=decision.failure,
        tags=tuple(dict.fromkeys((*record.tags, *decision.tags))),
        attributes={**record.attributes, **as_json(decision.attributes)},
        rule_id=decision.rule_id or record.rule_id,
    )


def write(at: Workspace, record: Record) -> None:
    """Keeps the record as a new version."""
    written = replace(record, updated_at=at.now, version=record.version + 1)
    at.state.records[record.id] = replace(at.state.records[record.id], record=written)


def tell_decided(at: Workspace, decision: Decision, **more: Any) -> None:
    """The event of a decision, and the approval that it asks for."""
    about = {
        "status": decision.status.value,
        "stage": decision.stage.value if decision.stage else None,
        "category_id": decision.category_id,
        "confidence": None if decision.confidence is None else round(decision.confidence, 4),
        **more,
    }
    at.tell(NewEvent(type=EventType.PROCESSED, subject_id=decision.record_id, payload=about))
    if decision.approval is not None:
        asked = Approval(
            id=at.ids.new(),
            tenant_id=at.tenant_id,
            record_id=decision.record_id,
            reason=decision.approval,
            suggested_id=decision.suggested_id,
            confidence=decision.suggested_confidence,
            urgency=decision.urgency,
            group_key=decision.group_key,
            verdict=None,
            category_id=None,
            decided_by=None,
            decided_at=None,
            created_at=at.now,
        )
        MemoryApprovals(at).add([asked])
