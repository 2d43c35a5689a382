"""The similarity stage: what was learned from people's decisions says of records.

Memory and n-grams speak first, at thousands of records a second; only new texts are embedded and searched for, at
hundreds. Of a text that people sorted before, its meaning tells nothing more.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from uuid import UUID

from core.domain.decisions import Candidate, Outcome, Stage, StageResult
from core.domain.gate import Gate
from core.domain.learning import Scored
from core.domain.records import Sortable, similarity_text, text_digest
from core.domain.similarity import NEIGHBOURS, Neighbour, vote
from core.domain.tenants import Actor, Tenant
from core.errors import LearnedMeanwhile
from core.usecases.shared.vectors import cached_vectors
from ports.embedder import Embedder
from ports.learner import Ensemble, Learner
from ports.learning_storage import StoredEnsemble
from ports.storage import UnitOfWork

TRIES = 3
"""Of loading an ensemble, when others store new ones just then."""
FEW = 50
"""Lessons below which the neighbours' vote makes better suggestions than what was learned."""
UNTOLD = "its text is new; too few new ones were sorted yet to tell what is out of scope"


@dataclass(frozen=True, slots=True, kw_only=True)
class Similarity:
    """What the stage says, in the order of the records: a result for each; and where an ensemble was asked, what it
    said of each (else of none), its version (0 for none) and its gate. `near` has the nearest examples by content
    address of the text (`text_digest`), where they were looked for."""

    results: Sequence[StageResult]
    scored: Sequence[Scored] = ()
    version: int = 0
    gate: Gate | None = None
    near: Mapping[bytes, Sequence[Neighbour]] = field(default_factory=dict)


def ask_similarity(
    records: Sequence[Sortable],
    actor: Actor,
    tenant: Tenant,
    *,
    uow: UnitOfWork,
    embedder: Embedder | None,
    learner: Learner | None,
) -> Similarity:
    """What similarity says of each record. The ensemble is the same for all of them, whatever is learned meanwhile.
    Raises `LearnedMeanwhile` when another version was stored again and again before the ensemble was loaded."""
    if not records:
        return Similarity(results=())
    if embedder is None:
        off = StageResult(stage=Stage.SIMILARITY, outcome=Outcome.OFF, reason="embeddings are switched off")
        return Similarity(results=[off] * len(records))
    with uow.begin(actor) as tx:
        model = tx.examples.serving()
    serving = None if model is None else embedder.of(model)
    at_hand = _at_hand(actor, uow, learner) if learner is not None else None
    if at_hand is None:
        found = _neighbours(records, actor, uow, serving)
        votes = _votes(records, found, model, embedder, tenant.settings.similarity_threshold)
        return Similarity(results=votes, near=found)
    unasked = _unasked(model, embedder, tenant.settings.similarity_threshold)
    return _ask(records, actor, tenant, *at_hand, uow, serving, unasked)


def _at_hand(actor: Actor, uow: UnitOfWork, learner: Learner) -> tuple[StoredEnsemble, Ensemble] | None:
    """The ensemble to ask, with what is known of it (its gate is not that of another version); None while there is
    none that can be loaded."""
    for attempt in range(1, TRIES + 1):
        with uow.begin(actor) as tx:
            stored = tx.ensembles.stored()
            tree = tx.categories.fingerprint() if stored is not None else ""
        if stored is None or stored.learner != learner.version:
            return None

        def fetch(stored: StoredEnsemble = stored) -> tuple[bytes, Mapping[UUID, UUID]]:
            with uow.begin(actor) as tx:
                arrays = tx.ensembles.arrays()
                if tx.ensembles.stored() != stored:
                    raise LearnedMeanwhile
                return arrays

        try:
            return stored, learner.at_hand(actor.tenant_id, stored.version, tree, fetch)
        except LearnedMeanwhile:
            if attempt == TRIES:
                raise
    raise AssertionError("the last attempt returns or raises")


def _ask(
    records: Sequence[Sortable],
    actor: Actor,
    tenant: Tenant,
    stored: StoredEnsemble,
    ensemble: Ensemble,
    uow: UnitOfWork,
    serving: Embedder | None,
    unasked: StageResult,
) -> Similarity:
    fixed = tenant.settings.similarity_threshold
    gate = stored.gate if fixed is None else Gate(threshold=fixed, stacked=True)
    scored = list(ensemble.score(records))
    by_vote = fixed is not None or stored.taught < FEW
    voted = [by_vote and not said.stacked for said in scored]
    new = [i for i, said in enumerate(scored) if voted[i] or not said.known]
    near: dict[int, Sequence[Neighbour]] = {}
    found: Mapping[bytes, Sequence[Neighbour]] = {}
    if serving is not None and new:
        asked = [records[i] for i in new]
        texts = [similarity_text(r.text, r.counterparty) for r in asked]
        digests = [text_digest(text) for text in texts]
        vectors = cached_vectors(texts, actor, uow=uow, embedder=serving)
        found = nearest(vectors, actor, uow, serving.model)
        by_record = {r.id: vectors[digest] for r, digest in zip(asked, digests, strict=True)}
        for i, digest, said in zip(new, digests, ensemble.score(asked, by_record), strict=True):
            near[i], scored[i] = found[digest], said
    result_of = _results(gate, f"{stored.learner}.{stored.version}")
    results = []
    for i, said in enumerate(scored):
        if voted[i]:
            results.append(vote(near[i], threshold=fixed, model=serving.model) if serving and i in near else unasked)
        else:
            results.append(result_of(said, near.get(i, ())))
    return Similarity(results=results, scored=scored, version=stored.version, gate=gate, near=found)


