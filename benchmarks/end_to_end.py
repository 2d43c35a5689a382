"""End to end: a CSV goes up, until every record of it is decided by rules; beside a raw COPY of the same rows.

`python -m benchmarks.end_to_end [--records N] [--repeat N] [--rules N] [--json]`. The whole service runs as its
processes do: API, relay, two worker processes, PostgreSQL, Valkey. Texts are distinct; a last rule takes what the
starter pack leaves, so that nothing waits for a person. `--rules` adds so many rules of the tenant's own, and makes
every second record one of a merchant that these are about. The raw COPY writes the same rows into a table without
indexes.
"""

from __future__ import annotations

import argparse
import csv
import io
import json
import random
import statistics
import tempfile
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from uuid import UUID

import psycopg

from adapters.postgres import engine
from adapters.postgres.unit_of_work import PostgresUnitOfWork
from adapters.system import SystemIds
from benchmarks import _rule_data
from core.domain.rules import Action
from core.domain.tenants import worker_actor
from tests.stack import ROOT, Stack, running_stack

WORKERS = 2


def statement(records: int, seed: int, merchants: Sequence[str] = ()) -> bytes:
    """Rows in the manner of the example statement, each text made distinct by a number; every second one of these
    merchants, if there are any."""
    chance = random.Random(seed)
    with (ROOT / "examples" / "statement.csv").open(newline="") as file:
        dialect = csv.Sniffer().sniff(file.read(4096), ";,\t")
        file.seek(0)
        rows = list(csv.DictReader(file, dialect=dialect))
    described = next(name for name in rows[0] if name.lower().startswith(("desc", "text", "purpose")))
    referred = next((name for name in rows[0] if name.lower().startswith("ref")), None)
    out = io.StringIO()
    writer = csv.DictWriter(out, rows[0].keys(), dialect=dialect, lineterminator="\n")
    writer.writeheader()
    for n in range(records):
        row = dict(chance.choice(rows))
        if merchants and n % 2:
            row[described] = chance.choice(merchants)
        row[described] = f"{row[described]} {chance.randrange(10**6):06} {n}"
        if referred is not None:
            row[referred] = f"REF{seed}-{n:07}"
        writer.writerow(row)
    return out.getvalue().encode()


def add_rules(stack: Stack, count: int) -> Sequence[str]:
    """Rules of the kinds that `benchmarks.rules` asks about, straight into the storage; returns their merchants."""
    made = engine.create(stack.services()["app_database_url"], pool_size=1)
    chance = random.Random(count)
    actor = worker_actor(UUID(stack.tenant_id))
    with PostgresUnitOfWork(made, SystemIds()).begin(actor) as tx:
        category_id = tx.categories.list()[0].id
        merchants = _rule_data.merchants(count, chance)
        rules = _rule_data.rules(count, merchants, chance)
        tx.rules.add([replace(r, tenant_id=actor.tenant_id, then=Action(category_id=category_id)) for r in rules])
        tx.commit()
    made.dispose()
    return merchants


def sort(stack: Stack, records: int, seed: int, rules: int = 0) -> float:
    """Seconds from the upload's first byte until all records are decided."""
    stack.new_tenant(f"Benchmark {seed}")
    merchants = add_rules(stack, rules)
    status, rule = stack.call(
        "POST",
        "/api/v1/rules",
        {
            "name": "everything else",
            "stage": "post",
            "when": {"field": "kind", "op": "equals", "value": "transaction"},
            "then": {"category": stack.call("GET", "/api/v1/categories?limit=1")[1]["items"][0]["id"]},
        },
    )
    assert status == 201, rule
    payload = statement(records, seed, merchants)
    start = time.perf_counter()
    stack.upload(payload)
    stack.wait_until(lambda: _processed(stack) == records, seconds=600)
    return time.perf_counter() - start


def _processed(stack: Stack) -> int:
    rows = stack.query("SELECT sum(records) FROM daily_counts WHERE status = 'processed'")
    return int(rows[0][0] or 0)


def raw_copy(stack: Stack) -> float:
    """Seconds that PostgreSQL takes to COPY the tenant's records, as bytes, into an unindexed table."""
    columns = "id, occurred_on, text, counterparty, amount, currency, account, external_id, attributes, raw"
    with psycopg.connect(stack.services()["app_database_url"]) as connection:
        connection.execute("SELECT set_config('app.tenant_id', %s, true)", [stack.tenant_id])
        with connection.cursor().copy(f"COPY (SELECT {columns} FROM records) TO STDOUT") as out:
            data = b"".join(bytes(block) for block in out)
        connection.execute(f"CREATE TEMPORARY TABLE raw_rows ON COMMIT DROP AS SELECT {columns} FROM records LIMIT 0")
        start = time.perf_counter()
        with connection.cursor().copy(f"COPY raw_rows ({columns}) FROM STDIN") as copy:
            copy.write(data)
        return time.perf_counter() - start


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--records", type=int, default=100_000)
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--rules", type=int, default=0)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    sorted_in, copied_in = [], []
    with (
        tempfile.TemporaryDirectory() as folder,
        running_stack(
            Path(folder) / "data", SORTATION_EMBEDDINGS="off", SORTATION_WORKER_CONCURRENCY=str(WORKERS)
        ) as stack,
    ):
        for seed in range(options.repeat):
            sorted_in.append(sort(stack, options.records, seed, options.rules))
            copied_in.append(raw_copy(stack))
    result = {
        "records": options.records,
        "rules": options.rules,
        "sorted_per_second": round(options.records / statistics.median(sorted_in)),
        "raw_copy_per_second": round(options.records / statistics.median(copied_in)),
        "ratio": round(statistics.median(sorted_in) / statistics.median(copied_in), 1),
        "seconds": [round(s, 2) for s in sorted_in],
    }
    if options.json:
        print(json.dumps(result))
    else:
        print(f"upload to all decided  {result['sorted_per_second']:>9,} records/s   (runs: {result['seconds']} s)")
        print(f"raw COPY, same rows    {result['raw_copy_per_second']:>9,} records/s")
        print(f"the whole way takes {result['ratio']} times as long as the COPY")


if __name__ == "__main__":
    main()
