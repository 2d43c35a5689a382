"""Texts embedded by the local model, and read out of the cache of their vectors."""

from __future__ import annotations

import random
import statistics
import time
from typing import Any
from uuid import uuid4

from adapters.onnx.embedder import OnnxEmbedder
from adapters.postgres.unit_of_work import PostgresUnitOfWork
from benchmarks._vector_data import texts
from core.domain.records import text_digest
from core.domain.tenants import worker_actor
from core.usecases.shared.vectors import cached_vectors
from tests.contract.storage import a_tenant

BATCH = 500


def embedding_speed(uow: PostgresUnitOfWork, cold: int, cached: int, repeat: int) -> dict[str, Any]:
    """`cold`: so many distinct texts a CPU second of this process, on one thread. `cached`: so many a second, which a
    repetition reads in batches, each in a transaction of its own."""
    embedder = OnnxEmbedder(threads=1)
    embedder.embed(["the model is loaded"])
    some = texts(max(cold, cached), random.Random(1))
    rates = []
    for part in range(repeat):
        fresh = some[part * cold // repeat : (part + 1) * cold // repeat]
        start = time.process_time()
        embedder.embed(fresh)
        rates.append(len(fresh) / (time.process_time() - start))
    actor = worker_actor(uuid4())
    known = embedder.embed(some[:BATCH])
    with uow.begin(actor) as tx:
        tx.tenants.add(a_tenant(actor.tenant_id))
        digests = [text_digest(text) for text in some[:cached]]
        tx.embeddings.put(embedder.model, {d: known[i % BATCH] for i, d in enumerate(digests)})
        tx.commit()
    reads = []
    for _ in range(repeat):
        start = time.perf_counter()
        for at in range(0, cached, BATCH):
            found = cached_vectors(some[at : min(at + BATCH, cached)], actor, uow=uow, embedder=embedder)
            assert len(found) == min(BATCH, cached - at)
        reads.append(cached / (time.perf_counter() - start))
    return {
        "cold_per_cpu_second": round(statistics.median(rates), 1),
        "cached_per_second": round(statistics.median(reads), 1),
        "texts": cold,
        "cached_texts": cached,
    }