def _opens(gate: Gate, said: Scored) -> bool:
    return bool(said.candidates) and gate.opens(said.score, said.scope, stacked=said.stacked)


def _results(gate: Gate, model: str) -> Callable[[Scored, Sequence[Neighbour]], StageResult]:
    """What becomes of what the ensemble says of a record whose neighbours are these: what is the same for thousands of
    records is made once."""
    source = f"ensemble:{model}"
    threshold = None if gate.threshold is None else gate.probability(gate.threshold)
    probability = gate.probability

    def result(said: Scored, neighbours: Sequence[Neighbour]) -> StageResult:
        sure = _opens(gate, said)
        candidates = tuple(
            [
                Candidate(category_id, probability(chance), source, _rationale(approved, of, alike))
                for category_id, chance, approved, of, alike in said.candidates
            ]
        )
        best = candidates[0].confidence if candidates else 0.0
        if threshold is None:
            reason = f"the best candidate has {best:.2f}; too little is known yet of how often that is right"
        elif said.scope < gate.scope:
            reason = UNTOLD if math.isinf(gate.scope) else "it is like nothing that was approved"
        else:
            reason = f"the best candidate has {best:.2f}, {threshold:.2f} is needed"
        return StageResult(
            stage=Stage.SIMILARITY,
            outcome=Outcome.DECIDED if sure else Outcome.UNSURE,
            reason=reason,
            candidates=candidates,
            threshold=threshold,
            model=model,
            evidence=_evidence(said, neighbours),
        )

    return result


@lru_cache(10_000)
def _rationale(approved: int, of: int, alike: str) -> str:
    return f"{approved} of {of} alike in {alike} were approved as this" if of else "like what was approved as this"


def _evidence(said: Scored, neighbours: Sequence[Neighbour]) -> tuple[Mapping[str, object], ...]:
    found: dict[str, object] = {"known": True} if said.known else {"scope": round(said.scope, 3)}
    if neighbours:
        nearest = max(neighbours, key=lambda n: n.similarity)
        found |= {"nearest": round(nearest.similarity, 4), "text": nearest.text[:80]}
        found["category_id"] = str(nearest.category_id)
    return (found,)


def _neighbours(
    records: Sequence[Sortable], actor: Actor, uow: UnitOfWork, serving: Embedder | None
) -> Mapping[bytes, Sequence[Neighbour]]:
    if serving is None:
        return {}
    texts = [similarity_text(r.text, r.counterparty) for r in records]
    return nearest(cached_vectors(texts, actor, uow=uow, embedder=serving), actor, uow, serving.model)


def nearest(
    vectors: Mapping[bytes, Sequence[float]], actor: Actor, uow: UnitOfWork, model: str
) -> Mapping[bytes, Sequence[Neighbour]]:
    """The nearest approved examples of each vector, by the digest of its text."""
    with uow.begin(actor) as tx:
        found = tx.examples.nearest(model, list(vectors.values()), NEIGHBOURS)
    return dict(zip(vectors, found, strict=True))


def _votes(
    records: Sequence[Sortable],
    near: Mapping[bytes, Sequence[Neighbour]],
    model: str | None,
    embedder: Embedder,
    threshold: float | None,
) -> list[StageResult]:
    votes = {digest: vote(found, threshold=threshold, model=model or embedder.model) for digest, found in near.items()}
    unasked = _unasked(model, embedder, threshold)
    return [votes.get(text_digest(similarity_text(r.text, r.counterparty)), unasked) for r in records]


def _unasked(model: str | None, embedder: Embedder, threshold: float | None) -> StageResult:
    """Of a record whose neighbours could not be asked: there is no model's vector to compare, or that model is gone."""
    if model is not None and embedder.of(model) is None:
        reason = f"the examples are being embedded anew, by {embedder.model}"
        return StageResult(stage=Stage.SIMILARITY, outcome=Outcome.UNSURE, reason=reason)
    return vote((), threshold=threshold, model=embedder.model)
