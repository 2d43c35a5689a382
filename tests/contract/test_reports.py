"""Reports: definitions, runs and turns; and what they are made of, alike in both storages."""

from __future__ import annotations

import csv
import json
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

import pytest

from core.domain.approvals import Approval, ApprovalReason, Verdict
from core.domain.jobs import Stream
from core.domain.record_filters import RecordFilter
from core.domain.recurrences import Payment
from core.domain.report_money import Conversion
from core.domain.report_periods import Granularity, Span
from core.domain.report_rows import PartySum, Sum
from core.domain.report_schedules import Every, Schedule
from core.domain.reports import Format, ReportFile, ReportKind, ReportSpec, RunStatus
from core.domain.spreadsheets import RECORD_COLUMNS
from core.domain.tenants import Actor
from core.errors import Conflict, Invalid, NotFound, VersionMismatch
from ports.system import ReportTurn
from tests.contract.storage import START, Storage, a_draft, a_report, a_report_definition, answered, decided

JAN, FEB = date(2026, 1, 1), date(2026, 2, 1)
WHOLE = ReportSpec(
    kind=ReportKind.CHANGES,
    period=Span(since=JAN, until=FEB),
    compare=Span(since=date(2025, 1, 1), until=JAN),
    granularity=Granularity.WEEK,
    where=RecordFilter(
        statuses=("approved",), category_id=UUID(int=7), account="giro", min_amount=Decimal("1.50"), currency="EUR"
    ),
    conversion=Conversion(to="EUR", rates={"USD": Decimal("0.92")}),
    parties=7,
    formats=(Format.CSV, Format.HTML),
)
DAILY = Schedule(every=Every.DAY, hour=6)


def test_definitions_are_kept_whole_under_names_of_their_own(storage: Storage) -> None:
    actor = storage.tenant()
    one, other = storage.ids.batch(2)
    kept = a_report_definition(one, actor, "A", spec=WHOLE, schedule=DAILY, next_run_at=START)
    with storage.writing(actor) as tx:
        tx.reports.add_definition(kept)
        tx.reports.add_definition(a_report_definition(other, actor, "B"))
    with storage.reading(actor) as tx:
        assert tx.reports.definition(one) == kept
        assert [d.name for d in tx.reports.definitions()] == ["A", "B"]
    with storage.reading(actor) as tx, pytest.raises(Conflict, match="has this name"):
        tx.reports.add_definition(a_report_definition(storage.ids.new(), actor, "A"))
    with storage.reading(actor) as tx, pytest.raises(Conflict, match="has this name"):
        tx.reports.update_definition(replace(kept, name="B"))
    with storage.writing(actor) as tx:
        tx.reports.update_definition(replace(kept, name="C", schedule=None, next_run_at=None))
    with storage.reading(actor) as tx:
        changed = tx.reports.definition(one)
        assert (changed.name, changed.schedule, changed.next_run_at, changed.version) == ("C", None, None, 2)
    with storage.reading(actor) as tx, pytest.raises(VersionMismatch):
        tx.reports.update_definition(kept)
    with storage.reading(actor) as tx, pytest.raises(VersionMismatch):
        tx.reports.delete_definition(one, 1)
    with storage.writing(actor) as tx:
        tx.reports.delete_definition(one, 2)
    with storage.reading(actor) as tx, pytest.raises(NotFound):
        tx.reports.definition(one)


