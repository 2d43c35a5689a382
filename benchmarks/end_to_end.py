"""End to end: a CSV goes up, until every record of it is decided by rules; beside a raw COPY of the same rows.

`python -m benchmarks.end_to_end [--records N] [--repeat N] [--json]`. The whole service runs as its processes do: API,
relay, two worker processes, PostgreSQL, Valkey. Texts are distinct; a last rule takes what the starter pack leaves,
so that nothing waits for a person. The raw COPY writes the same rows into a table without indexes.
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
from pathlib import Path

import psycopg

from tests.stack import ROOT, Stack, running_stack

WORKERS = 2


def statement(records: int, seed: int) -> bytes:
    """Rows in the manner of the example statement, each text made distinct by a number."""
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
        row[described] = f"{row[described]} {chance.randrange(10**6):06} {n}"
        if referred is not None:
            row[referred] = f"REF{seed}-{n:07}"
        writer.writerow(row)
    return out.getvalue().encode()


def sort(stack: Stack, records: int, seed: int) -> float:
    """Seconds from the upload's first byte until all records are decided."""
    stack.new_tenant(f"Benchmark {seed}")
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
    payload = statement(records, seed)
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
            sorted_in.append(sort(stack, options.records, seed))
            copied_in.append(raw_copy(stack))
    result = {
        "records": options.records,
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
