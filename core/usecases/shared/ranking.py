"""The review queue's order follows what was learned: what an answer made known is no longer urgent."""

from __future__ import annotations

from collections.abc import Sequence

from core.domain.decisions import Stage, StageResult, doubt_of, earlier_results
from core.domain.jobs import Job
from core.domain.ranking import Question, rank
from core.domain.records import Record, similarity_text, text_digest
from core.domain.tenants import Actor
from core.usecases.shared.similarity import ask_similarity
from core.usecases.shared.vectors import cached_vectors
from ports.embedder import Embedder
from ports.learner import Learner
from ports.storage import UnitOfWork

FIRST = 50
"""Groups at the head of the queue whose place is to be right: the next that people look at."""
PAGE = 300
"""Groups that are weighed against each other."""
MAX_GROUPS = 600
"""What is looked at in one go. The more is known, the less urgent a question mostly is; so what stands further down can
wait until what stood before it has moved behind it."""


def rank_questions(job: Job, actor: Actor, uow: UnitOfWork, embedder: Embedder, learner: Learner | None) -> None:
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
        texts = [similarity_text(g.record.text, g.record.counterparty) for g in stale]
        vectors = cached_vectors(texts, actor, uow=uow, embedder=embedder)
        said = ask_similarity(
            [g.record for g in stale], actor, tenant, uow=uow, embedder=embedder, learner=learner
        ).results
        questions = [
            _question(g.record, said[g.record.id], vectors[text_digest(text)])
            for g, text in zip(stale, texts, strict=True)
        ]
        with uow.begin(actor) as tx:
            tx.jobs.hold(job)
            tx.approvals.rank({g.group_key: value for g, value in zip(stale, rank(questions), strict=True)})
            tx.commit()
        ranked |= {g.group_key for g in stale}


def _question(record: Record, similarity: StageResult, vector: Sequence[float]) -> Question:
    """The question by what the other stages said, and what similarity says now."""
    stages = [r for r in earlier_results(record.reasoning_trace) if r.stage not in (Stage.SIMILARITY, Stage.HUMAN)]
    margin, novelty = doubt_of([*stages, similarity])
    return Question(margin=margin, novelty=novelty, vector=vector)
