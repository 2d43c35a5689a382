"""Statements whose balances differ from what was read: the import is done, and tells it once."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import pytest

from core.domain.connections import ImportStatus
from core.domain.tenants import Actor
from core.usecases import ingest
from entrypoints.api.app import create_app
from entrypoints.container import Container
from entrypoints.worker.inline import drain
from tests.integration.api_support import LEASE_RUNS_OUT, new_tenant

STATEMENT = (Path(__file__).parent.parent / "data" / "statement.sta").read_bytes()
GAP = {
    "account": "10020030/0123456789",
    "currency": "EUR",
    "opening": "3941.60",
    "closing": "3928.50",
    "total": "-10.00",
    "gap": "-3.10",
}


@pytest.fixture
def actor(container: Container) -> Actor:
    tenant, _ = container.create_tenant("Gaps")
    return Actor(tenant_id=tenant.id, name="a tester")


def test_an_import_and_a_dry_run_tell_the_statements_that_do_not_add_up(container: Container, actor: Actor) -> None:
    dry = container.dry_run_import(actor, [STATEMENT], filename="x.sta")
    assert (dry.connector, dry.new, dry.gaps) == ("mt940", 4, (GAP,))
    imported = container.receive_import(actor, [STATEMENT], filename="x.sta")
    assert imported.gaps == ()
    drain(container, actor.tenant_id)
    done = container.get_import(actor, imported.id)
    assert (done.status, done.inserted, done.gaps) == (ImportStatus.DONE, 4, (GAP,))


@pytest.mark.parametrize("killed_at", [1, 2, 4])
def test_a_read_that_was_killed_between_batches_tells_each_gap_once(
    container: Container, actor: Actor, monkeypatch: pytest.MonkeyPatch, killed_at: int
) -> None:
    class Killed(BaseException):
        """As a kill: nothing is caught, nothing is noted."""

    from entrypoints.worker.runner import run_job

    monkeypatch.setattr(ingest, "BATCH", 1)
    store = ingest.store_batch
    calls: list[int] = []

    def brittle(*args: Any, **rest: Any) -> Any:
        calls.append(1)
        if len(calls) == killed_at:
            raise Killed
        return store(*args, **rest)

    monkeypatch.setattr(ingest, "store_batch", brittle)
    broken = STATEMENT.replace(b":62F:C260302EUR3941,60", b":62F:C260302EUR3941,00")
    imported = container.receive_import(actor, [broken], filename="x.sta")
    with container.system().take_due(share=10, limit=10) as due:
        [(tenant_id, job_id, _, _)] = list(due)
    with pytest.raises(Killed):
        run_job(container, tenant_id, job_id)
    with container.app_engine().begin() as connection:  # the lease runs out
        connection.exec_driver_sql(f"SELECT set_config('app.tenant_id', '{tenant_id}', true)")
        connection.exec_driver_sql(LEASE_RUNS_OUT, (tenant_id,))
    assert container.reap_jobs() == 1
    drain(container, actor.tenant_id)
    done = container.get_import(actor, imported.id)
    assert (done.status, done.inserted) == (ImportStatus.DONE, 4)
    assert [gap["gap"] for gap in done.gaps] == ["-0.60", "-3.10"]


def test_the_api_tells_gaps_with_the_import_and_with_a_dry_run(container: Container) -> None:
    api = new_tenant(container, create_app(container).test_client())

    def sent(query: str) -> Any:
        return api.call("POST", f"/imports{query}", data={"file": (io.BytesIO(STATEMENT), "x.sta")}).json

    assert sent("?dry_run=true")["gaps"] == [GAP]
    received = sent("")
    assert received["gaps"] == []
    api.drain()
    assert api.get(f"/imports/{received['id']}")["gaps"] == [GAP]