def test_runs_are_listed_newest_first_and_keep_what_became_of_them(storage: Storage) -> None:
    actor = storage.tenant()
    ids = storage.ids.batch(3)
    with storage.writing(actor) as tx:
        for n, id in enumerate(ids):
            tx.reports.add(a_report(id, actor, definition_id=ids[0] if n else None, spec=WHOLE))
    files = (ReportFile(format=Format.CSV, path="t/reports/1/report.csv", bytes=3, sha256="ab"),)
    with storage.writing(actor) as tx:
        run = tx.reports.get(ids[2])
        done = replace(run, status=RunStatus.DONE, rows=5, files=files, finished_at=START)
        tx.reports.update(done)
    with storage.reading(actor) as tx:
        assert tx.reports.get(ids[2]) == done
        assert [run.id for run in tx.reports.list(before=None, limit=2)] == [ids[2], ids[1]]
        assert [run.id for run in tx.reports.list(before=ids[1], limit=9)] == [ids[0]]
        assert [run.id for run in tx.reports.list(before=None, limit=9, definition_id=ids[0])] == [ids[2], ids[1]]
        assert [run.id for run in tx.reports.list(before=None, limit=9, status=RunStatus.DONE)] == [ids[2]]
        assert [run.id for run in tx.reports.list(before=None, limit=9, kind=ReportKind.CHANGES)] == ids[::-1]
        assert tx.reports.list(before=None, limit=9, kind=ReportKind.LLM) == []
    with storage.reading(actor) as tx, pytest.raises(NotFound):
        tx.reports.update(a_report(storage.ids.new(), actor))


def a_turn(storage: Storage, due: Any, **fields: Any) -> ReportTurn:
    standard = {"slot": due.next_run_at, "following": storage.now() + timedelta(days=1)}
    run_id, job_id = storage.ids.batch(2)
    return ReportTurn(due=due, today=date(2026, 1, 5), run_id=run_id, job_id=job_id, **{**standard, **fields})


def test_a_turn_is_taken_once_however_many_see_it(storage: Storage) -> None:
    actor = storage.tenant()
    past, future = storage.now() - timedelta(hours=1), storage.now() + timedelta(hours=1)
    due_id, later, unscheduled = storage.ids.batch(3)
    with storage.writing(actor) as tx:
        tx.reports.add_definition(a_report_definition(due_id, actor, "due", schedule=DAILY, next_run_at=past))
        tx.reports.add_definition(a_report_definition(later, actor, "later", schedule=DAILY, next_run_at=future))
        tx.reports.add_definition(a_report_definition(unscheduled, actor, "never"))
    (due,) = storage.system.due_reports(9)
    assert (due.tenant_id, due.definition_id, due.schedule, due.zone) == (
        actor.tenant_id,
        due_id,
        DAILY,
        ZoneInfo("Europe/Berlin"),
    )
    first, second = a_turn(storage, due), a_turn(storage, due)
    assert storage.system.queue_reports([first], max_attempts=3) == 1
    assert storage.system.queue_reports([second], max_attempts=3) == 0, "another relay was there first"
    assert storage.system.due_reports(9) == []
    with storage.reading(actor) as tx:
        (run,) = tx.reports.list(before=None, limit=9)
        assert (run.id, run.definition_id, run.slot, run.today) == (first.run_id, due_id, past, date(2026, 1, 5))
        assert (run.status, run.requested_by, run.name) == (RunStatus.QUEUED, "sortation", "due")
        (job,) = tx.jobs.list(stream=Stream.GENERATE, statuses=(), after=None, limit=9)
        assert (job.payload, job.max_attempts, job.id) == ({"run_id": str(run.id)}, 3, run.job_id)
        assert tx.reports.definition(due_id).next_run_at == first.following
    with storage.writing(actor) as tx:
        tx.reports.update_definition(replace(tx.reports.definition(due_id), next_run_at=past))
    (again,) = storage.system.due_reports(9)
    assert storage.system.queue_reports([a_turn(storage, again)], max_attempts=3) == 0, "this slot was made already"
    assert storage.system.due_reports(9) == []


