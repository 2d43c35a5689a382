"""Reports over the API: asked for, made by a worker, downloaded; and their definitions and schedules."""

from __future__ import annotations

import csv
import io
import json
import re
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any
from uuid import UUID
from xml.etree import ElementTree
from zoneinfo import ZoneInfo

import openpyxl
import pytest
from dependency_injector import providers
from sqlalchemy import func, select

from adapters.embedded.postgres import DatabaseUrls
from adapters.memory.clock import FixedClock
from adapters.postgres import record_csv
from adapters.postgres.engine import create
from adapters.postgres.unit_of_work import PostgresTransaction
from adapters.reports.writers import FileWriters
from core.domain.categories import paths
from core.domain.jobs import Job
from core.domain.report_tables import Report, Value
from core.domain.reports import Format, RunStatus
from core.errors import Invalid, LeaseLost, Transient
from core.usecases.shared.report_contents import RecordRows
from entrypoints.api.app import create_app
from entrypoints.container import Container
from ports.storage import RecordFilter
from tests.integration.api_support import HEADER, Api, lease_runs_out, new_tenant
from tests.integration.rule_support import bring, items, rule, save

SPRING = {"since": "2026-03-01", "until": "2026-05-31"}
LINES = """\
2026-03-02;ZQX QORBEL 1;-12.50;EUR
2026-03-09;ZQX QORBEL 2;-7.25;EUR
2026-03-31;VUMBA LOHN;2500.00;EUR
2026-04-01;ZQX QORBEL 3;-30.05;EUR
2026-04-15;PLIRT WERKE;-19.99;USD
2026-05-15;PLIRT WERKE;-19.99;USD
2026-05-31;OMDRA HALLE;-0.01;EUR
2026-06-15;PLIRT WERKE;-19.99;USD
2026-06-30;"=cmd|' /C calc'!A0";-1.00;EUR
"""


@pytest.fixture
def filled(api: Api) -> Api:
    save(api, rule(api, "ZQX", "food.groceries"))
    save(api, rule(api, "OMDRA", "housing.rent"))
    api.upload(HEADER + LINES)
    return api


def made(api: Api, kind: str, **spec: Any) -> dict[str, Any]:
    """A report, made."""
    asked = {"kind": kind, "period": SPRING, **spec}
    run = api.post("/reports", {"spec": asked, "name": f"The {kind}"}, 202)
    api.drain()
    done: dict[str, Any] = api.get(f"/reports/{run['id']}")
    assert done["status"] == "done", done
    return done


def file(api: Api, run: dict[str, Any], format: str) -> bytes:
    answer = api.call("GET", f"/reports/{run['id']}/files/{format}")
    assert answer.status_code == 200, answer.text
    return answer.data


def rows(api: Api, kind: str, **spec: Any) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(file(api, made(api, kind, **spec), "csv").decode())))


def stored(api: Api) -> list[Any]:
    with api.container.uow().begin(api.actor) as tx:
        ids = [row["id"] for row in tx.records.page(RecordFilter(), after=None, limit=500)]
        return list(tx.records.get_many(ids))


def within(api: Api) -> Iterator[Any]:
    return (r for r in stored(api) if date(2026, 3, 1) <= r.occurred_at <= date(2026, 5, 31))


