"""Reports of very many records: rows a second and peak memory, beside fetching all as objects and Python's csv.writer.

`python -m benchmarks.reports [--records N] [--json]`. Each format is made by a process of its own, as a worker does:
the job is claimed, its files written and told. What the cash flow says is compared with SQL's sums, to the cent.
"""

from __future__ import annotations

import argparse
import csv
import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from uuid import UUID

import psycopg
from sqlalchemy import select

from adapters.embedded.postgres import EmbeddedPostgres
from adapters.files.store import FsspecFileStore
from adapters.postgres.engine import create
from adapters.postgres.migrate import migrate
from adapters.postgres.record_rows import to_record
from adapters.postgres.tables import records
from adapters.postgres.unit_of_work import PostgresUnitOfWork, set_tenant
from adapters.reports.writers import FileWriters
from adapters.system import SystemClock, SystemIds
from core.domain.categories import Category
from core.domain.connections import Connection
from core.domain.report_periods import Granularity, Relative
from core.domain.reports import Format, ReportKind, ReportSpec
from core.domain.spreadsheets import RECORD_COLUMNS, cell
from core.domain.tenants import Tenant, TenantSettings, worker_actor
from core.usecases.reports import generate_report, start_report

FORMATS = ("csv", "json", "xlsx", "html")
CATEGORIES = 60

FILL = """
    INSERT INTO records (
        tenant_id, id, connection_id, kind, account, external_id, occurred_on, text, counterparty, amount, currency,
        attributes, raw, pending, status, category_id, stage, confidence, selection_probability, tags, created_at,
        updated_at, version
    )
    SELECT %(tenant)s, gen_random_uuid(), %(connection)s, 'transaction', 'giro', n::text,
           date '2025-01-01' + (random() * 364)::int, 'PURCHASE AT SHOP ' || n, 'SHOP ' || n %% 5000,
           round((random() * 400 - 300)::numeric, 2), (ARRAY['EUR', 'USD', 'CHF'])[1 + n %% 3],
           jsonb_build_object('reference', n, 'note', CASE WHEN n %% 50 = 0 THEN '=formula' ELSE 'card' END), '{{}}',
           false, 'processed', (%(categories)s::uuid[])[1 + n %% 60], 'rules', 0.97, 0.02, '{{}}', now(), now(), 2
    FROM generate_series({first}, {last}) AS n
"""
SUMS = """
    SELECT currency, sum(amount) FILTER (WHERE amount > 0), sum(amount) FILTER (WHERE amount < 0), count(*)
    FROM records GROUP BY 1 ORDER BY 1
"""


def fill(url: str, superuser: str, count: int) -> UUID:
    """A tenant with so many records of a year, in three currencies and 60 categories."""
    ids, clock = SystemIds(), SystemClock()
    actor, engine = worker_actor(ids.new()), create(url, pool_size=1)
    uow, connection_id, categories = PostgresUnitOfWork(engine, ids), ids.new(), ids.batch(CATEGORIES)
    now, tenant = clock.now(), actor.tenant_id
    with uow.begin(actor) as tx:
        tx.tenants.add(
            Tenant(
                id=tenant,
                name="Very many",
                time_zone="Europe/Berlin",
                settings=TenantSettings(),
                rules_version=1,
                created_at=now,
                version=1,
            )
        )
        named = {"tenant_id": tenant, "created_at": now, "version": 1}
        tx.connections.add(Connection(id=connection_id, connector="csv", name="Statements", config={}, **named))
        tx.categories.add(
            [
                Category(id=id, parent_id=None, key=f"c{n}", name=f"Category {n}", description="", **named)
                for n, id in enumerate(categories)
            ]
        )
        tx.commit()
    engine.dispose()
    given = {"tenant": tenant, "connection": connection_id, "categories": list(categories)}
    with psycopg.connect(superuser, autocommit=True) as connection:
        for first in range(0, count, 100_000):
            connection.execute(FILL.format(first=first, last=min(first + 100_000, count) - 1), given)
        connection.execute("VACUUM ANALYZE")
    return tenant