def test_files_are_forgotten_when_they_were_kept_for_long_enough(storage: Storage) -> None:
    actor = storage.tenant()
    old, young, running = storage.ids.batch(3)
    files = (ReportFile(format=Format.CSV, path="p", bytes=3, sha256="ab"),)
    long_ago = storage.now() - timedelta(days=100)
    with storage.writing(actor) as tx:
        for id, finished in ((old, long_ago), (young, storage.now()), (running, None)):
            tx.reports.add(a_report(id, actor))
            status = RunStatus.RUNNING if finished is None else RunStatus.DONE
            tx.reports.update(a_report(id, actor, status=status, files=files, finished_at=finished))
    found = storage.system.old_reports(seconds=90 * 86_400, limit=9)
    assert list(found) == [(actor.tenant_id, old)]
    assert storage.system.expire_reports(found) == 1
    assert storage.system.expire_reports(found) == 0
    assert list(storage.system.old_reports(seconds=90 * 86_400, limit=9)) == []
    with storage.reading(actor) as tx:
        run = tx.reports.get(old)
        assert run.files == ()
        assert run.expired_at is not None
        assert tx.reports.get(young).files == files


def money(storage: Storage) -> tuple[Actor, UUID]:
    """Records of two months, two currencies and none, some of them of a category."""
    actor = storage.tenant()
    food = storage.category(actor)
    rows: list[tuple[str, date, str | None, str | None]] = [
        ("REWE", date(2026, 1, 3), "-12.50", "EUR"),
        ("REWE", date(2026, 1, 31), "-7.505", "EUR"),
        ("REWE", FEB, "2.50", "EUR"),
        ("ACME", date(2026, 1, 9), "1000", "USD"),
        ("ACME", date(2026, 2, 9), "-100.25", "USD"),
        ("ACME", date(2026, 2, 28), None, None),
        ("LIDL", date(2026, 3, 1), "-5", "EUR"),
    ]
    drafts = [
        a_draft(str(n), text=f"{party} {n}", counterparty=party, occurred_at=day, currency=currency)
        for n, (party, day, _, currency) in enumerate(rows)
    ]
    drafts = [replace(d, amount=r[2] and Decimal(r[2])) for d, r in zip(drafts, rows, strict=True)]
    stored = storage.store(actor, drafts).inserted
    with storage.writing(actor) as tx:
        tx.records.decide([decided(id, food) for id in stored[:2]])
    return actor, food


WINTER = RecordFilter(since=JAN, until=date(2026, 2, 28))


def test_sums_are_exact_by_time_category_and_currency(storage: Storage) -> None:
    actor, food = money(storage)
    with storage.reading(actor) as tx:
        found = tx.figures.sums(WINTER, Granularity.MONTH, by_category=True)
        whole = tx.figures.sums(WINTER, None, by_category=False)

    def a_sum(part: date | None, category: UUID | None, currency: str | None, n: int, *flows: str) -> Sum:
        incoming, outgoing = map(Decimal, flows)
        return Sum(part=part, category_id=category, currency=currency, records=n, incoming=incoming, outgoing=outgoing)

    assert list(found) == [
        a_sum(JAN, food, "EUR", 2, "0", "-20.005"),
        a_sum(JAN, None, "USD", 1, "1000", "0"),
        a_sum(FEB, None, "EUR", 1, "2.50", "0"),
        a_sum(FEB, None, "USD", 1, "0", "-100.25"),
        a_sum(FEB, None, None, 1, "0", "0"),
    ]
    assert list(whole) == [
        a_sum(None, None, "EUR", 3, "2.50", "-20.005"),
        a_sum(None, None, "USD", 2, "1000", "-100.25"),
        a_sum(None, None, None, 1, "0", "0"),
    ]


def test_what_would_be_very_many_rows_is_refused(storage: Storage, monkeypatch: pytest.MonkeyPatch) -> None:
    actor, _ = money(storage)

    def most(rows: int) -> None:
        for module in ("core.domain.report_rows", "adapters.postgres.figures"):
            monkeypatch.setattr(f"{module}.MOST_ROWS", rows)

    for rows in (5, 4):
        most(rows)
        with storage.reading(actor) as tx, _too_many(rows < 5):
            assert len(tx.figures.sums(WINTER, Granularity.MONTH, by_category=True)) == 5
    for rows in (3, 2):
        most(rows)
        with storage.reading(actor) as tx, _too_many(rows < 3):
            assert len(tx.figures.parties(RecordFilter(), None, 1)) == 3