def test_a_report_is_made_downloaded_and_listed(filled: Api) -> None:
    run = made(filled, "categories")
    assert (run["name"], run["since"], run["until"], run["requested_by"]) == (
        "The categories",
        "2026-03-01",
        "2026-05-31",
        run["requested_by"],
    )
    assert [one["format"] for one in run["files"]] == ["csv", "json", "xlsx", "html"]
    answer = filled.call("GET", f"/reports/{run['id']}/files/csv")
    told = run["files"][0]
    assert answer.headers["Content-Disposition"].startswith('attachment; filename="the-categories-')
    assert answer.headers["ETag"] == f'"{told["sha256"]}"'
    assert len(answer.data) == told["bytes"]
    again = filled.call("GET", f"/reports/{run['id']}/files/csv", headers={"If-None-Match": answer.headers["ETag"]})
    assert (again.status_code, again.data) == (304, b"")
    page = filled.call("GET", f"/reports/{run['id']}/files/html")
    assert "sandbox" in page.headers["Content-Security-Policy"]
    assert "script" not in page.headers["Content-Security-Policy"]
    other = made(filled, "llm")
    first = filled.get("/reports?limit=1")
    assert [one["id"] for one in first["items"]] == [other["id"]]
    assert [one["id"] for one in filled.get(f"/reports?limit=1&before={first['next']}")["items"]] == [run["id"]]
    assert [one["id"] for one in filled.get("/reports?kind=llm")["items"]] == [other["id"]]
    assert filled.get("/reports?status=failed")["items"] == []
    filled.get("/reports?kind=gossip", 422)
    events = filled.get("/events?type=REPORT_GENERATED&limit=9")["items"]
    assert [event["subject_id"] for event in events] == [run["id"], other["id"]]
    assert events[0]["payload"]["rows"] == run["rows"]
    filled.container.seal_events()
    exported = filled.get("/events?type=EXPORTED")["items"]
    told = [(e["payload"]["what"], e["payload"]["format"]) for e in exported]
    assert sorted(told) == [("report", "csv"), ("report", "html")], "what was there already did not go out"


def test_sums_by_category_are_those_of_the_records(filled: Api) -> None:
    found = rows(filled, "categories")
    tree = {c.id: c for c in filled.container.list_categories(filled.actor)}
    names = paths(tree.values())
    expected: dict[Any, Decimal] = defaultdict(Decimal)
    own: dict[Any, int] = defaultdict(int)
    for record in within(filled):
        key, id = (record.occurred_at.replace(day=1).isoformat(), record.currency), record.category_id
        own[(*key, names.get(id, "(no category)"))] += 1
        expected[(*key, names.get(id, "(no category)"))] += record.amount
        while id is not None and (id := tree[id].parent_id) is not None:
            expected[(*key, names[id])] += record.amount
    told = {(r["period"], r["currency"], r["category"]): r for r in found}
    assert {key: Decimal(r["amount"]) for key, r in told.items()} == expected
    assert {key: int(r["own_records"]) for key, r in told.items() if r["own_records"] != "0"} == own
    assert [(r["period"], r["category"], r["level"]) for r in found][:4] == [
        ("2026-03-01", "(no category)", "0"),
        ("2026-03-01", names[tree[UUID(filled.category("food.groceries"))].parent_id or UUID(int=0)], "0"),
        ("2026-03-01", names[UUID(filled.category("food.groceries"))], "1"),
        ("2026-04-01", "(no category)", "0"),
    ]


def test_cash_flow_has_every_part_and_adds_up(filled: Api) -> None:
    found = rows(filled, "cash_flow")
    euro = [r for r in found if r["currency"] == "EUR"]
    assert [(r["period"], r["incoming"], r["outgoing"], r["net"], r["running"]) for r in euro] == [
        ("2026-03-01", "2500.00", "-19.75", "2480.25", "2480.25"),
        ("2026-04-01", "0.00", "-30.05", "-30.05", "2450.20"),
        ("2026-05-01", "0.00", "-0.01", "-0.01", "2450.19"),
    ]
    assert len([r for r in found if r["currency"] == "USD"]) == 3
    weeks = rows(filled, "cash_flow", granularity="week", where={"currency": "USD"})
    assert [r["period"] for r in weeks][:2] == ["2026-02-23", "2026-03-02"]
    assert {r["currency"] for r in weeks} == {"USD"}


def test_currencies_are_converted_by_given_rates_and_never_otherwise(filled: Api) -> None:
    converted = rows(filled, "cash_flow", granularity="year", conversion={"to": "EUR", "rates": {"USD": "0.91235"}})
    expected = Decimal("2500") - Decimal("19.75") - Decimal("30.06") - 2 * Decimal("19.99") * Decimal("0.91235")
    assert [(r["currency"], r["net"]) for r in converted] == [("EUR", f"{expected:.2f}")]
    apart = rows(filled, "cash_flow", granularity="year", conversion={"to": "CHF", "rates": {"EUR": "0.95"}})
    assert [r["currency"] for r in apart] == ["CHF", "USD"], "a currency without a rate stays apart"
    for wrong in ({"to": "EUR", "rates": {"USD": "0"}}, {"to": "EUR", "rates": {"EUR": "1"}}, {"to": "euro"}):
        asked = {"spec": {"kind": "cash_flow", "conversion": wrong}}
        assert filled.post("/reports", asked, 422)["code"] == "invalid"


