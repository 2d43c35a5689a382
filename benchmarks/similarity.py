"""Similarity: searches among a tenant's vectors, texts embedded anew and out of the cache, and records a second.

`python -m benchmarks.similarity [--sizes N ...] [--others N] [--repeat N] [--records N] [--json]`. Tenants of these
sizes live among others that hold `--others` vectors in all and buy from the same merchants (`_vector_data.py` says how
vectors are made), in the embedded PostgreSQL as it comes. Recall is of the 10 nearest by exact comparison. `sortation`
asks for 500 vectors at once through the storage port, as the app's role under row-level security; `scan` compares with
each of the tenant's vectors in the database; `one index` is an HNSW index of the same make over everybody's, filtered
by tenant, with pgvector's iterative scans off and on, and without row-level security; `numpy` has the tenant's in
memory. Medians of repeats; on one thread of NumPy, as in workers.

Last, `--records` records go through the whole service (two worker processes), of which 85, 10 and 1 % have new texts:
`_pipeline.py` says what they are like. From the upload until each is decided or asked about, and the part of that in
which records are sorted; per CPU second of all its processes, the database's among them; and the share of these that
embedding takes.
"""

from __future__ import annotations

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")  # before NumPy is imported

import argparse
import json
import random
import tempfile
from pathlib import Path

import numpy as np

from adapters.embedded.postgres import EmbeddedPostgres
from adapters.onnx.embedder import OnnxEmbedder
from adapters.postgres import engine
from adapters.postgres.migrate import migrate
from adapters.postgres.unit_of_work import PostgresUnitOfWork
from adapters.system import SystemIds
from benchmarks._embedding import embedding_speed
from benchmarks._pipeline import pipeline_speed
from benchmarks._vector_data import texts
from benchmarks._vector_search import World, search_speed

SHARES = (0.85, 0.1, 0.01)
EMBEDDED = 4_800
"""Texts that are embedded by the model; all other vectors are made of these."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sizes", type=int, nargs="+", default=[1_500, 20_000, 100_000])
    parser.add_argument("--others", type=int, default=300_000)
    parser.add_argument("--cold", type=int, default=2_000)
    parser.add_argument("--cached", type=int, default=20_000)
    parser.add_argument("--repeat", type=int, default=5)
    parser.add_argument("--records", type=int, default=20_000)
    parser.add_argument("--lessons", type=int, default=4_000)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        server = EmbeddedPostgres(Path(folder))
        try:
            urls = server.start()
            migrate(urls.owner, urls.app, urls.system)
            app = engine.create(urls.app, pool_size=1)
            uow = PostgresUnitOfWork(app, SystemIds())
            embedding = embedding_speed(uow, options.cold, options.cached, options.repeat)
            app.dispose()
            if not options.json:
                print(f"embedded anew     {embedding['cold_per_cpu_second']:>10,.0f} texts per CPU second")
                print(f"out of the cache  {embedding['cached_per_second']:>10,.0f} texts/s", flush=True)
            embedded = np.array(OnnxEmbedder().embed(texts(EMBEDDED, random.Random(2))), dtype=np.float32)
            search = search_speed(World(urls, embedded, options.sizes, options.others), options.repeat)
        finally:
            server.stop()
        cold = embedding["cold_per_cpu_second"]
        records = pipeline_speed(Path(folder) / "service", SHARES, options.records, options.lessons, cold)
    if options.json:
        print(json.dumps({"embedding": embedding, **search, "records": records}))
        return
    for one in records:
        print(
            f"{one['new_texts']:>4.0%} new texts   {one['sorted_per_second']:>9,} records/s"
            f" ({one['process_per_second']:,} while sorting), {one['per_cpu_second']:,} per CPU second,"
            f" {one['embedding_share']:.0%} of that embedding; {one['decided_alone']:.0%} decided alone"
        )


if __name__ == "__main__":
    main()
