"""The promise and the dashboard over very many records; beside counting the records themselves, the naive way.

`python -m benchmarks.promise [--records N] [--json]`. Written straight into the tables: a year of records, of which
70 % were decided alone, each checked with a chance between 1 and 10 % and answered; the rest was asked about.
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import psycopg
from sqlalchemy import create_engine, text

from adapters.embedded.postgres import EmbeddedPostgres
from adapters.postgres.agreements import PostgresAgreements
from adapters.postgres.billing_system import PostgresBillingSystem
from adapters.postgres.engine import create
from adapters.postgres.migrate import migrate
from adapters.postgres.people import PostgresPeople
from adapters.postgres.privacy import PostgresPrivacy
from adapters.postgres.system import PostgresSystem
from adapters.postgres.unit_of_work import PostgresUnitOfWork
from adapters.system import SystemClock, SystemIds
from adapters.system.kept import KeptByKey
from core.domain.billing import Terms
from core.domain.plans import UNLIMITED, Catalog
from core.usecases.dashboard import show_dashboard
from core.usecases.promise import show_promise
from tests.contract.storage import Storage

REPEAT = 5
WAITING = 0.3
"""Of the records that a person was asked about: those that still wait."""

FILL = """
    INSERT INTO records (
        tenant_id, id, connection_id, kind, account, external_id, occurred_on, text, counterparty, attributes, raw,
        pending, status, category_id, stage, confidence, selection_probability, reasoning_trace, tags, created_at,
        updated_at, version
    )
    SELECT %(tenant)s, gen_random_uuid(), %(connection)s, 'transaction', 'giro', n::text, current_date,
           'PURCHASE AT SHOP ' || n, 'SHOP ' || n %% 5000, '{{}}', jsonb_build_object('line', repeat('x', 200)), false,
           CASE WHEN alone AND NOT checked THEN 'processed' ELSE 'approved' END,
           %(category)s, CASE WHEN alone AND NOT checked THEN stage ELSE 'human' END, 0.97,
           CASE WHEN alone THEN chance ELSE 1 END,
           jsonb_build_object('reason', repeat('why ', 20), 'stages', jsonb_build_array(
               jsonb_build_object('stage', stage, 'outcome', CASE WHEN alone THEN 'decided' ELSE 'unsure' END,
                                  'reason', repeat('because ', 20), 'candidates', jsonb_build_array(
                   jsonb_build_object('category_id', gen_random_uuid(), 'confidence', 0.9, 'source', 'rule'),
                   jsonb_build_object('category_id', gen_random_uuid(), 'confidence', 0.1, 'source', 'rule')
               ))
           )),
           '{{}}', at, at, 3
    FROM (
        SELECT n, random() < 0.7 AS alone, random() < chance AS checked, chance, stage,
               now() - random() * '330 days'::interval AS at
        FROM (
            SELECT n, 0.01 * 10 ^ random() AS chance,
                   (ARRAY['rules', 'similarity', 'llm'])[1 + floor(random() * 3)::int] AS stage
            FROM generate_series({first}, {last}) AS n
        ) drawn
    ) made
"""
ASK = """
    INSERT INTO approvals (
        tenant_id, id, record_id, reason, suggested_id, confidence, urgency, group_key, verdict, category_id,
        decided_by, decided_at, created_at
    )
    SELECT tenant_id, gen_random_uuid(), id, CASE WHEN selection_probability < 1 THEN 'spot_check' ELSE 'unsure' END,
           %(category)s, 0.9, 0.5, md5(id::text), CASE WHEN waiting THEN NULL ELSE 'approve' END,
           CASE WHEN random() < 0.95 THEN %(category)s ELSE gen_random_uuid() END, 'reviewer', created_at, created_at
    FROM (SELECT *, random() < %(waiting)s AS waiting FROM records WHERE status = 'approved') AS asked