def test_counterparties_changes_and_recurring_payments(filled: Api) -> None:
    found = rows(filled, "counterparties", parties=2)
    assert [(r["currency"], r["rank"], r["counterparty"]) for r in found] == [
        ("EUR", "1", "VUMBA LOHN"),
        ("EUR", "2", "ZQX QORBEL 3"),
        ("USD", "1", "PLIRT WERKE"),
    ]
    assert float(found[2]["share"]) == 1.0
    year = {"since": "2026-01-01", "until": "2026-12-31"}
    (series,) = rows(filled, "recurring", period=year)
    assert (series["counterparty"], series["interval"], series["payments"]) == ("PLIRT WERKE", "monthly", "3")
    assert (series["amount"], series["a_year"], series["due"]) == ("-19.99", "-239.88", "2026-07-15")
    april, march = ({"since": f"2026-0{n}-01", "until": f"2026-0{n}-{day}"} for n, day in ((4, 30), (3, 31)))
    change = {(r["category"], r["currency"]): r for r in rows(filled, "changes", period=april, compare=march)}
    food = next(r for key, r in change.items() if ">" in key[0])
    assert (food["amount_before"], food["amount"], food["change"]) == ("-19.75", "-30.05", "-10.30")
    assert Decimal(food["change_share"]) == round(Decimal("-10.30") / Decimal("19.75"), 4)


def test_work_is_reported_by_stage_person_and_month(filled: Api) -> None:
    today = datetime.now(UTC).date()
    now = {"since": (today - timedelta(days=2)).isoformat(), "until": (today + timedelta(days=2)).isoformat()}
    waiting = list(items(filled).values())
    for item in waiting[:2]:
        body = {"verdict": "override", "category_id": filled.category("housing.rent")}
        filled.post(f"/approvals/{item['id']}", body)
    stages = rows(filled, "stages", period=now, granularity="year")
    told = {r["stage"]: (int(r["records"]), float(r["share"])) for r in stages if r["records"] != "0"}
    assert told == {"rules": (4, pytest.approx(4 / 9, abs=1e-4)), "human": (5, pytest.approx(5 / 9, abs=1e-4))}
    (reviewer,) = rows(filled, "reviewers", period=now, granularity="year")
    assert (reviewer["answers"], reviewer["overridden"], reviewer["approved_share"]) == ("2", "2", "0.0")
    assert rows(filled, "llm", period=now) == []
    refused = {"spec": {"kind": "llm", "granularity": "day"}}
    assert "granularity" in filled.post("/reports", refused, 422)["errors"]


def test_without_decisions_there_is_the_present_to_tell_of(api: Api) -> None:
    told = rows(api, "stages", period={"relative": "ever"}, granularity="year")
    today = datetime.now(ZoneInfo("Europe/Berlin"))
    assert {(r["period"], r["records"]) for r in told} == {(f"{today.year}-01-01", "0")}


def test_records_go_out_as_the_export_writes_them(filled: Api) -> None:
    run = made(filled, "records", period={"relative": "ever"})
    assert run["rows"] == 9
    export = filled.call("GET", "/records/export").data.decode()
    mine = file(filled, run, "csv").decode()
    head, *theirs = export.splitlines()
    assert mine.splitlines()[0] == head
    assert sorted(mine.splitlines()[1:]) == sorted(theirs)
    days = [r["occurred_at"] for r in csv.DictReader(io.StringIO(mine))]
    assert days == sorted(days)
    told = json.loads(file(filled, run, "json"))
    assert [r["amount"] for r in told["tables"][0]["rows"]][:2] == ["-12.50", "-7.25"]