def _too_many(are: bool) -> AbstractContextManager[Any]:
    return pytest.raises(Invalid, match="rows: take longer parts") if are else nullcontext()


def test_the_first_parties_of_each_currency_that_is_told_come(storage: Storage) -> None:
    actor, _ = money(storage)

    def party(name: str, currency: str | None, n: int, first: date, last: date, *flows: str) -> PartySum:
        incoming, outgoing = map(Decimal, flows)
        return PartySum(
            party=name, currency=currency, records=n, incoming=incoming, outgoing=outgoing, first=first, last=last
        )

    rewe = party("REWE", "EUR", 3, date(2026, 1, 3), FEB, "2.50", "-20.005")
    acme = party("ACME", "USD", 2, date(2026, 1, 9), date(2026, 2, 9), "1000", "-100.25")
    without = party("ACME", None, 1, date(2026, 2, 28), date(2026, 2, 28), "0", "0")
    with storage.reading(actor) as tx:
        assert list(tx.figures.parties(RecordFilter(), None, 1)) == [rewe, acme, without]
        dear = Conversion(to="EUR", rates={"USD": Decimal("0.9")})
        assert list(tx.figures.parties(RecordFilter(), dear, 1)) == [acme, without]
        cheap = Conversion(to="EUR", rates={"USD": Decimal("0.02")})
        assert list(tx.figures.parties(WINTER, cheap, 1)) == [rewe, without]


def test_payments_come_by_party_and_currency_the_latest_of_each(storage: Storage) -> None:
    actor, _ = money(storage)
    with storage.reading(actor) as tx:
        assert list(tx.figures.payments(RecordFilter(), 2)) == [
            (
                "REWE",
                "EUR",
                [
                    Payment(day=date(2026, 1, 31), amount=Decimal("-7.505")),
                    Payment(day=FEB, amount=Decimal("2.50")),
                ],
            )
        ]


def test_answers_are_counted_by_time_and_person(storage: Storage) -> None:
    actor = storage.tenant()
    food = storage.category(actor)
    items = [storage.review(actor, n) for n in "abc"]
    with storage.writing(actor) as tx:
        for n, approval in enumerate(tx.approvals.get_many(items)):
            verdict = Verdict.OVERRIDE if n else Verdict.APPROVE
            said = answered(approval, verdict, food)
            tx.approvals.decide([replace(said, decided_at=approval.created_at + timedelta(seconds=10 * (n + 1)))])
        tx.approvals.withdraw([items[2]], by="reviewer", at=storage.now())
    today = storage.now().astimezone(ZoneInfo("Europe/Berlin")).date()
    span = Span(since=today - timedelta(days=1), until=today + timedelta(days=1))
    with storage.reading(actor) as tx:
        (found,) = tx.figures.answers(span, Granularity.YEAR)
        assert list(tx.figures.answers(Span(since=JAN - timedelta(days=400), until=JAN), Granularity.DAY)) == []
    assert (found.reviewer, found.approved, found.overridden, found.withdrawn) == ("reviewer", 1, 2, 1)
    assert (found.part, found.median_seconds) == (date(today.year, 1, 1), 20.0)


