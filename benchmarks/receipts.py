"""How good and how fast receipts are matched with records.

`python -m benchmarks.receipts [--fit] [--records N] [--receipts N] [--json]`. Quality is told on made-up tenants that
the weights were not fitted on, as usual, with worse receipts, and with very many purchases: Brier score, expected
calibration error, and of suggestions by score how many are right; beside the naive way, which suggests what has the
same amount within three days, all alike. `--fit` fits the weights anew and prints them. Speed is told over real
storage, beside a query for each receipt.
"""

from __future__ import annotations

import argparse
import json
import random
import tempfile
import time
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from itertools import pairwise
from pathlib import Path
from typing import Any
from uuid import UUID

import numpy as np
import psycopg
from scipy.optimize import minimize

from adapters.embedded.postgres import EmbeddedPostgres
from adapters.postgres import engine
from adapters.postgres.migrate import migrate
from adapters.postgres.unit_of_work import PostgresUnitOfWork
from adapters.system import SystemIds
from benchmarks._receipt_data import DENSE, START, USUAL, WORSE, Case, Habits, cases
from core.domain.connections import Connection
from core.domain.receipt_matching import CANDIDATES, LEAST, WEIGHTS, Weights, features, scores, window_of
from core.domain.receipts import Candidate, Receipt, ReceiptSource, ReceiptState, Said
from core.domain.records import Draft, chunked
from core.domain.tenants import Actor, Tenant, TenantSettings, worker_actor
from core.usecases.receipt_jobs import PAGE
from core.usecases.shared.receipts import match
from core.usecases.shared.storing import BATCH
from ports.storage import RecordFilter

FITTED_ON, TRIED_ON = range(40), range(1_000, 1_020)
"""Seeds of tenants."""
BANDS = (0.05, 0.2, 0.5, 0.8, 0.95, 1.01)
RIDGE = 0.02
"""Of the weights' squares, for all receipts: what no data tell stays near 0."""
NAMES = tuple(Weights.__slots__)


def fit(given: Sequence[Case]) -> Weights:
    """Those under which what the receipts are of, or that they are of none, is likeliest."""
    asked = [case for case in given if case.candidates]
    inputs = np.array([features(c.said, c.uploaded_on, one, len(c.candidates)) for c in asked for one in c.candidates])
    sizes = np.array([len(case.candidates) for case in asked])
    starts = np.concatenate(([0], np.cumsum(sizes)[:-1]))
    of_case = np.repeat(np.arange(len(asked)), sizes)
    right = np.array([one.record_id == case.record_id for case in asked for one in case.candidates])

    def loss(weights: Any) -> tuple[float, Any]:
        logits = inputs @ weights
        odds = np.exp(np.clip(logits, -500, 500))
        whole = 1.0 + np.add.reduceat(odds, starts)
        told = np.log(whole).sum() - logits[right].sum() + RIDGE * (weights**2).sum()
        slope = inputs.T @ (odds / whole[of_case]) - inputs[right].sum(axis=0) + 2 * RIDGE * weights
        return float(told), slope

    found = minimize(loss, np.zeros(len(NAMES)), jac=True, method="L-BFGS-B", options={"maxiter": 2_000})
    return Weights(**dict(zip(NAMES, (round(float(w), 2) for w in found.x), strict=True)))


Suggested = Callable[[Case], Iterable[tuple[Candidate, float]]]


def fitted(weights: Weights) -> Suggested:
    return lambda case: scores(case.said, case.uploaded_on, case.candidates, weights)


def naive(case: Case) -> list[tuple[Candidate, float]]:
    """The same amount, at most three days away, all as likely as each other."""
    near = case.said.day or case.uploaded_on
    same = [c for c in case.candidates if abs(c.amount) == case.said.amount and abs((c.day - near).days) <= 3]
    return [(candidate, 1 / len(same)) for candidate in same]


def quality(habits: Habits, suggested: Suggested) -> dict[str, Any]:
    given = [case for seed in TRIED_ON for case in cases(seed, habits)]
    pairs: list[tuple[float, bool]] = []
    first = 0
    for case in given:
        ranked = list(suggested(case))
        of_record = {one.record_id: score for one, score in ranked}
        pairs += [(of_record.get(one.record_id, 0.0), one.record_id == case.record_id) for one in case.candidates]
        first += bool(ranked) and ranked[0][1] >= LEAST and ranked[0][0].record_id == case.record_id
    everything, all_right = np.array([s for s, _ in pairs]), np.array([r for _, r in pairs], float)
    score, right = everything[everything >= LEAST], all_right[everything >= LEAST]
    there = sum(case.record_id is not None for case in given)
    bands = [(low, high, (score >= low) & (score < high)) for low, high in pairwise(BANDS)]
    return {
        "receipts": len(given),
        "with a record": there,
        "suggestions": len(score),
        "record is suggested first": round(first / there, 4),
        "brier, of all candidates": round(float(((everything - all_right) ** 2).mean()), 4),
        "ece": round(_ece(score, right), 4),
        "right by score": {
            f"{low:g} to {min(high, 1):g}": [int(inside.sum()), round(float(right[inside].mean()), 3)]
            for low, high, inside in bands
            if inside.any()
        },
    }


def _ece(score: Any, right: Any) -> float:
    """How far the share of right ones is from the mean score, over ten bins of scores, each by its size."""
    bins = np.minimum((score * 10).astype(int), 9)
    return float(
        sum(
            abs(score[bins == n].mean() - right[bins == n].mean()) * (bins == n).mean()
            for n in range(10)
            if (bins == n).any()
        )
    )


