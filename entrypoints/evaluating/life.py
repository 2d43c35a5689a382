"""A tenant's life in short: records arrive, the pipeline decides, somebody answers, and it learns."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from uuid import UUID

from core.domain.approvals import Answer, Verdict
from core.domain.categories import key_from_name
from core.domain.decisions import Stage
from core.domain.proposals import ProposalStatus
from core.domain.records import RecordStatus
from core.domain.tenants import Actor, TenantSettings
from core.errors import UnreadableFile
from entrypoints.container import Container
from entrypoints.evaluating.rows import Row
from entrypoints.worker.inline import drain
from ports.storage import RecordFilter

_PAGE = 1_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Decided:
    """What became of a row on arrival: the best candidate of all, whether it was decided alone, by which stage, and how
    sure (`confidence`, and `scope`: how much it is like anything known)."""

    row: Row
    category: str | None
    alone: bool
    stage: str | None
    confidence: float
    scope: float
    selection_probability: float


class Life:
    """A tenant in a container whose jobs are carried out here; `category_of` are the names by which rows name its
    categories."""

    def __init__(self, container: Container, actor: Actor, category_of: Mapping[str, UUID]) -> None:
        self._container = container
        self._actor = actor
        self._category_of = category_of
        self._arrived = 0

    @classmethod
    def begin(cls, container: Container, settings: TenantSettings, names: Sequence[str]) -> Life:
        """A tenant made for the purpose, without rules, that has these categories, as a chart of accounts is known
        beforehand."""
        tenant, _ = container.create_tenant("evaluation", settings=settings, defaults=False)
        actor = Actor(tenant_id=tenant.id, name="evaluation")
        category_of = {}
        for number, name in enumerate(dict.fromkeys(names)):
            key = f"{key_from_name(name)[:80]}-{number}"
            category_of[name] = container.create_category(actor, name=name, key=key).id
        return cls(container, actor, category_of)

    def teach(self, rows: Sequence[Row]) -> None:
        """History that people sorted."""
        self._deliver(rows, approved=True)

    def arrive(self, rows: Sequence[Row]) -> list[Decided]:
        """New records go through the whole pipeline."""
        first = self._arrived
        import_id = self._deliver(rows, approved=False)
        name_of = {id: name for name, id in self._category_of.items()}
        found: dict[str, Decided] = {}
        after: UUID | None = None
        where = RecordFilter(import_id=import_id)
        while True:
            with self._container.uow().begin(self._actor) as tx:
                page = tx.records.page(where, after=after, limit=_PAGE)
            for record in page:
                found[record["external_id"]] = _decided(rows[int(record["external_id"]) - first], record, name_of)
            if len(page) < _PAGE:
                return [found[str(first + place)] for place in range(len(rows))]
            after = page[-1]["id"]

    def waiting(self) -> set[str]:
        """What waits for a person, by external id."""
        found: set[str] = set()
        after: tuple[float, UUID] | None = None
        while items := self._container.list_queue(self._actor, after=after, limit=_PAGE):
            found |= {item.record.external_id for item in items}
            after = items[-1].approval.urgency, items[-1].approval.id
        return found

    def answer(self, truth: Mapping[str, str], *, batch: int = 1_000) -> int:
        """Answers all that waits, by external id, and lets the service learn; returns how many there were."""
        answered = 0
        while items := self._container.list_queue(self._actor, after=None, limit=batch):
            answers = [
                Answer(approval_id=item.approval.id, verdict=Verdict.APPROVE)
                if item.approval.suggested_id == self._category_of[truth[item.record.external_id]]
                else Answer(
                    approval_id=item.approval.id,
                    verdict=Verdict.OVERRIDE,
                    category_id=self._category_of[truth[item.record.external_id]],
                )
                for item in items
            ]
            self._container.decide_approvals(self._actor, answers)
            answered += len(answers)
        drain(self._container, self._actor.tenant_id)
        return answered

    def accept_rules(self, promise: float) -> int:
        """Rules are proposed out of what was answered so far, and those that are expected to keep the promise accepted,
        as a person would who reads their evidence; returns how many."""
        self._container.start_learning(self._actor)
        drain(self._container, self._actor.tenant_id)
        accepted = 0
        after: UUID | None = None
        while page := self._container.list_proposals(
            self._actor, status=ProposalStatus.OPEN.value, after=after, limit=_PAGE
        ):
            for proposal in page:
                if proposal.evidence.expected >= promise:
                    self._container.accept_proposal(self._actor, proposal.id, {}, version=None)
                    accepted += 1
            after = page[-1].id
        return accepted

    def _deliver(self, rows: Sequence[Row], *, approved: bool) -> UUID:
        first = self._arrived
        payload = (row.written(str(first + place), approved=approved) for place, row in enumerate(rows))
        received = self._container.receive_import(
            self._actor, payload, filename="rows.ndjson", connector="json", approved=approved
        )
        drain(self._container, self._actor.tenant_id)
        done = self._container.get_import(self._actor, received.id)
        if done.failure or done.refused:
            raise UnreadableFile(done.failure or done.refusals[0]["reason"])
        self._arrived += len(rows)
        imported: UUID = done.id
        return imported


def _decided(row: Row, record: Mapping[str, object], name_of: Mapping[UUID, str]) -> Decided:
    trace = record["reasoning_trace"]
    assert isinstance(trace, dict)  # noqa: S101 - each record was processed
    similarity = next((s for s in trace["stages"] if s["stage"] == Stage.SIMILARITY), None)
    candidates = [c for s in trace["stages"] for c in s["candidates"]]
    best = max(candidates, key=lambda c: c["confidence"], default=None)
    evidence = (similarity or {}).get("evidence", [{}])
    alone = record["status"] == RecordStatus.PROCESSED
    category = record["category_id"] if alone else best and UUID(best["category_id"])
    confidence, probability = record["confidence"], record["selection_probability"]
    assert isinstance(confidence, float) and isinstance(probability, float)  # noqa: S101, PT018 - likewise
    return Decided(
        row=row,
        category=name_of.get(category) if isinstance(category, UUID) else None,
        alone=alone,
        stage=str(record["stage"]) if alone else None,
        confidence=confidence,
        scope=_scope(evidence[0]) if evidence else 0.0,
        selection_probability=probability,
    )


def _scope(evidence: Mapping[str, object]) -> float:
    scope = evidence.get("scope", math.inf if evidence.get("known") else 0.0)
    assert isinstance(scope, float)  # noqa: S101 - as similarity writes it
    return scope
