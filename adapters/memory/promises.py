"""What proves the promise: spot checks, what was decided, and the running tests."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import date, datetime
from zoneinfo import ZoneInfo

from adapters.memory.state import Workspace
from core.domain.approvals import Approval, ApprovalReason
from core.domain.decisions import Outcome, Stage, earlier_results
from core.domain.drift import Watch
from core.domain.llm_gate import LlmLabel
from core.domain.promise import ALONE, Cell, Check, check_of, tally
from core.domain.records import DECIDED_BY_PERSON


class MemoryPromises:
    def __init__(self, workspace: Workspace) -> None:
        self._at = workspace
        self._state = workspace.state

    def cells(self, since: date, *, recent: datetime) -> Sequence[Cell]:
        decided: Counter[tuple[date, Stage | None]] = Counter()
        for (day, stage, status), n in self._state.counts.items():
            alone = stage in ALONE and status == "processed"
            if day >= since and (alone or (stage, status) == ("", "needs_review")):
                decided[day.replace(day=1), Stage(stage) if alone else None] += n
        checks: dict[tuple[date, Stage | None], list[Check]] = defaultdict(list)
        fresh: Counter[tuple[date, Stage | None]] = Counter()
        for approval, check in self._answered():
            day = approval.created_at.astimezone(ZoneInfo(self._at.time_zone)).date()
            if day >= since:
                place = day.replace(day=1), check.stage
                checks[place].append(check)
                fresh[place] += approval.decided_at is not None and approval.decided_at > recent
        return [
            Cell(
                month=month,
                stage=stage,
                decided=decided[month, stage],
                checks=tally(checks.get((month, stage), ())),
                recent=fresh[month, stage],
            )
            for month in sorted({month for month, _ in (*decided, *checks)})
            for stage in (*ALONE, None)
            if (month, stage) in decided or (month, stage) in checks
        ]

    def checks(self, stage: Stage, *, since: datetime | None, limit: int) -> Sequence[Check]:
        found = [
            (approval.decided_at, approval.id, check)
            for approval, check in self._answered()
            if check.stage is stage and (since is None or approval.created_at > since)
        ]
        return [check for *_, check in sorted(found, key=lambda answer: answer[:2])][-limit:]

    def llm_labels(self, model: str, latest: int) -> Sequence[LlmLabel]:
        standing = [
            (approval.decided_at, approval.id, approval)
            for approval in self._state.approvals.values()
            if approval.decided_at is not None and approval.withdrawn_at is None
        ]
        answers = sorted(standing)[max(0, len(standing) - latest) :]
        found = [self._llm_label(approval, model) for *_, approval in answers]
        return [label for label in found if label is not None]

    def _llm_label(self, approval: Approval, model: str) -> LlmLabel | None:
        record = self._state.records[approval.record_id].record
        said = next((r for r in earlier_results(record.reasoning_trace) if r.stage is Stage.LLM), None)
        if said is None or said.model != model or not said.candidates or record.status not in DECIDED_BY_PERSON:
            return None
        checked, decided = approval.reason is ApprovalReason.SPOT_CHECK, said.outcome is Outcome.DECIDED
        if checked is not decided or not record.selection_probability:
            return None
        first = said.candidates[0]
        return LlmLabel(
            confidence=first.confidence,
            right=self._state.aliases.get(str(first.category_id), first.category_id) == record.category_id,
            weight=1 / record.selection_probability,
            measured=any(evidence.get("measured") is True for evidence in said.evidence[:1]),
            group_key=approval.group_key,
        )

    def strictness(self) -> Mapping[Stage, int]:
        watches = self._state.watches
        return {stage: watches[stage].strictness if stage in watches else 0 for stage in ALONE}

    def hold(self, stages: Iterable[Stage], promise: float) -> Mapping[Stage, Watch]:
        watches = self._state.watches
        return {stage: watches.setdefault(stage, Watch(stage=stage, promise=promise)) for stage in stages}

    def put(self, watches: Iterable[Watch]) -> None:
        for watch in watches:
            self._state.watches[watch.stage] = watch

    def _answered(self) -> Iterator[tuple[Approval, Check]]:
        for approval in self._state.approvals.values():
            check = check_of(approval, self._state.records[approval.record_id].record)
            if check is not None:
                yield approval, check
