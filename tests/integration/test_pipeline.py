"""The way of a record, on real parts: file, rules, similarity, LLM, review, example."""

from __future__ import annotations

import json
import tracemalloc
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, cast
from uuid import UUID

import pytest
from sqlalchemy.pool import QueuePool

from core.domain.approvals import Answer, Verdict
from core.domain.connections import MAX_REFUSALS, ImportStatus
from core.domain.decisions import Stage
from core.domain.events import EventFilter
from core.domain.jobs import JobStatus, Stream
from core.domain.permissions import GRANTABLE
from core.domain.records import Record, RecordStatus
from core.domain.tenants import Actor, TenantSettings
from core.errors import AlreadyDecided, Conflict, Invalid, UnknownFormat
from core.usecases.imports import MAX_DRY_RUN, dry_run_import
from core.usecases.shared import storing
from entrypoints.container import Container
from entrypoints.worker.inline import drain
from ports.connectors import PluginHost
from ports.embedder import Embedder
from ports.storage import RecordFilter
from tests.integration.api_support import LEASE_RUNS_OUT
from tests.stubs.llm_server import LlmStub

HEADER = "Date;Description;Amount;Currency\n"


@pytest.fixture
def actor(container: Container) -> Actor:
    settings = TenantSettings(trusted_packs=("bank",), spot_check_share=0.0, similarity_threshold=0.9)
    tenant, _ = container.create_tenant("Pipeline", time_zone="Europe/Berlin", settings=settings)
    return Actor(tenant_id=tenant.id, name="a tester", permissions=GRANTABLE)


def bring(container: Container, actor: Actor, *rows: str, header: str = HEADER, approved: bool = False) -> UUID:
    payload = header + "".join(f"{row}\n" for row in rows)
    imported = container.receive_import(actor, [payload.encode()], filename="x.csv", approved=approved)
    drain(container, actor.tenant_id)
    done = container.get_import(actor, imported.id)
    assert done.status is ImportStatus.DONE, done.failure
    return done.id


def records_of(container: Container, actor: Actor) -> dict[str, Record]:
    page = container.list_records(actor, RecordFilter(), after=None, limit=500)
    return {row["text"]: container.get_record(actor, row["id"]) for row in page}


def category_id(container: Container, actor: Actor, key: str) -> UUID:
    return next(c.id for c in container.list_categories(actor) if c.key == key)


def stages(record: Record) -> dict[str, str]:
    assert record.reasoning_trace is not None
    return {s["stage"]: s["outcome"] for s in record.reasoning_trace["stages"]}


def test_a_rule_decides_and_says_why(container: Container, actor: Actor) -> None:
    bring(container, actor, "2026-03-01;NETFLIX.COM 866-579;-12.99;EUR")
    [record] = records_of(container, actor).values()
    assert (record.status, record.stage) == (RecordStatus.PROCESSED, Stage.RULES)
    assert record.confidence == record.threshold == 1.0
    assert record.selection_probability == 0.0
    assert record.model_version is not None
    assert record.model_version.startswith("rules:")
    assert record.reasoning_trace is not None
    assert "rule" in record.reasoning_trace["reason"]
    assert stages(record) == {"rules": "decided"}
    hit = [r for r in container.list_rules(actor) if r.hits]
    assert [r.hits for r in hit] == [1]


def test_starter_rules_only_suggest_until_the_pack_is_trusted(container: Container) -> None:
    tenant, _ = container.create_tenant("Careful")
    actor = Actor(tenant_id=tenant.id, name="a tester")
    bring(container, actor, "2026-03-01;NETFLIX.COM;-12.99;EUR")
    [record] = records_of(container, actor).values()
    assert record.status is RecordStatus.NEEDS_REVIEW
    [item] = container.list_queue(actor, after=None, limit=10)
    assert item.approval.suggested_id is not None
    container.change_tenant(actor, version=None, settings=replace(tenant.settings, trusted_packs=("bank",)))
    bring(container, actor, "2026-03-02;NETFLIX.COM;-12.99;EUR", "2026-03-02;ZQX KIOSK;-2.99;EUR")
    assert [r.status for r in records_of(container, actor).values()].count(RecordStatus.PROCESSED) == 1