def make(url: str, tenant: UUID, folder: str, kind: str, format: str) -> dict[str, float]:
    """The child's work: a report, by the use cases."""
    ids, clock = SystemIds(), SystemClock()
    uow, actor = PostgresUnitOfWork(create(url, pool_size=2), ids), worker_actor(tenant)
    spec = ReportSpec(
        kind=ReportKind(kind), period=Relative.EVER, granularity=Granularity.YEAR, formats=(Format(format),)
    )
    run = start_report(actor, spec=spec, max_attempts=1, uow=uow, clock=clock, ids=ids)
    with uow.begin(actor) as tx:
        job = tx.jobs.claim(run.job_id, ids.new(), 600)
        tx.commit()
    assert job is not None
    start = time.perf_counter()
    generate_report(job, uow=uow, files=FsspecFileStore(Path(folder).as_uri()), writers=FileWriters(), clock=clock)
    seconds = time.perf_counter() - start
    with uow.begin(actor) as tx:
        done = tx.reports.get(run.id)
    return told(seconds, done.rows or 0) | {"bytes": done.files[0].bytes, "path": done.files[0].path}


def naive(url: str, tenant: UUID, folder: str) -> dict[str, float]:
    """All rows as dataclasses, then csv.writer."""
    start = time.perf_counter()
    with create(url, pool_size=1).connect() as connection:
        set_tenant(connection, worker_actor(tenant))
        query = select(records).where(records.c.tenant_id == tenant).order_by(records.c.occurred_on, records.c.id)
        found = [to_record(row) for row in connection.execute(query).mappings()]
    with (Path(folder) / "naive.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(RECORD_COLUMNS)
        names = [name for name in RECORD_COLUMNS if name != "category"]
        for record in found:
            writer.writerow([cell(getattr(record, name)) for name in names])
    return told(time.perf_counter() - start, len(found))


def told(seconds: float, rows: int) -> dict[str, float]:
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return {"rows": rows, "seconds": round(seconds, 2), "rows_a_second": round(rows / seconds), "peak_mb": round(peak)}


def child(*arguments: str) -> dict[str, float]:
    command = [sys.executable, "-m", "benchmarks.reports", "--child", *arguments]
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    if ended.returncode:
        raise SystemExit(ended.stderr)
    found: dict[str, float] = json.loads(ended.stdout)
    return found


def exact(superuser: str, file: Path) -> bool:
    """Whether the cash flow of the year says what SQL's sums say."""
    with psycopg.connect(superuser) as connection:
        expected = [(row[0], row[1], row[2], row[3]) for row in connection.execute(SUMS)]
    with file.open(newline="") as lines:
        rows = [(r["currency"], r["incoming"], r["outgoing"], int(r["records"])) for r in csv.DictReader(lines)]
    return [(r[0], f"{r[1]}", f"{r[2]}", r[3]) for r in expected] == rows


def measure(folder: Path, count: int) -> dict[str, dict[str, float]]:
    server = EmbeddedPostgres(folder / "database")
    urls, files = server.start(), folder / "files"
    files.mkdir()
    try:
        migrate(urls.owner, urls.app, urls.system)
        tenant = fill(urls.app, urls.superuser, count)
        found = {format: child(urls.app, str(tenant), str(files), "records", format) for format in FORMATS}
        found["naive csv"] = child(urls.app, str(tenant), str(files), "naive", "csv")
        for kind in ("categories", "cash_flow", "counterparties", "recurring"):
            found[kind] = child(urls.app, str(tenant), str(files), kind, "csv")
        if not exact(urls.superuser, files / str(found["cash_flow"]["path"])):
            raise SystemExit("the cash flow is not what SQL says")
        return found
    finally:
        server.stop()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--records", type=int, default=1_000_000)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--child", nargs=5, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child:
        url, tenant, folder, kind, format = options.child
        done = naive(url, UUID(tenant), folder) if kind == "naive" else make(url, UUID(tenant), folder, kind, format)
        print(json.dumps(done))
        return
    with tempfile.TemporaryDirectory() as folder:
        found = measure(Path(folder), options.records)
    if options.json:
        print(json.dumps(found))
        return
    for name, one in found.items():
        print(f"{name:15} {one['seconds']:>7} s {one['rows']:>10,} rows {one['peak_mb']:>6,} MB at most")
    faster = found["csv"]["rows_a_second"] / found["naive csv"]["rows_a_second"]
    smaller = found["naive csv"]["peak_mb"] / found["csv"]["peak_mb"]
    print(f"CSV: {found['csv']['rows_a_second']:,} rows a second")
    print(f"CSV is {faster:.1f} times as fast as the naive way, in {smaller:.1f} times less memory")
    print("the cash flow is what SQL says, to the cent")


if __name__ == "__main__":
    main()