def test_records_are_gone_through_by_who_writes_them_alone(filled: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    through = RecordRows.__iter__
    begun: list[RecordRows] = []

    def counted(lines: RecordRows) -> Iterator[Sequence[Value]]:
        begun.append(lines)
        return through(lines)

    monkeypatch.setattr(RecordRows, "__iter__", counted)
    made(filled, "records", formats=["csv"])
    assert begun == [], "the database writes them"
    made(filled, "records", formats=["json", "xlsx"])
    assert len(begun) == 2


def test_lines_may_be_taken_more_slowly_than_a_statement_may_last(database: DatabaseUrls) -> None:
    engine = create(database.app, pool_size=1, statement_seconds=0.2)
    with engine.connect() as connection:
        assert len(list(record_csv.lines(connection, select(func.pg_sleep(0.5))))) == 1
        assert connection.exec_driver_sql("SHOW statement_timeout").scalar_one() == "200ms", "for all that follows"
    engine.dispose()


def test_no_format_has_a_formula_in_it(filled: Api) -> None:
    run = made(filled, "records", period={"relative": "ever"})
    formula = "=cmd|' /C calc'!A0"
    assert f"'{formula}" in [r["text"] for r in csv.DictReader(io.StringIO(file(filled, run, "csv").decode()))]
    book = openpyxl.load_workbook(io.BytesIO(file(filled, run, "xlsx")))
    cells = [cell for row in book["Records"].iter_rows() for cell in row]
    (found,) = [cell for cell in cells if cell.value == formula and cell.column_letter == "F"]
    assert found.data_type == "s"
    assert not any(cell.data_type == "f" for cell in cells)
    save(filled, rule(filled, "calc", "housing.rent") | {"name": "=2+3"})
    parties = made(filled, "counterparties", period={"relative": "ever"})
    assert any(line.split(",")[2].startswith("'=cmd") for line in file(filled, parties, "csv").decode().splitlines())


def test_a_workbook_and_a_page_say_what_the_table_says(filled: Api) -> None:
    run = made(filled, "cash_flow")
    table = list(csv.DictReader(io.StringIO(file(filled, run, "csv").decode())))
    book = openpyxl.load_workbook(io.BytesIO(file(filled, run, "xlsx")))
    head, *body = book["Cash flow"].iter_rows(values_only=True)
    assert head[:3] == ("From", "Currency", "Records")
    assert [(f"{r[0]:%Y-%m-%d}", r[1], r[2], Decimal(str(r[5]))) for r in body] == [
        (r["period"], r["currency"], int(r["records"]), Decimal(r["net"])) for r in table
    ]
    assert book["About"]["B1"].value == "The cash_flow"
    text = file(filled, run, "html").decode()
    assert "<script" not in text
    assert " style=" not in text
    first, *_ = text.split("<tbody>")[1:]
    assert first.split("</tbody>")[0].count("<tr>") == len(table)
    pictures = [ElementTree.fromstring(one) for one in re.findall("<svg.*?</svg>", text)]  # noqa: S314 - our own
    assert [picture.get("role") for picture in pictures] == ["img"] * 2


def test_what_a_report_says_is_read_again_to_be_shown(filled: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    actor, read = filled.actor, filled.container.read_report
    run = made(filled, "cash_flow")
    _, whole = read(actor, UUID(run["id"]))
    assert (whole.title, [column.title for column in whole.tables[0].columns][:3]) == (
        "The cash_flow",
        ["From", "Currency", "Records"],
    )
    assert whole.tables[0].rows[0][:6] == [date(2026, 3, 1), "EUR", 3, Decimal("2500.00"), Decimal("-19.75"),
                                           Decimal("2480.25")]  # fmt: skip
    assert [chart.title for chart in whole.charts] == ["Cash flow, EUR", "Cash flow, USD"]
    for size in (1_500, 1_700):  # of a large one the first rows
        monkeypatch.setattr("core.usecases.reports.SHOWN_FIGURES", size)
        _, begin = read(actor, UUID(run["id"]))
        assert 0 < len(begin.tables[0].rows) < 6
        assert begin.tables[0].rows == whole.tables[0].rows[: len(begin.tables[0].rows)]
        assert list(begin.charts) == []
        assert begin.in_all == whole.in_all, "of all rows"
    assert begin.in_all.rows == [
        ["EUR", 5, Decimal("2500.00"), Decimal("-49.81"), Decimal("2450.19")],
        ["USD", 2, Decimal("0.00"), Decimal("-39.98"), Decimal("-39.98")],
    ]
    lines = made(filled, "records", period={"relative": "ever"})
    _, begin = read(actor, UUID(lines["id"]))
    assert [row[1] for row in begin.tables[0].rows][:2] == [date(2026, 3, 2), date(2026, 3, 9)]
    _, none = read(actor, UUID(made(filled, "llm", formats=["csv"])["id"]))
    assert none is None
    filled.container.seal_events()
    assert filled.get("/events?type=EXPORTED")["items"] == [], "shown, not given out"


def test_made_again_of_the_same_data_csv_and_json_are_the_same_bytes(filled: Api) -> None:
    for kind in ("records", "categories", "cash_flow", "counterparties", "recurring", "stages", "changes", "llm"):
        compare = {"compare": {"since": "2026-01-01", "until": "2026-02-28"}} if kind == "changes" else {}
        first, second = made(filled, kind, **compare), made(filled, kind, **compare)
        for format in ("csv", "json"):
            assert file(filled, first, format) == file(filled, second, format), (kind, format)


def test_another_tenants_reports_are_not_there(container: Container) -> None:
    client = create_app(container).test_client()
    mine, theirs = new_tenant(container, client), new_tenant(container, client, "Another")
    bring(theirs, ["VUMBA 1"])
    run = made(theirs, "records", period={"relative": "ever"})
    definition = theirs.post("/reports/definitions", {"name": "D", "spec": {"kind": "llm"}}, 201)
    for path in (
        f"/reports/{run['id']}",
        f"/reports/{run['id']}/files/csv",
        f"/reports/definitions/{definition['id']}",
    ):
        mine.get(path, 404)
    assert mine.get("/reports")["items"] == []
    mine.post("/reports", {"definition_id": definition["id"]}, 404)
    assert made(mine, "records", period={"relative": "ever"})["rows"] == 0


def test_definitions_live(filled: Api) -> None:
    spec = {
        "kind": "categories",
        "period": {"relative": "last_month"},
        "formats": ["csv"],
        "where": {"status": ["approved"]},
    }
    schedule = {"every": "month", "day": 1, "hour": 6}
    answer = filled.call(
        "POST", "/reports/definitions", {"name": " Monthly  spending ", "spec": spec, "schedule": schedule}
    )
    assert answer.status_code == 201
    kept = answer.json
    assert (kept["name"], kept["spec"]["where"], kept["schedule"]["day"]) == (
        "Monthly spending",
        {"status": ["approved"]},
        1,
    )
    assert kept["next_run_at"] > datetime.now(UTC).isoformat()
    filled.post("/reports/definitions", {"name": "Monthly spending", "spec": spec}, 409)
    path = f"/reports/definitions/{kept['id']}"
    assert filled.call("PATCH", path, {"name": "Other"}, headers={"If-Match": '"9"'}).status_code == 412
    changed = filled.call("PATCH", path, {"schedule": None}, headers={"If-Match": answer.headers["ETag"]})
    assert (changed.json["schedule"], changed.json["next_run_at"], changed.json["version"]) == (None, None, 2)
    run = filled.post("/reports", {"definition_id": kept["id"]}, 202)
    filled.drain()
    assert [one["format"] for one in filled.get(f"/reports/{run['id']}")["files"]] == ["csv"]
    assert filled.call("DELETE", path, headers={"If-Match": '"1"'}).status_code == 412
    assert filled.call("DELETE", path, headers={"If-Match": '"2"'}).status_code == 204
    filled.get(path, 404)
    assert filled.get(f"/reports/{run['id']}")["name"] == "Monthly spending", "what was made by it stays"
    filled.container.seal_events()
    told = [e["type"] for e in filled.get("/events?limit=500")["items"] if e["subject_id"] == kept["id"]]
    assert told == ["REPORT_DEFINED", "REPORT_REDEFINED", "REPORT_UNDEFINED"]


def test_a_report_that_is_asked_for_twice_with_one_key_is_made_once(filled: Api) -> None:
    body = {"spec": {"kind": "llm"}}
    first = filled.post("/reports", body, 202, **{"Idempotency-Key": "one"})
    assert filled.post("/reports", body, 202, **{"Idempotency-Key": "one"})["id"] == first["id"]
    assert len(filled.get("/reports")["items"]) == 1


def test_a_schedule_makes_one_report_however_many_turns_it_missed(make_container: Callable[..., Container]) -> None:
    container = make_container()
    api = new_tenant(container, create_app(container).test_client())
    api.post(
        "/reports/definitions", {"name": "D", "spec": {"kind": "llm"}, "schedule": {"every": "day", "hour": 6}}, 201
    )
    assert container.queue_reports() == 0, "not due yet"
    with container.uow().begin(api.actor) as tx:
        (kept,) = tx.reports.definitions()
    ahead = kept.next_run_at + timedelta(days=5, minutes=30)
    container.clock.override(providers.Object(FixedClock(ahead)))
    with container.app_engine().begin() as connection:  # the database's clock is not ours to set
        connection.exec_driver_sql(f"SELECT set_config('app.tenant_id', '{api.tenant_id}', true)")
        connection.exec_driver_sql(
            "UPDATE report_definitions SET next_run_at = now() - interval '5 days' WHERE tenant_id = %s",
            (api.tenant_id,),
        )
    assert container.queue_reports() == 1
    assert container.queue_reports() == 0
    (run,) = api.get("/reports")["items"]
    assert datetime.fromisoformat(run["slot"]) == kept.next_run_at + timedelta(days=5), "the latest turn"
    with container.uow().begin(api.actor) as tx:
        (moved,) = tx.reports.definitions()
    assert moved.next_run_at == kept.next_run_at + timedelta(days=6)
    api.drain()
    assert api.get(f"/reports/{run['id']}")["status"] == "done"


def test_turns_move_with_the_tenants_time_zone(api: Api) -> None:
    daily = {"name": "D", "spec": {"kind": "llm"}, "schedule": {"every": "day", "hour": 6}}
    kept = api.post("/reports/definitions", daily, 201)
    api.container.change_tenant(api.actor, version=None, time_zone="Asia/Kolkata")
    moved = api.get(f"/reports/definitions/{kept['id']}")
    assert datetime.fromisoformat(moved["next_run_at"]).astimezone(UTC).strftime("%H:%M") == "00:30"


def test_a_paused_schedule_is_kept_and_has_no_turns_until_it_goes_on(api: Api) -> None:
    daily = {"every": "day", "hour": 6}
    kept = api.post("/reports/definitions", {"name": "D", "spec": {"kind": "llm"}, "schedule": daily}, 201)
    assert kept["schedule"]["paused"] is False
    path = f"/reports/definitions/{kept['id']}"
    paused = api.call("PATCH", path, {"schedule": daily | {"paused": True}}).json
    assert (paused["schedule"]["hour"], paused["schedule"]["paused"], paused["next_run_at"]) == (6, True, None)
    api.container.change_tenant(api.actor, version=None, time_zone="Asia/Kolkata")
    assert api.get(path)["next_run_at"] is None
    assert api.container.queue_reports() == 0
    goes_on = api.call("PATCH", path, {"schedule": daily}).json
    assert datetime.fromisoformat(goes_on["next_run_at"]) > datetime.now(UTC), "what it missed is not made"


def test_a_turn_that_is_due_is_taken_whatever_is_changed_before(make_container: Callable[..., Container]) -> None:
    container = make_container()
    api = new_tenant(container, create_app(container).test_client())
    daily = {"name": "D", "spec": {"kind": "llm"}, "schedule": {"every": "day", "hour": 6}}
    kept = api.post("/reports/definitions", daily, 201)
    due = datetime.fromisoformat(kept["next_run_at"])
    container.clock.override(providers.Object(FixedClock(due + timedelta(minutes=1))))
    path = f"/reports/definitions/{kept['id']}"
    for change in ({"name": "E"}, {"spec": {"kind": "stages"}}, {"schedule": daily["schedule"]}):
        assert api.call("PATCH", path, change).json["next_run_at"] == kept["next_run_at"]
    container.change_tenant(api.actor, version=None, time_zone="Asia/Kolkata")
    assert api.get(path)["next_run_at"] == kept["next_run_at"]
    other = api.call("PATCH", path, {"schedule": {"every": "day", "hour": 7}}).json
    assert datetime.fromisoformat(other["next_run_at"]) > due, "another schedule has turns of its own"


def test_what_no_retry_can_help_is_told(filled: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    def impossible(self: FileWriters, format: Format, report: Report) -> Iterator[bytes]:
        raise Invalid("there is no room for this")

    monkeypatch.setattr(FileWriters, "write", impossible)
    run = filled.post("/reports", {"spec": {"kind": "llm"}}, 202)
    filled.drain()
    failed = filled.get(f"/reports/{run['id']}")
    assert (failed["status"], failed["failure"], failed["files"]) == ("failed", "there is no room for this", [])
    (event,) = filled.get("/events?type=REPORT_FAILED")["items"]
    assert (event["subject_id"], event["payload"]["reason"]) == (run["id"], "there is no room for this")


def test_one_of_very_many_rows_fails_at_once_and_says_why(filled: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("core.domain.report_rows.MOST_ROWS", 2 * 92 - 1)
    run = filled.post("/reports", {"spec": {"kind": "cash_flow", "period": SPRING, "granularity": "day"}}, 202)
    filled.drain()
    failed = filled.get(f"/reports/{run['id']}")
    assert failed["status"] == "failed"
    assert "more than 183 rows: take longer parts, a shorter period" in failed["failure"]
    assert filled.get(f"/jobs/{run['job_id']}")["attempts"] == 1


def test_a_report_whose_making_failed_is_made_again(filled: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    def away(self: FileWriters, format: Format, report: Report) -> Iterator[bytes]:
        raise Transient("the disk is full")

    monkeypatch.setattr(FileWriters, "write", away)
    run = filled.post("/reports", {"spec": {"kind": "llm"}}, 202)
    job = claimed(filled, run)
    with pytest.raises(Transient):
        filled.container.generate_report(job)
    filled.container.fail_job(job, Transient("the disk is full"))
    assert filled.get(f"/reports/{run['id']}")["status"] == "running", "it is tried again"
    filled.get(f"/reports/{run['id']}/files/csv", 409)


def claimed(api: Api, run: dict[str, Any]) -> Job:
    with api.container.uow().begin(api.actor) as tx:
        job = tx.jobs.claim(UUID(run["job_id"]), api.container.ids().new(), 30)
        tx.commit()
    assert job is not None
    return job


def taken_for_lost(api: Api, job: Job) -> None:
    lease_runs_out(api)


def dead_and_replayed(api: Api, job: Job) -> None:
    api.container.fail_job(job, Invalid("it took too long"))
    api.container.replay_jobs(api.actor, [job.id])


@pytest.mark.parametrize("lost", [taken_for_lost, dead_and_replayed])
def test_a_worker_that_lost_its_lease_leaves_nothing_behind(
    make_container: Callable[..., Container], tmp_path: Path, lost: Callable[[Api, Job], None]
) -> None:
    container = make_container()
    api = new_tenant(container, create_app(container).test_client())
    bring(api, ["VUMBA 1"])
    run = api.post("/reports", {"spec": {"kind": "records", "period": {"relative": "ever"}}}, 202)
    job = claimed(api, run)
    writers = FileWriters()

    class Late:
        def write(self, format: Format, report: Report) -> Iterator[bytes]:
            if format is Format.HTML:  # meanwhile another one makes the report
                lost(api, job)
                container.writers.override(providers.Object(writers))
                api.drain()
            return writers.write(format, report)

    container.writers.override(providers.Object(Late()))
    with pytest.raises(LeaseLost):
        container.generate_report(job)
    done = api.get(f"/reports/{run['id']}")
    assert done["status"] == "done"
    assert [len(file(api, done, one["format"])) for one in done["files"]] == [one["bytes"] for one in done["files"]]
    (folder,) = {path.parent for path in tmp_path.rglob("report.*")}
    assert len(list(folder.iterdir())) == len(done["files"]), "those of the one that lost it are gone"
    events = api.get("/events?type=REPORT_GENERATED")["items"]
    assert len(events) == 1


def test_files_that_may_have_been_told_of_are_left(filled: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    run = filled.post("/reports", {"spec": {"kind": "llm"}}, 202)
    job, commit = claimed(filled, run), PostgresTransaction.commit

    def unanswered(tx: PostgresTransaction) -> None:
        done = tx.reports.get(UUID(run["id"])).status is RunStatus.DONE
        commit(tx)
        if done:
            raise Transient("the connection is lost, and the answer with it")

    monkeypatch.setattr(PostgresTransaction, "commit", unanswered)
    with pytest.raises(Transient):
        filled.container.generate_report(job)
    monkeypatch.undo()
    done = filled.get(f"/reports/{run['id']}")
    assert done["status"] == "done"
    assert [len(file(filled, done, one["format"])) for one in done["files"]] == [one["bytes"] for one in done["files"]]


def test_what_was_swept_and_is_made_after_all_is_given_out_and_swept(
    make_container: Callable[..., Container], tmp_path: Path
) -> None:
    container = make_container(report_retention_days=1e-9)
    api = new_tenant(container, create_app(container).test_client())
    run = api.post("/reports", {"spec": {"kind": "llm"}}, 202)
    container.fail_job(claimed(api, run), Invalid("it took too long"))
    assert container.sweep_reports() == 1
    container.replay_jobs(api.actor, [UUID(run["job_id"])])
    api.drain()
    assert file(api, run, "csv").startswith(b"period")
    assert container.sweep_reports() == 1
    assert list(tmp_path.rglob("report.csv")) == []


def test_files_go_when_they_were_kept_for_long_enough(make_container: Callable[..., Container], tmp_path: Path) -> None:
    container = make_container(report_retention_days=1e-9)
    api = new_tenant(container, create_app(container).test_client())
    run = made(api, "llm")
    assert list(tmp_path.rglob("report.csv"))
    assert container.sweep_reports() == 1
    assert container.sweep_reports() == 0
    assert list(tmp_path.rglob("report.csv")) == []
    assert "no longer kept" in api.get(f"/reports/{run['id']}/files/csv", 404)["detail"]
    assert api.get(f"/reports/{run['id']}")["files"] == []


def refused() -> Sequence[dict[str, Any]]:
    return [
        {},
        {"spec": {"kind": "nonsense"}},
        {"spec": {"kind": "llm", "where": {"currency": "EUR"}}},
        {"spec": {"kind": "llm", "compare": {"relative": "last_year"}}},
        {"spec": {"kind": "records", "period": {"since": "2026-03-02", "until": "2026-03-01"}}},
        {"spec": {"kind": "records", "period": {"since": "2026-03-02"}}},
        {"spec": {"kind": "records", "period": {}}},
        {"spec": {"kind": "records", "formats": []}},
        {"spec": {"kind": "records", "formats": ["csv", "csv"]}},
        {"spec": {"kind": "cash_flow", "granularity": "day", "period": {"since": "1950-01-01", "until": "2026-01-01"}}},
        {"spec": {"kind": "changes", "period": {"relative": "ever"}}},
        {"spec": {"kind": "records", "where": {"since": "2026-01-01"}}},
        {"definition_id": "01890000-0000-7000-8000-000000000000", "spec": {"kind": "llm"}},
    ]


@pytest.mark.parametrize("body", refused(), ids=str)
def test_what_is_no_report_is_refused(api: Api, body: dict[str, Any]) -> None:
    assert api.post("/reports", body, 422)["code"] == "invalid"


@pytest.mark.parametrize(
    "schedule",
    [{"every": "week", "hour": 6}, {"every": "day", "hour": 24}, {"every": "day", "hour": 1, "day": 3}, {"hour": 1}],
    ids=str,
)
def test_what_is_no_schedule_is_refused(api: Api, schedule: dict[str, Any]) -> None:
    body = {"name": "D", "spec": {"kind": "llm"}, "schedule": schedule}
    assert api.post("/reports/definitions", body, 422)["code"] == "invalid"