def test_what_no_stage_knows_goes_to_a_person_and_the_answer_teaches(container: Container, actor: Actor) -> None:
    bring(container, actor, "2026-03-01;ZQX QORBEL WUPPERTAL;-20.00;EUR")
    [record] = records_of(container, actor).values()
    assert record.status is RecordStatus.NEEDS_REVIEW
    assert stages(record) == {"rules": "unsure", "similarity": "unsure", "llm": "off"}
    assert record.selection_probability == 1.0
    [item] = container.list_queue(actor, after=None, limit=10)
    groceries = category_id(container, actor, "food.groceries")
    answer = Answer(approval_id=item.approval.id, verdict=Verdict.OVERRIDE, category_id=groceries)
    [settled] = container.decide_approvals(actor, [answer])
    assert (settled.status, settled.category_id) == (RecordStatus.OVERRIDDEN, groceries)
    with pytest.raises(AlreadyDecided):
        container.decide_approvals(actor, [answer])
    bring(
        container,
        actor,
        "2026-04-01;ZQX QORBEL, WUPPERTAL;-31.00;EUR",
        "2026-04-02;ZQX QURBEL KREFELD;-9.00;EUR",
    )
    found = records_of(container, actor)
    alike, distant = found["ZQX QORBEL, WUPPERTAL"], found["ZQX QURBEL KREFELD"]
    assert (alike.status, alike.stage, alike.category_id) == (RecordStatus.PROCESSED, Stage.SIMILARITY, groceries)
    assert alike.confidence is not None
    assert alike.threshold is not None
    assert alike.confidence >= alike.threshold
    assert alike.reasoning_trace is not None
    assert "ZQX QORBEL WUPPERTAL" in alike.reasoning_trace["reason"]
    assert distant.status is RecordStatus.NEEDS_REVIEW
    [waiting] = container.list_queue(actor, after=None, limit=10)
    assert waiting.approval.suggested_id == groceries
    assert 0 < waiting.approval.confidence < alike.threshold


def test_a_human_decision_is_never_changed_by_a_machine(container: Container, actor: Actor) -> None:
    payload = (HEADER + "2026-03-01;NETFLIX.COM;-12.99;EUR\n").encode()
    container.receive_import(actor, [payload], filename="x.csv")
    # Only the ingestion runs: the record waits for its chunk when the person decides.
    with container.system().take_due(share=10, limit=10) as due:
        jobs = list(due)
    from entrypoints.worker.runner import run_job

    for tenant_id, job_id, _, _ in jobs:
        run_job(container, tenant_id, job_id)
    [row] = container.list_records(actor, RecordFilter(), after=None, limit=10)
    rent = category_id(container, actor, "housing.rent")
    container.change_record(actor, row["id"], version=None, category_id=rent, tags=None, attributes=None)
    drain(container, actor.tenant_id)
    record = container.get_record(actor, row["id"])
    assert (record.status, record.category_id) == (RecordStatus.OVERRIDDEN, rent)


def test_history_that_is_sorted_already_teaches(container: Container, actor: Actor) -> None:
    header = "Date;Description;Amount;Currency;Category\n"
    bring(
        container,
        actor,
        "2026-01-03;WASCHSALON GLITZER;-7.00;EUR;food.groceries",
        "2026-01-09;KEGELBAHN ADLER;-19.00;EUR;Evenings out",
        header=header,
        approved=True,
    )
    assert {r.status for r in records_of(container, actor).values()} == {RecordStatus.APPROVED}
    assert "Evenings out" in {c.name for c in container.list_categories(actor)}
    bring(container, actor, "2026-02-03;WASCHSALON GLITZER;-7.50;EUR", "2026-02-08;KEGELBAHN  Adler;-23.00;EUR")
    found = records_of(container, actor)
    assert found["KEGELBAHN Adler"].stage == Stage.SIMILARITY
    kinds = Counter(e.type for e in container.list_events(actor, EventFilter(), after=0, limit=500))
    assert (kinds["INGESTED"], kinds["TX_APPROVED"], kinds["PROCESSED"]) == (4, 2, 2)


