"""Merging and removing a category that has very many records, and a page of the queue's groups; beside the naive
ways: records written back page by page, and every open item read to group it.

`python -m benchmarks.categories [--records N] [--json]`. Half of the records are history with an example each, half
were decided by a rule; then as many wait for a person, in groups of ten.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from uuid import UUID

from adapters.embedded.postgres import EmbeddedPostgres
from adapters.postgres.engine import create
from adapters.postgres.migrate import migrate
from adapters.postgres.people import PostgresPeople
from adapters.postgres.privacy import PostgresPrivacy
from adapters.postgres.system import PostgresSystem
from adapters.postgres.unit_of_work import PostgresUnitOfWork
from adapters.system import SystemIds
from core.domain.approvals import group_key
from core.domain.tenants import Actor
from core.usecases import catalog
from ports.storage import RecordFilter
from tests.contract.storage import Storage, a_draft, a_rule, asked, decided

BATCH = 5_000


def fill(storage: Storage, actor: Actor, category: UUID, count: int) -> None:
    """Records of the category: half of them history, half decided by a rule."""
    with storage.writing(actor) as tx:
        tx.rules.add([a_rule(storage.ids.new(), actor, category)])
    for start in range(0, count, BATCH):
        numbers = range(start, min(start + BATCH, count))
        drafts = [
            a_draft(f"{category}{n}", text=f"SHOP {n % 5_000} {n}", category="x" if n % 2 else None) for n in numbers
        ]
        new = storage.store(actor, drafts, categories={"x": category}).inserted
        with storage.writing(actor) as tx:
            tx.records.decide([decided(id, category) for id in new])


def ask(storage: Storage, actor: Actor, count: int) -> None:
    """Questions in groups of ten."""
    for start in range(0, count, BATCH):
        numbers = range(start, min(start + BATCH, count))
        drafts = [a_draft(f"q{n}", text="SHOP " + _letters(n // 10) + f" {n}") for n in numbers]
        new = storage.store(actor, drafts).inserted
        with storage.writing(actor) as tx:
            records = tx.records.get_many(new)
            tx.records.decide(
                [asked(r.id, confidence=(hash(r.id) % 900) / 1000, group_key=group_key(r)) for r in records]
            )


def _letters(n: int) -> str:
    return "".join("abcdefghij"[int(digit)] for digit in str(n))


def seconds(work: Callable[[], object]) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def naive_merge(storage: Storage, actor: Actor, category: UUID, into: UUID) -> None:
    with storage.writing(actor) as tx:
        while rows := tx.records.page(RecordFilter(category_id=category), after=None, limit=1_000):
            records = tx.records.get_many([row["id"] for row in rows])
            tx.records.update([replace(record, category_id=into) for record in records])


def naive_groups(storage: Storage, actor: Actor) -> int:
    found: Counter[str] = Counter()
    with storage.reading(actor) as tx:
        after = None
        while page := tx.approvals.queue(after=after, limit=1_000):
            found.update(approval.group_key for approval, _ in page)
            after = (page[-1][0].urgency, page[-1][0].id)
    return len(found.most_common(50))


def measure(count: int) -> dict[str, float]:
    with tempfile.TemporaryDirectory() as folder:
        server = EmbeddedPostgres(Path(folder))
        urls = server.start()
        try:
            migrate(urls.owner, urls.app, urls.system)
            app, system = create(urls.app, pool_size=2), create(urls.system, pool_size=1)
            ids = SystemIds()
            uow = PostgresUnitOfWork(app, ids)
            storage = Storage(
                uow=uow,
                system=PostgresSystem(system, ids),
                people=PostgresPeople(system),
                privacy=PostgresPrivacy(app, system),
                now=lambda: datetime.now(UTC),
            )
            actor = storage.tenant()
            first, second, third, fourth = (storage.category(actor, key) for key in "abcd")
            fill(storage, actor, first, count)
            fill(storage, actor, third, count)
            ask(storage, actor, count)
            groups = seconds(lambda: page_of_groups(storage, actor))
            slow_groups = seconds(lambda: naive_groups(storage, actor))
            merge = seconds(lambda: catalog.merge_category(actor, first, second, version=None, uow=uow, ids=ids))
            slow_merge = seconds(lambda: naive_merge(storage, actor, second, fourth))
            clock = _Clock()
            unsort = seconds(lambda: catalog.unsort_category(actor, third, version=None, uow=uow, clock=clock, ids=ids))
            app.dispose()
            system.dispose()
        finally:
            server.stop()
    return {
        "records": count,
        "merge_seconds": round(merge, 2),
        "naive_merge_seconds": round(slow_merge, 2),
        "unsort_seconds": round(unsort, 2),
        "groups_seconds": round(groups, 3),
        "naive_groups_seconds": round(slow_groups, 2),
    }


class _Clock:
    def now(self) -> datetime:
        return datetime.now(UTC)


def page_of_groups(storage: Storage, actor: Actor) -> int:
    with storage.reading(actor) as tx:
        return len(tx.approvals.groups(after=None, limit=50))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--records", type=int, default=100_000)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    result = measure(options.records)
    if options.json:
        print(json.dumps(result))
        return
    print(f"{options.records:,} records of a category, and as many questions in groups of ten")
    print(f"merge               {result['merge_seconds']:>7} s   (page by page {result['naive_merge_seconds']} s)")
    print(f"unsort              {result['unsort_seconds']:>7} s")
    print(f"50 groups           {result['groups_seconds']:>7} s   (read whole {result['naive_groups_seconds']} s)")


if __name__ == "__main__":
    main()
