"""Vectors of texts, embedded once and cached by content."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from core.domain.records import normalise, text_digest
from core.domain.tenants import Actor
from ports.embedder import Embedder
from ports.storage import UnitOfWork


def cached_vectors(
    texts: Sequence[str], actor: Actor, *, uow: UnitOfWork, embedder: Embedder
) -> Mapping[bytes, Sequence[float]]:
    """Vectors by content address (`text_digest`) of distinct texts; what is new is embedded, outside of a transaction,
    and kept."""
    by_digest = {text_digest(text): normalise(text) for text in texts}
    with uow.begin(actor) as tx:
        known = tx.embeddings.get(embedder.model, list(by_digest))
    missing = [digest for digest in by_digest if digest not in known]
    if not missing:
        return known
    vectors = embedder.embed([by_digest[digest] for digest in missing])
    fresh = dict(zip(missing, vectors, strict=True))
    with uow.begin(actor) as tx:
        tx.embeddings.put(embedder.model, fresh)
        tx.commit()
    return {**known, **fresh}