@pytest.mark.parametrize(
    ("day", "within", "after"),
    [
        (date(2026, 10, 25), datetime(2026, 10, 25, 22, 59, tzinfo=UTC), datetime(2026, 10, 25, 23, 1, tzinfo=UTC)),
        (date(2026, 3, 29), datetime(2026, 3, 29, 21, 59, tzinfo=UTC), datetime(2026, 3, 29, 22, 1, tzinfo=UTC)),
    ],
    ids=["of 25 hours", "of 23 hours"],
)
def test_checks_of_a_day_are_its_own_however_long_it_is(
    storage: Storage, day: date, within: datetime, after: datetime
) -> None:
    actor = storage.tenant()
    food = storage.category(actor)
    records = storage.store(actor, [a_draft(n) for n in "ab"]).inserted
    stages = [{"stage": "rules", "outcome": "decided", "reason": "", "candidates": []}]
    alone = {"suggested_id": food, "trace": {"reason": "", "stages": stages}}
    with storage.writing(actor) as tx:
        tx.records.decide([decided(id, food, **alone) for id in records])
        checks = [
            an_approval(storage.ids.new(), actor, id, suggested_id=food, created_at=instant)
            for id, instant in zip(records, (within, after), strict=True)
        ]
        tx.approvals.add(checks)
        tx.approvals.decide([answered(one, Verdict.APPROVE, food) for one in checks])
    with storage.reading(actor) as tx:
        found = [tx.figures.checks(Span(since=one, until=one)) for one in (day, day + timedelta(days=1))]
    assert [[(cell.month, cell.checks.checked) for cell in cells] for cells in found] == [
        [(day, 1)],
        [(day + timedelta(days=1), 1)],
    ]


def an_approval(id: UUID, actor: Actor, record_id: UUID, **fields: Any) -> Approval:
    standard = {"reason": ApprovalReason.SPOT_CHECK, "confidence": 0.97, "urgency": 0.5, "group_key": ""}
    unanswered = dict.fromkeys(("verdict", "category_id", "decided_by", "decided_at"))
    return Approval(id=id, tenant_id=actor.tenant_id, record_id=record_id, **{**standard, **unanswered, **fields})


HOSTILE = ["=1+1", "+49 30 123", "-12,50", "@cmd", "plain", 'quo"ted, and comma', "－full width", "+12", "-3.5", "ü ☕"]


def test_records_are_written_as_the_export_writes_them(storage: Storage) -> None:
    actor = storage.tenant()
    food = storage.category(actor)
    instant = datetime(2026, 1, 3, 9, 30, tzinfo=UTC)
    drafts = [
        a_draft(
            f"={n}",
            text=text,
            counterparty=text[::-1],
            account="@giro" if n else "",
            occurred_at=instant if n % 2 else date(2026, 1, 3),
            attributes={"note": text, "n": n} if n else {},
        )
        for n, text in enumerate(HOSTILE)
    ]
    drafts.append(replace(drafts[1], external_id="x", occurred_at=instant.replace(microsecond=250_000)))
    stored = storage.store(actor, drafts).inserted
    with storage.writing(actor) as tx:
        tx.records.decide([decided(id, food, confidence=c) for id, c in zip(stored, (1.0, 0.97, 0.25), strict=False)])
    with storage.reading(actor) as tx:
        rows = list(tx.figures.records(RecordFilter()))
        lines = b"".join(tx.figures.records_csv(RecordFilter(), {food: "=Food > Café"})).decode()
    assert [row["text"] for row in rows] == [d.text for d in drafts]
    assert {type(row["occurred_at"]) for row in rows} == {date, datetime}
    assert lines.endswith("\r\n")
    assert "\n" not in lines.replace("\r\n", "")
    told = list(csv.DictReader(lines.splitlines(), RECORD_COLUMNS))
    assert [one["text"] for one in told[:10]] == [f"'{t}" if t in _QUOTED else t for t in HOSTILE]
    assert [one["external_id"] for one in told] == [*(f"'={n}" for n in range(10)), "x"]
    assert {one["account"] for one in told} == {"", "'@giro"}
    assert [one["confidence"] for one in told[:4]] == ["1.0", "0.97", "0.25", ""]
    assert {one["category"] for one in told[:3]} == {"'=Food > Café"}
    assert {one["amount"] for one in told} == {"-12.50"}
    assert [told[n]["occurred_at"] for n in (0, 1, 10)] == [
        "2026-01-03",
        "2026-01-03T09:30:00+00:00",
        "2026-01-03T09:30:00.250000+00:00",
    ]
    assert told[0]["attributes"] == ""
    assert json.loads(told[1]["attributes"]) == {"note": HOSTILE[1], "n": 1}


_QUOTED = {"=1+1", "+49 30 123", "-12,50", "@cmd", "－full width"}
