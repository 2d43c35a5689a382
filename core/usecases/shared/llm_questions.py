"""What the LLM is asked of records: each with what it is offered and the approved examples that are like it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from uuid import UUID

from core.domain.categories import Category, paths
from core.domain.decisions import earlier_results
from core.domain.llm import LlmCategory, LlmExample, LlmQuestion, LlmRecord
from core.domain.llm_orders import order_in
from core.domain.llm_questions import NEIGHBOURS, RELATED, WHOLE_TREE, category_text, offered
from core.domain.records import Record, occurred_on, similarity_text, text_digest
from core.domain.similarity import Neighbour
from core.domain.tenants import Actor, Tenant
from core.usecases.shared.vectors import cached_vectors
from ports.embedder import Embedder
from ports.storage import UnitOfWork


def questions_about(
    records: Sequence[Record],
    categories: Sequence[Category],
    actor: Actor,
    tenant: Tenant,
    *,
    uow: UnitOfWork,
    embedder: Embedder | None,
) -> dict[UUID, LlmQuestion]:
    """A question for each record, by its id. Embeds what is new of their texts, and of the categories of a large tree;
    without an embedder there are no examples, and everything is offered."""
    by_path = paths(categories)
    tree = [LlmCategory(key=str(c.id), path=by_path[c.id], description=c.description) for c in categories]
    texts = {r.id: similarity_text(r.text, r.counterparty) for r in records}
    with uow.begin(actor) as tx:
        model = tx.examples.serving()
    if embedder is not None and model is not None:
        embedder = embedder.of(model)
    vectors = _vectors(list(texts.values()), tree, model is not None, actor, uow, embedder)
    neighbours = _neighbours(list(texts.values()), vectors, actor, uow, embedder) if model is not None else {}
    of_tree = {c.key: vectors[digest] for c in tree if (digest := text_digest(category_text(c))) in vectors}
    found = {}
    for record in records:
        digest = text_digest(texts[record.id])
        near = [n for n in neighbours.get(digest, ()) if n.similarity >= RELATED]
        large = len(tree) > WHOLE_TREE
        hinted = [str(id) for id in [*(n.category_id for n in near), *_proposed(record)]] if large else []
        choice = offered(tree, hinted, vectors.get(digest), of_tree)
        there = {category.key for category in choice}
        found[record.id] = LlmQuestion(
            record=_asked(record, tenant),
            categories=choice,
            examples=tuple(e for n in near if (e := _shown(n)) is not None and e.category_key in there),
        )
    return found


def _vectors(
    texts: Sequence[str],
    tree: Sequence[LlmCategory],
    searched: bool,
    actor: Actor,
    uow: UnitOfWork,
    embedder: Embedder | None,
) -> Mapping[bytes, Sequence[float]]:
    large = len(tree) > WHOLE_TREE
    if embedder is None or not texts or not (large or searched):
        return {}
    of_tree = [category_text(c) for c in tree] if large else []
    return cached_vectors([*texts, *of_tree], actor, uow=uow, embedder=embedder)


def _neighbours(
    texts: Sequence[str],
    vectors: Mapping[bytes, Sequence[float]],
    actor: Actor,
    uow: UnitOfWork,
    embedder: Embedder | None,
) -> Mapping[bytes, Sequence[Neighbour]]:
    digests = list(dict.fromkeys(text_digest(text) for text in texts))
    if embedder is None or not vectors:
        return {}
    with uow.begin(actor) as tx:
        found = tx.examples.nearest(embedder.model, [vectors[digest] for digest in digests], NEIGHBOURS)
    return dict(zip(digests, found, strict=True))


def _proposed(record: Record) -> list[UUID]:
    """What earlier stages proposed, the most confident first."""
    candidates = [c for result in earlier_results(record.reasoning_trace) for c in result.candidates]
    return [c.category_id for c in sorted(candidates, key=lambda c: -c.confidence)]


def _shown(neighbour: Neighbour) -> LlmExample | None:
    """None for a text that gives orders: that a person sorted it makes it no safer to show."""
    if order_in([neighbour.text]) is not None:
        return None
    return LlmExample(text=neighbour.text, category_key=str(neighbour.category_id))


def _asked(record: Record, tenant: Tenant) -> LlmRecord:
    return LlmRecord(
        id=str(record.id),
        text=record.text,
        counterparty=record.counterparty or None,
        amount=record.amount,
        currency=record.currency,
        occurred_on=occurred_on(record.occurred_at, tenant.zone),
    )
