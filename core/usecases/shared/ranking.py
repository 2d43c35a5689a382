"""The review queue's order follows what was learned: what an answer made known is no longer urgent."""

from __future__ import annotations

from core.domain.decisions import Stage, StageResult, earlier_results, urgency_of
from core.domain.jobs import Job
from core.domain.records import Record
from core.domain.tenants import Actor
from core.usecases.shared.deciding import ask_neighbours
from ports.embedder import Embedder
from ports.storage import UnitOfWork

FIRST = 50
"""Groups at the head of the queue whose place is to be right: the next that people look at."""
PAGE = 200
MAX_GROUPS = 1_000
"""What is looked at in one go. The more is known, the less urgent a question mostly is; so what stands further down can
wait until what stood before it has moved behind it."""


def rank_questions(job: Job, actor: Actor, uow: UnitOfWork, embedder: Embedder) -> None:
    """Asks similarity again about the most urgent groups, until those at the head of the queue were asked about. Their
    suggestions stay: only the order is new. Raises `LeaseLost`."""
    with uow.begin(actor) as tx:
        tenant = tx.tenants.get()
    ranked: set[str] = set()
    while len(ranked) < MAX_GROUPS:
        with uow.begin(actor) as tx:
            groups = tx.approvals.groups(after=None, limit=PAGE)
        stale = [g for g in groups if g.group_key not in ranked]
        if all(g.group_key in ranked for g in groups[:FIRST]):
            return
        said = ask_neighbours([g.record for g in stale], actor, tenant, uow, embedder)
        with uow.begin(actor) as tx:
            tx.jobs.hold(job)
            tx.approvals.rank({g.group_key: _urgency(g.record, said[g.record.id]) for g in stale})
            tx.commit()
        ranked |= {g.group_key for g in stale}


def _urgency(record: Record, similarity: StageResult) -> float:
    """What the question is worth, given what similarity says of it now."""
    stages = [r for r in earlier_results(record.reasoning_trace) if r.stage not in (Stage.SIMILARITY, Stage.HUMAN)]
    return urgency_of([*stages, similarity])
