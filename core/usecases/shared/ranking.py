"""The review queue's order follows what was learned: what an answer made known is no longer urgent."""

from __future__ import annotations

from core.domain.decisions import Stage, earlier_results
from core.domain.jobs import Job
from core.domain.ranking import question_of, urgency_of_worth
from core.domain.records import similarity_text, text_digest
from core.domain.tenants import Actor
from core.usecases.shared.similarity import ask_similarity, nearest
from core.usecases.shared.vectors import cached_vectors
from ports.embedder import Embedder
from ports.learner import Learner
from ports.ranker import Ranker
from ports.storage import UnitOfWork

HEAD = 1_000
"""The most urgent groups as they stand: those that people look at next, and what arrived since the last time."""
SAMPLE = 3_000
"""Groups that stand for the whole queue beside them. What is left of a queue of more moves up when what stood before
it has moved behind it."""


def rank_questions(
    job: Job, actor: Actor, uow: UnitOfWork, embedder: Embedder, learner: Learner | None, ranker: Ranker
) -> None:
    """Asks similarity again about the head of the queue and a sample of it, and weighs them against each other. Their
    suggestions stay: only the order is new. Raises `LeaseLost`."""
    with uow.begin(actor) as tx:
        tenant = tx.tenants.get()
        head, sample = tx.approvals.groups(after=None, limit=HEAD), tx.approvals.sample(SAMPLE)
        model = tx.examples.serving()
    groups = list({g.group_key: g for g in [*head, *sample]}.values())
    texts = {g.group_key: similarity_text(g.record.text, g.record.counterparty) for g in groups}
    # While examples are embedded anew they are found by the former model; where that is gone, by none.
    serving = (embedder.of(model) if model is not None else None) or embedder
    vectors = cached_vectors(list(texts.values()), actor, uow=uow, embedder=serving)
    said = ask_similarity([g.record for g in groups], actor, tenant, uow=uow, embedder=embedder, learner=learner)
    # Similarity does not search for texts that it knows.
    known = {digest: vector for digest, vector in vectors.items() if digest not in said.near}
    near = {**said.near, **nearest(known, actor, uow, serving.model)} if known else said.near
    questions = []
    for group, result_now in zip(groups, said.results, strict=True):
        others = [
            result
            for result in earlier_results(group.record.reasoning_trace)
            if result.stage not in (Stage.SIMILARITY, Stage.HUMAN)
        ]
        digest = text_digest(texts[group.group_key])
        results = [*others, result_now]
        questions.append(question_of(results, vectors[digest], near.get(digest, ())))
    worth = ranker.worth(questions)
    with uow.begin(actor) as tx:
        tx.jobs.hold(job)
        tx.approvals.rank({g.group_key: urgency_of_worth(value) for g, value in zip(groups, worth, strict=True)})
        tx.commit()