def speed(records: int, receipts: int) -> dict[str, Any]:
    """Receipts a second, matched `PAGE` at once, and by a query for each."""
    with tempfile.TemporaryDirectory() as folder:
        server = EmbeddedPostgres(Path(folder))
        urls = server.start()
        try:
            migrate(urls.owner, urls.app, urls.system)
            made = engine.create(urls.app, pool_size=2)
            uow, ids = PostgresUnitOfWork(made, SystemIds()), SystemIds()
            actor = worker_actor(ids.new())
            kept = _filled(uow, actor, records, receipts)
            with psycopg.connect(urls.superuser, autocommit=True) as superuser:
                superuser.execute("ANALYZE")
            at_once = _seconds(lambda: _matched(uow, actor, kept))
            each = _seconds(lambda: _by_queries(uow, actor, kept[:PAGE]))
            made.dispose()
        finally:
            server.stop()
    return {
        "records": records,
        "receipts": receipts,
        "receipts a second": round(receipts / at_once),
        "by a query each": round(min(receipts, PAGE) / each),
    }


def _filled(uow: PostgresUnitOfWork, actor: Actor, records: int, receipts: int) -> list[Receipt]:
    """A tenant with records of five years, and receipts of some of them."""
    chance, ids, now = random.Random(5), SystemIds(), datetime.now(UTC)
    connection_id = ids.new()
    tenant = Tenant(
        id=actor.tenant_id,
        name="Harbour Books",
        time_zone="Europe/Berlin",
        settings=TenantSettings(),
        rules_version=0,
        created_at=now,
        version=1,
    )
    source = Connection(
        id=connection_id, tenant_id=tenant.id, connector="csv", name="Bank", config={}, created_at=now, version=1
    )
    with uow.begin(actor) as tx:
        tx.tenants.add(tenant)
        tx.connections.add(source)
        tx.commit()
    paid: list[tuple[date, Decimal, str]] = []
    for start in range(0, records, BATCH):
        drafts = []
        for n in range(start, min(start + BATCH, records)):
            day = START - timedelta(days=chance.randrange(5 * 365))
            amount = Decimal(round(chance.lognormvariate(3, 1), 2)).quantize(Decimal("0.01"))
            text = f"MERCHANT {chance.randrange(2_000)} BERLIN"
            paid.append((day, amount, text))
            drafts.append(
                (ids.new(), Draft(text=text, occurred_at=day, amount=-amount, currency="EUR", external_id=str(n)), day)
            )
        with uow.begin(actor) as tx:
            tx.records.store(drafts, connection_id=connection_id, import_id=ids.new())
            tx.commit()
    kept = []
    with uow.begin(actor) as tx:
        for n, (day, amount, text) in enumerate(chance.sample(paid, receipts)):
            said = Said(amount=amount, currency="EUR", day=day if n % 5 else None, merchant=text[:-7])
            kept.append(
                tx.receipts.add(_receipt(ids, actor, n, said, datetime(day.year, day.month, day.day, 12, tzinfo=UTC)))
            )
        tx.commit()
    return kept


def _receipt(ids: SystemIds, actor: Actor, n: int, said: Said, at: datetime) -> Receipt:
    return Receipt(
        id=ids.new(),
        tenant_id=actor.tenant_id,
        filename="receipt.png",
        mime_type="image/png",
        bytes=1,
        sha256=f"{n:064x}",
        source=ReceiptSource.UPLOAD,
        connection_id=None,
        uploaded_by="a benchmark",
        uploaded_at=at,
        state=ReceiptState.PICTURE,
        failure=None,
        said=said,
        by_person=(),
        links=0,
        version=1,
    )


def _matched(uow: PostgresUnitOfWork, actor: Actor, receipts: Sequence[Receipt]) -> None:
    for some in chunked(receipts, PAGE):
        with uow.begin(actor) as tx:
            match(tx, some, tx.tenants.get().zone)
            tx.commit()


def _by_queries(uow: PostgresUnitOfWork, actor: Actor, receipts: Sequence[Receipt]) -> None:
    """As one would who lists records by amount and day for each receipt, and compares them."""
    with uow.begin(actor) as tx:
        for receipt in receipts:
            window = window_of(receipt.said, receipt.uploaded_at.date())
            assert window is not None
            found: dict[UUID, float] = {}
            for low, high in ((-window.highest, -window.lowest), (window.lowest, window.highest)):
                where = RecordFilter(since=window.since, until=window.until, min_amount=low, max_amount=high)
                for row in tx.records.page(where, after=None, limit=CANDIDATES):
                    found[row["id"]] = 1 / CANDIDATES
            tx.receipts.suggest({receipt.id: found})
        tx.commit()


def _seconds(work: Callable[[], object]) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--fit", action="store_true")
    parser.add_argument("--records", type=int, default=100_000)
    parser.add_argument("--receipts", type=int, default=5_000)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    weights = WEIGHTS
    if options.fit:
        worlds = (USUAL, USUAL, WORSE, DENSE)
        weights = fit([case for seed in FITTED_ON for case in cases(seed, worlds[seed % len(worlds)])])
        print("\n".join(f"    {name}={getattr(weights, name)}," for name in NAMES))
    found = {
        f"{name}, {by}": quality(habits, suggested)
        for name, habits in (("as usual", USUAL), ("worse receipts", WORSE), ("many purchases", DENSE))
        for by, suggested in (("fitted", fitted(weights)), ("naive", naive))
    }
    found["speed"] = speed(options.records, options.receipts)
    if options.json:
        print(json.dumps(found))
        return
    for what, told in found.items():
        print(what)
        for name, value in told.items():
            print(f"  {name}: {value}")


if __name__ == "__main__":
    main()