"""
COUNT = """
    INSERT INTO daily_counts (tenant_id, day, stage, status, records)
    SELECT tenant_id, created_at::date, CASE WHEN selection_probability < 1 THEN
               reasoning_trace -> 'stages' -> 0 ->> 'stage' ELSE '' END AS s,
           CASE WHEN selection_probability < 1 THEN 'processed' ELSE 'needs_review' END, count(*)
    FROM records GROUP BY 1, 2, 3, 4
"""
NAIVE = text("""
    SELECT date_trunc('month', r.created_at AT TIME ZONE 'Europe/Berlin') AS month,
           r.reasoning_trace #>> '{stages,0,stage}' AS stage, count(*),
           sum(1 / r.selection_probability) FILTER (WHERE a.reason = 'spot_check') AS weight
    FROM records r LEFT JOIN approvals a ON a.tenant_id = r.tenant_id AND a.record_id = r.id AND a.verdict IS NOT NULL
    WHERE r.tenant_id = :tenant GROUP BY 1, 2
""")


def seconds(work: Callable[[], object]) -> float:
    taken = []
    for _ in range(REPEAT):
        start = time.perf_counter()
        work()
        taken.append(time.perf_counter() - start)
    return round(statistics.median(taken), 3)


def measure(folder: Path, records: int) -> dict[str, float]:
    server = EmbeddedPostgres(folder)
    urls = server.start()
    try:
        migrate(urls.owner, urls.app, urls.system)
        app, system = create(urls.app, pool_size=2), create(urls.system, pool_size=1)
        uow = PostgresUnitOfWork(app, SystemIds())
        storage = Storage(
            uow=uow,
            system=PostgresSystem(system, SystemIds()),
            people=PostgresPeople(system),
            privacy=PostgresPrivacy(app, system),
            billing=PostgresBillingSystem(system),
            agreements=PostgresAgreements(app, system),
            now=lambda: datetime.now(UTC),
        )
        actor = storage.tenant()
        given = {
            "tenant": actor.tenant_id,
            "connection": storage.connection(actor),
            "category": storage.category(actor),
            "waiting": WAITING,
        }
        with psycopg.connect(urls.superuser, autocommit=True) as superuser:
            for first in range(0, records, 100_000):
                superuser.execute(FILL.format(first=first, last=min(first + 100_000, records) - 1), given)
            superuser.execute(ASK, given)
            superuser.execute(COUNT)
            superuser.execute("VACUUM ANALYZE")

        def show() -> object:
            return show_promise(actor, months=12, uow=uow, clock=SystemClock())

        def dashboard() -> object:
            return show_dashboard(
                actor,
                terms=Terms(catalog=Catalog((UNLIMITED,)), base=UNLIMITED.key, grace=timedelta()),
                uow=uow,
                llm=None,
                clock=SystemClock(),
                kept=KeptByKey(seconds=0.0, most=1),
            )

        def naive() -> object:
            with counting.connect() as connection:
                return connection.execute(NAIVE, {"tenant": actor.tenant_id}).all()

        counting = create_engine(urls.superuser.replace("postgresql://", "postgresql+psycopg://"))
        shown = show_promise(actor, months=12, uow=uow, clock=SystemClock()).overall
        assert shown.estimate is not None
        found = {
            "records": records,
            "automated": shown.automated,
            "checked": shown.estimate.checked,
            "seconds": seconds(show),
            "dashboard_seconds": seconds(dashboard),
            "naive_seconds": seconds(naive),
        }
        for engine in (app, system, counting):
            engine.dispose()
        return found
    finally:
        server.stop()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--records", type=int, default=1_000_000)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        found = measure(Path(folder), options.records)
    if options.json:
        print(json.dumps(found))
        return
    print(f"{found['records']:,} records, {found['automated']:,} decided alone, {found['checked']:,} checked")
    print(f"the promise            {found['seconds']:>7} s")
    print(f"the dashboard, unkept  {found['dashboard_seconds']:>7} s")
    print(f"counting the records   {found['naive_seconds']:>7} s")


if __name__ == "__main__":
    main()