def test_overlapping_imports_add_nothing_twice_and_equal_purchases_stay_two(container: Container, actor: Actor) -> None:
    coffee = "2026-03-01;ZQX CAFE;-3.00;EUR"
    bring(container, actor, coffee, coffee, "2026-03-02;NETFLIX.COM;-12.99;EUR")
    again = bring(container, actor, coffee, coffee, "2026-03-03;SPOTIFY AB;-9.99;EUR")
    done = container.get_import(actor, again)
    assert (done.inserted, done.known) == (1, 2)
    assert len(container.list_records(actor, RecordFilter(), after=None, limit=50)) == 4


def test_what_is_stored_at_once_is_sorted_in_chunks(
    container: Container, actor: Actor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(storing, "CHUNK", 2)
    bring(container, actor, *(f"05.01.2026;Tesco Express {n};-{n + 1},00;GBP" for n in range(5)))
    chunks = [job for job in container.list_jobs(actor, limit=50) if job.stream is Stream.PROCESS]
    assert [job.status for job in chunks] == [JobStatus.DONE] * 3
    found = sorted(records_of(container, actor).values(), key=lambda r: r.id)
    assert [r.status for r in found] == [RecordStatus.PROCESSED] * 5
    ends = {(job.payload["first"], job.payload["last"]) for job in chunks}
    assert ends == {(str(found[a].id), str(found[b].id)) for a, b in ((0, 1), (2, 3), (4, 4))}


def test_a_dry_run_tells_and_keeps_nothing(container: Container, actor: Actor) -> None:
    bring(container, actor, "2026-03-01;ZQX CAFE;-3.00;EUR")
    payload = (HEADER + "2026-03-01;ZQX CAFE;-3.00;EUR\n2026-03-02;ZQX BAR;-9.00;EUR\nnonsense;ZQX;x;EUR\n").encode()
    told = container.dry_run_import(actor, [payload], filename="x.csv")
    assert (told.connector, told.new, told.known, told.refused) == ("csv", 1, 1, 1)
    assert len(container.list_records(actor, RecordFilter(), after=None, limit=50)) == 1
    assert len(container.list_imports(actor, before=None, limit=10)) == 1


def test_a_dry_run_remembers_and_reads_no_more_than_it_tells(container: Container, actor: Actor) -> None:
    bring(container, actor, "2026-03-01;ZQX CAFE;-3.00;EUR")  # spares the measurement what is loaded once
    tracemalloc.start()
    try:
        told = container.dry_run_import(actor, [b"{}\n" * (3 * MAX_DRY_RUN)], filename="x.ndjson")
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 15 << 20
    assert (told.new, told.known, len(told.refusals), told.complete) == (0, 0, MAX_REFUSALS, False)
    assert MAX_DRY_RUN <= told.refused < 2 * MAX_DRY_RUN


def test_a_dry_run_keeps_no_transaction_open_while_it_reads(container: Container, actor: Actor) -> None:
    open_while_reading: list[int] = []

    class Watched:
        def __init__(self, host: PluginHost) -> None:
            self._host = host

        def __getattr__(self, name: str) -> Any:
            if name == "connector":
                open_while_reading.append(cast(QueuePool, container.app_engine().pool).checkedout())
            return getattr(self._host, name)

    told = dry_run_import(
        actor,
        [(HEADER + "2026-03-01;ZQX CAFE;-3.00;EUR\n").encode()],
        filename="x.csv",
        uow=container.uow(),
        host=cast(PluginHost, Watched(container.host())),
        secrets=container.secrets(),
        clock=container.clock(),
        ids=container.ids(),
    )
    assert open_while_reading == [0]
    assert told.new == 1
    assert told.complete


def test_undo_removes_what_an_import_added_but_not_what_people_decided(container: Container, actor: Actor) -> None:
    import_id = bring(
        container,
        actor,
        "2026-03-01;ZQX ONE;-3.00;EUR",
        "2026-03-02;ZQX TWO;-4.00;EUR",
        "2026-03-03;NETFLIX.COM;-9;EUR",
    )
    kept = records_of(container, actor)["ZQX ONE"].id
    [item] = [i for i in container.list_queue(actor, after=None, limit=10) if i.record.id == kept]
    rent = category_id(container, actor, "housing.rent")
    container.decide_approvals(
        actor, [Answer(approval_id=item.approval.id, verdict=Verdict.OVERRIDE, category_id=rent)]
    )
    undone, removed, left = container.undo_import(actor, import_id)
    assert (undone.status, removed, left) == (ImportStatus.UNDONE, 2, 1)
    assert [r.id for r in records_of(container, actor).values()] == [kept]
    with pytest.raises(Conflict):
        container.undo_import(actor, import_id)
    again = bring(
        container,
        actor,
        "2026-03-01;ZQX ONE;-3.00;EUR",
        "2026-03-02;ZQX TWO;-4.00;EUR",
        "2026-03-03;NETFLIX.COM;-9;EUR",
    )
    assert container.get_import(actor, again).inserted == 2


def test_a_deleted_record_does_not_come_back(container: Container, actor: Actor) -> None:
    bring(container, actor, "2026-03-01;ZQX ONE;-3.00;EUR")
    [record] = records_of(container, actor).values()
    container.delete_record(actor, record.id, version=None)
    again = bring(container, actor, "2026-03-01;ZQX ONE;-3.00;EUR")
    assert container.get_import(actor, again).inserted == 0
    assert records_of(container, actor) == {}


class BrittleRules:
    """Rules that fail on one text, as a defect in a stage would."""

    def __init__(self, real: Any) -> None:
        self._real = real

    def evaluate(self, records: Sequence[Record], *rest: Any) -> Any:
        if any("POISON" in record.text for record in records):
            raise ZeroDivisionError("a defect in a stage")
        return self._real.evaluate(records, *rest)


class BrittleMatcher:
    def __init__(self, real: Any) -> None:
        self._real = real

    def ruleset(self, *asked: Any) -> Any:
        return BrittleRules(self._real.ruleset(*asked))


def test_a_poison_record_fails_alone(make_container: Callable[..., Container]) -> None:
    container = make_container()
    container.matcher.override(BrittleMatcher(container.matcher()))
    tenant, _ = container.create_tenant("Poisoned", settings=TenantSettings(trusted_packs=("bank",)))
    actor = Actor(tenant_id=tenant.id, name="a tester")
    rows = [f"2026-03-{1 + n:02};NETFLIX.COM {n};-12.99;EUR" for n in range(20)]
    bring(container, actor, *rows[:9], "2026-03-09;POISON;-1.00;EUR", *rows[9:])
    found = records_of(container, actor)
    poisoned = found.pop("POISON")
    assert poisoned.status is RecordStatus.FAILED
    assert poisoned.failure == "a defect in a stage"
    assert {r.status for r in found.values()} == {RecordStatus.PROCESSED}
    assert {j.status for j in container.list_jobs(actor, limit=50)} == {JobStatus.DONE}


def test_an_unreadable_file_fails_its_import_and_says_why(container: Container, actor: Actor) -> None:
    imported = container.receive_import(actor, [b"OFXHEADER:100\n<OFX><BANK"], filename="x.ofx", connector="ofx")
    drain(container, actor.tenant_id)
    done = container.get_import(actor, imported.id)
    assert done.status is ImportStatus.FAILED
    assert done.failure
    assert "\n" not in done.failure
    [job] = container.list_jobs(actor, limit=10)
    assert (job.status, job.attempts) == (JobStatus.DEAD, 1)


def test_what_no_connector_knows_is_refused_at_the_door(container: Container, actor: Actor) -> None:
    with pytest.raises(UnknownFormat):
        container.receive_import(actor, [bytes(range(256)) * 10], filename="x.bin")
    with pytest.raises(Invalid):
        container.receive_import(actor, [b"  \n"], filename="x.csv")
    assert container.list_imports(actor, before=None, limit=10) == []


@pytest.fixture
def with_llm(make_container: Callable[..., Container], stub: LlmStub) -> Container:
    return make_container(llm_api_key="any", llm_base_url=stub.base_url, job_backoff_seconds=0.01, job_max_attempts=3)


def llm_actor(container: Container, **settings: Any) -> Actor:
    given = TenantSettings(trusted_packs=("bank",), spot_check_share=0.0, **settings)
    tenant, _ = container.create_tenant("With LLM", settings=given)
    return Actor(tenant_id=tenant.id, name="a tester")


def test_the_llm_is_asked_about_what_is_left(with_llm: Container, stub: LlmStub) -> None:
    actor = llm_actor(with_llm, llm_threshold=0.5)
    container = with_llm
    made = container.create_category(actor, name="Beekeeping", description="honey and hives")
    bring(container, actor, "2026-03-01;beekeeping ZQX;-3.00;EUR", "2026-03-02;qqq www;-4.00;EUR")
    found = records_of(container, actor)
    decided, unknown = found["beekeeping ZQX"], found["qqq www"]
    assert (decided.status, decided.stage, decided.category_id) == (RecordStatus.PROCESSED, Stage.LLM, made.id)
    assert stages(unknown)["llm"] == "unsure"
    assert unknown.status is RecordStatus.NEEDS_REVIEW
    assert len(stub.requests) == 1
    processed = container.list_events(actor, EventFilter(types=("PROCESSED",)), after=0, limit=50)
    assert len(processed) == 2


def test_an_llm_that_is_away_sends_to_review_and_says_so(with_llm: Container, stub: LlmStub) -> None:
    actor = llm_actor(with_llm)
    stub.behave("500", "500", "500", "500", "500", "500")
    bring(with_llm, actor, "2026-03-01;qqq www;-3.00;EUR")
    [record] = records_of(with_llm, actor).values()
    assert record.status is RecordStatus.NEEDS_REVIEW
    assert stages(record)["llm"] == "failed"
    assert {j.status for j in with_llm.list_jobs(actor, limit=50)} == {JobStatus.DONE}


def test_spot_checks_are_drawn_from_what_was_decided_alone(container: Container) -> None:
    settings = TenantSettings(trusted_packs=("bank",), spot_check_share=0.25)
    tenant, _ = container.create_tenant("Checked", settings=settings)
    actor = Actor(tenant_id=tenant.id, name="a tester")
    bring(container, actor, *[f"2026-03-{1 + n % 28:02};NETFLIX.COM {n};-12.99;EUR" for n in range(400)])
    queue = container.list_queue(actor, after=None, limit=500)
    assert 60 <= len(queue) <= 140  # 100 expected, a standard deviation of 8.7
    assert {item.record.status for item in queue} == {RecordStatus.PROCESSED}
    assert {item.record.selection_probability for item in queue} == {0.25}


class Killed(BaseException):
    """What no code of ours catches."""


def test_a_record_that_the_storage_refuses_fails_alone_and_a_kill_in_between_loses_nothing(
    container: Container, actor: Actor, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The storage refuses one draft; then the process ends between the halves of the batch; then the job is tried
    again."""
    from adapters.postgres.records import PostgresRecords
    from entrypoints.worker.runner import run_job

    store = PostgresRecords.store
    calls: list[int] = []

    def brittle(self: PostgresRecords, drafts: Any, **rest: Any) -> Any:
        calls.append(len(drafts))
        if len(calls) == 3:
            raise Killed  # as a kill: nothing is caught, nothing is noted
        if any("UNSTORABLE" in draft.text for _, draft, _ in drafts):
            raise ValueError("no place for this")
        return store(self, drafts, **rest)

    monkeypatch.setattr(PostgresRecords, "store", brittle)
    rows = [f"2026-03-{1 + n:02};NETFLIX.COM {n};-12.99;EUR" for n in range(20)]
    payload = HEADER + "".join(f"{row}\n" for row in [*rows[:15], "2026-03-09;UNSTORABLE;-1.00;EUR", *rows[15:]])
    imported = container.receive_import(actor, [payload.encode()], filename="x.csv")
    with container.system().take_due(share=10, limit=10) as due:
        [(tenant_id, job_id, _, _)] = list(due)
    with pytest.raises(Killed):
        run_job(container, tenant_id, job_id)
    assert calls == [21, 10, 11]
    assert len(records_of(container, actor)) == 10
    with container.app_engine().begin() as connection:  # the lease runs out
        connection.exec_driver_sql(f"SELECT set_config('app.tenant_id', '{tenant_id}', true)")
        connection.exec_driver_sql(LEASE_RUNS_OUT, (tenant_id,))
    assert container.reap_jobs() == 1
    drain(container, actor.tenant_id)
    done = container.get_import(actor, imported.id)
    assert (done.status, done.inserted + done.known, done.refused) == (ImportStatus.DONE, 20, 1)
    assert done.refusals[0]["reason"] == "could not be stored: no place for this"
    found = records_of(container, actor)
    assert len(found) == 20
    assert {r.status for r in found.values()} == {RecordStatus.PROCESSED}
    ingested = container.list_events(actor, EventFilter(types=("INGESTED",)), after=0, limit=100)
    assert len({e.subject_id for e in ingested}) == len(ingested) == 20


class AbsentModel:
    """An embedder that is out of order."""

    model = "absent"
    dimensions = 384

    def of(self, model: str) -> Embedder | None:
        return self if model == self.model else None

    def embed(self, texts: Sequence[str]) -> list[Sequence[float]]:
        raise OSError("the model can't be loaded")


def test_a_fault_that_every_record_shares_is_the_jobs_and_is_cured_by_a_replay(
    make_container: Callable[..., Container],
) -> None:
    container = make_container(job_max_attempts=2, job_backoff_seconds=0.01)
    tenant, _ = container.create_tenant("Unlucky", settings=TenantSettings(trusted_packs=("bank",)))
    actor = Actor(tenant_id=tenant.id, name="a tester")
    bring(
        container,
        actor,
        "2026-01-03;QORBEL ONE;-7.00;EUR;Games",
        header="Date;Description;Amount;Currency;Category\n",
        approved=True,
    )
    real = container.embedder()
    container.embedder.override(AbsentModel())
    with container.uow().begin(actor) as tx:  # what is approved has a vector of this model, which serves
        [example] = tx.examples.list(after=None, limit=5)
        tx.examples.set_embeddings("absent", {example: [1.0] + [0.0] * 383})
        assert tx.examples.serve("absent")
        tx.commit()
    bring(container, actor, "2026-02-03;QORBEL TWO;-7.00;EUR", "2026-02-04;QORBEL THREE;-8.00;EUR")
    assert {r.status for r in records_of(container, actor).values()} == {RecordStatus.APPROVED, RecordStatus.INGESTED}
    [dead] = [j for j in container.list_jobs(actor, limit=50) if j.status is JobStatus.DEAD]
    assert "the model can't be loaded" in (dead.last_error or "")
    container.embedder.override(real)
    container.replay_jobs(actor, [dead.id])
    drain(container, actor.tenant_id)
    assert not any(r.status is RecordStatus.INGESTED for r in records_of(container, actor).values())


def test_what_a_person_tags_meanwhile_stays(container: Container, actor: Actor) -> None:
    rent = category_id(container, actor, "housing.rent")
    container.create_rules(
        actor,
        [
            {
                "name": "mine",
                "when": {"field": "text", "op": "contains", "value": "qorbel"},
                "then": {"category": str(rent), "tags": ["by-rule"]},
            }
        ],
    )
    matcher = container.matcher()

    class SlowRules(BrittleRules):
        def evaluate(self, records: Sequence[Record], *rest: Any) -> Any:
            container.change_record(
                actor, records[0].id, version=None, category_id=None, tags=["by-hand"], attributes=None
            )
            return super().evaluate(records, *rest)

    class Slow(BrittleMatcher):
        def ruleset(self, *asked: Any) -> Any:
            return SlowRules(matcher.ruleset(*asked))

    container.matcher.override(Slow(matcher))
    bring(container, actor, "2026-03-01;QORBEL;-3.00;EUR")
    [record] = records_of(container, actor).values()
    assert record.tags == ("by-hand", "by-rule")
    assert record.category_id == rent


def test_a_tenants_own_rule_decides_where_an_untrusted_one_comes_first(container: Container) -> None:
    tenant, _ = container.create_tenant("Own rules")
    actor = Actor(tenant_id=tenant.id, name="a tester")
    rent = category_id(container, actor, "housing.rent")
    container.create_rules(
        actor,
        [
            {
                "name": "last of all",
                "stage": "post",
                "when": {"field": "amount", "op": "lt", "value": "0"},
                "then": {"category": str(rent)},
            }
        ],
    )
    bring(container, actor, "2026-03-01;NETFLIX.COM;-12.99;EUR")
    [record] = records_of(container, actor).values()
    assert (record.status, record.category_id) == (RecordStatus.PROCESSED, rent)


def test_what_a_person_confirmed_outlives_the_undoing_of_its_import(container: Container, actor: Actor) -> None:
    import_id = bring(container, actor, "2026-03-01;NETFLIX.COM;-12.99;EUR", "2026-03-02;SPOTIFY AB;-9.99;EUR")
    confirmed = records_of(container, actor)["NETFLIX.COM"]
    container.change_record(
        actor, confirmed.id, version=None, category_id=confirmed.category_id, tags=None, attributes=None
    )
    _, removed, kept = container.undo_import(actor, import_id)
    assert (removed, kept) == (1, 1)
    assert records_of(container, actor)["NETFLIX.COM"].status is RecordStatus.APPROVED


def test_a_key_too_long_for_an_index_is_refused_alone(container: Container, actor: Actor) -> None:
    wide = "".join(chr(0x4E00 + n) for n in range(500))
    lines = [
        {"text": "QORBEL", "occurred_at": "2026-03-01", "account": wide, "external_id": wide[::-1]},
        {"text": "NETFLIX.COM", "occurred_at": "2026-03-01", "external_id": "fine"},
    ]
    payload = json.dumps(lines, ensure_ascii=False).encode()
    imported = container.receive_import(actor, [payload], filename="x.json", connector="json")
    drain(container, actor.tenant_id)
    done = container.get_import(actor, imported.id)
    assert (done.status, done.inserted, done.refused) == (ImportStatus.DONE, 1, 1)
    assert "bytes" in done.refusals[0]["reason"]


def test_a_file_that_takes_every_worker_with_it_fails_its_import(
    make_container: Callable[..., Container], monkeypatch: pytest.MonkeyPatch
) -> None:
    from adapters.postgres.records import PostgresRecords
    from entrypoints.worker.runner import run_job

    container = make_container(job_max_attempts=2)
    tenant, _ = container.create_tenant("Doomed")
    actor = Actor(tenant_id=tenant.id, name="a tester")

    def kill(*_: Any, **__: Any) -> Any:
        raise Killed

    monkeypatch.setattr(PostgresRecords, "store", kill)
    payload = (HEADER + "2026-03-01;NETFLIX.COM;-12.99;EUR\n").encode()
    imported = container.receive_import(actor, [payload], filename="x.csv")
    for _ in range(2):
        with container.system().take_due(share=10, limit=10) as due:
            [(tenant_id, job_id, _, _)] = list(due)
        with pytest.raises(Killed):
            run_job(container, tenant_id, job_id)
        with container.app_engine().begin() as connection:  # the lease runs out
            connection.exec_driver_sql(f"SELECT set_config('app.tenant_id', '{tenant_id}', true)")
            connection.exec_driver_sql(LEASE_RUNS_OUT, (tenant_id,))
        assert container.reap_jobs() == 1
    drain(container, actor.tenant_id)
    assert container.get_import(actor, imported.id).status is ImportStatus.FAILED
    [job] = container.list_jobs(actor, limit=5)
    assert job.status is JobStatus.DEAD
    told = {e.type for e in container.list_events(actor, EventFilter(), after=0, limit=50)}
    assert {"JOB_DEAD", "IMPORT_FAILED"} <= told


def test_a_category_that_goes_while_the_llm_thinks_sends_to_review(with_llm: Container) -> None:
    container, actor = with_llm, llm_actor(with_llm, llm_threshold=0.5)
    made = container.create_category(actor, name="Beekeeping", description="honey and hives")
    real = container.llm()

    class Slow:
        def __getattr__(self, name: str) -> Any:
            return getattr(real, name)

        def classify(self, request: Any) -> Any:
            reply = real.classify(request)
            container.delete_category(actor, made.id, version=None)
            return reply

    container.llm.override(Slow())
    bring(container, actor, "2026-03-01;beekeeping ZQX;-3.00;EUR")
    [record] = records_of(container, actor).values()
    assert (record.status, stages(record)["llm"]) == (RecordStatus.NEEDS_REVIEW, "unsure")
    assert {j.status for j in container.list_jobs(actor, limit=50)} == {JobStatus.DONE}
