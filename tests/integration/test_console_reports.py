"""Reports at the console: asked for by forms, shown, kept under a name, made by themselves."""

from __future__ import annotations

import html
import re
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

import pytest
from markupsafe import escape
from werkzeug.test import TestResponse

from adapters.reports.writers import FileWriters
from core.domain.permissions import Role
from core.domain.report_tables import Report
from core.domain.reports import Format, ReportKind
from core.errors import Invalid
from entrypoints.api.app import create_app
from entrypoints.container import Container
from tests.integration.api_support import HEADER, Api, new_tenant
from tests.integration.console_support import HOSTILE, browser_of, is_harmless, send, version_on
from tests.integration.sync_support import connect, sync
from tests.integration.test_console_sign_in import ORIGIN, Browser

pytestmark = pytest.mark.slow

SPRING = {"period": "days", "since": "2026-03-01", "until": "2026-05-31"}
LINES = """\
2026-03-02;ZQX QORBEL 1;-12.50;EUR
2026-03-31;VUMBA LOHN;2500.00;EUR
2026-04-01;ZQX QORBEL 3;-30.05;EUR
2026-04-15;PLIRT WERKE;-19.99;USD
"""
DAILY = {"every": "day", "hour": 6}


@pytest.fixture
def api(make_container: Callable[..., Container]) -> Api:
    container = make_container(embeddings="off", public_url=ORIGIN)
    return new_tenant(container, create_app(container).test_client())


@pytest.fixture
def filled(api: Api) -> Api:
    api.upload(HEADER + LINES)
    return api


@pytest.fixture
def owner(api: Api) -> Browser:
    return browser_of(api, Role.OWNER)


def post(browser: Browser, path: str, fields: Mapping[str, Any]) -> TestResponse:
    form = {"form_token": browser.token("/account"), "formats": [one.value for one in Format], **fields}
    return browser.client.post(path, data=form, base_url=ORIGIN, headers={"Origin": ORIGIN})


def ask(browser: Browser, kind: str, **fields: Any) -> str:
    """Where the report is that the form asks for."""
    answer = post(browser, "/reports/new", {"kind": kind, **SPRING, **fields})
    assert answer.status_code == 303, answer.text
    return str(answer.headers["Location"])


def keep(api: Api, name: str = "Spending", **fields: Any) -> str:
    body = {"name": name, "spec": {"kind": "cash_flow"}, **fields}
    return str(api.post("/reports/definitions", body, 201)["id"])


def text(answer: TestResponse) -> str:
    """As it is read, on one line."""
    return " ".join(html.unescape(re.sub(r"<[^>]+>", " ", answer.text)).split())


def test_without_a_report_the_page_teaches_what_can_be_asked(owner: Browser, api: Api) -> None:
    page = owner.open("/reports")
    assert "No report was made yet" in page.text
    for kind in ReportKind:
        assert f'href="/reports/new?kind={kind.value}"' in page.text
        assert f'href="/reports/new?kind={kind.value}"' in owner.open("/reports/new").text
    assert "No report was made yet" in owner.open("/reports/history").text
    viewer = browser_of(api, Role.VIEWER)
    page = viewer.open("/reports")
    assert ("/reports/new" in page.text, "Cash flow" in page.text) == (False, True)


def test_a_form_has_what_goes_with_its_kind_and_nothing_else(owner: Browser) -> None:
    goes = {
        "categories": {"granularity", "currencies", "where.text"},
        "cash_flow": {"granularity", "currencies", "where.text"},
        "counterparties": {"currencies", "where.text", "parties"},
        "recurring": {"currencies", "where.text"},
        "changes": {"currencies", "where.text", "compare"},
        "records": {"where.text"},
        "stages": {"granularity"},
        "llm": {"granularity"},
        "reviewers": {"granularity"},
    }
    every = {"granularity", "currencies", "where.text", "parties", "compare"}
    for kind, names in goes.items():
        page = owner.open(f"/reports/new?kind={kind}").text
        assert {name for name in every if f'name="{name}"' in page} == names, kind
        assert 'name="period"' in page
    by = owner.open("/reports/new?kind=llm").text.partition('name="granularity"')[2].partition("</select>")[0]
    assert re.findall(r'value="(\w+)"', by) == ["month", "quarter", "year"]
    assert owner.open("/reports/new?kind=gossip").status_code == 422


def test_a_report_is_asked_for_seen_being_made_and_read(filled: Api, owner: Browser) -> None:
    where = ask(owner, "cash_flow", name="Spring", granularity="month", currencies="apart")
    page = owner.open(where)
    assert "It waits for its turn." in page.text
    assert "data-report=" in page.text
    assert "Make it anew" not in page.text
    waits = owner.open(f"{where}/state")
    assert waits.json == {"status": "queued", "said": "It waits for its turn.", "ended": False}
    same = owner.client.get(f"{where}/state", base_url=ORIGIN, headers={"If-None-Match": waits.headers["ETag"]})
    assert same.status_code == 304
    assert owner.open(f"{where}/files/csv").status_code == 409
    filled.drain()
    assert owner.open(f"{where}/state").json["ended"] is True
    page = owner.open(where)
    read = text(page)
    assert "1 Mar to 31 May 2026" in read
    assert "In all Currency In Out Net EUR 2,500.00 −42.55 2,457.45 USD 0.00 −19.99 −19.99" in read
    assert "1 Apr 2026 EUR 1 0.00 −30.05 −30.05 2,457.45" in read
    assert page.text.count("<svg xmlns") == 2
    assert [format for format in ("csv", "xlsx", "json", "html") if f"{where}/files/{format}" in page.text] == [
        "csv", "xlsx", "json", "html"]  # fmt: skip
    assert "asked for by " in read
    assert "Spring" in owner.open("/reports").text
    again = post(owner, f"{where}/again", {})
    assert again.headers["Location"] not in (where, None)
    filled.drain()
    assert "EUR 2,500.00" in text(owner.open(again.headers["Location"]))


def test_files_are_kept_or_shown_within_a_policy_of_their_own(filled: Api, owner: Browser) -> None:
    where = ask(owner, "records", name="All there is")
    filled.drain()
    table = owner.open(f"{where}/files/csv")
    assert table.headers["Content-Disposition"].startswith('attachment; filename="all-there-is-')
    assert table.data.count(b"\r\n") == 5
    page = owner.open(f"{where}/files/html")
    assert page.headers["Content-Disposition"].startswith("inline")
    assert "sandbox" in page.headers["Content-Security-Policy"]
    assert "script-src" not in page.headers["Content-Security-Policy"]
    assert owner.open(f"{where}/files/exe").status_code == 404
    filled.container.seal_events()
    assert [e["payload"]["format"] for e in filled.get("/events?type=EXPORTED")["items"]] == ["csv", "html"]
    shown = owner.open(where)
    assert "ZQX QORBEL 1" in shown.text
    assert re.search(r'href="/records/[0-9a-f-]{36}">ZQX', shown.text)


def test_every_kind_is_shown_with_and_without_figures(filled: Api, owner: Browser) -> None:
    made = {kind.value: ask(owner, kind.value) for kind in ReportKind}
    without = ask(owner, "categories", formats=["csv"])
    empty = ask(owner, "recurring", since="1990-01-01", until="1990-01-02")
    filled.drain()
    for kind, where in made.items():
        page = owner.open(where)
        assert page.status_code == 200, kind
        assert "table-1" in page.text, kind
    assert "where JSON is among what it is kept as" in owner.open(without).text
    assert "There is nothing of this in the period" in owner.open(empty).text


def test_a_report_in_one_currency_says_by_which_rates(filled: Api, owner: Browser) -> None:
    rates = {"rate_currency": ["usd", "", "CHF"], "rate": ["0.5", "", "1.1"]}
    where = ask(owner, "cash_flow", currencies="one", to="eur", granularity="year", **rates)
    filled.drain()
    read = text(owner.open(where))
    assert "in EUR, by 1 CHF = 1.1 EUR, 1 USD = 0.5 EUR; others apart" in read
    assert "Currency In Out Net EUR 2,500.00 −52.54 2,447.46" in read, "a sum is rounded once, half to even"


def test_an_import_without_a_files_name_is_named_in_what_was_asked_for(make_shop_api: Callable[..., Api]) -> None:
    api = make_shop_api(public_url=ORIGIN)
    sync(api, connect(api))
    record = api.get("/records")["items"][0]
    assert api.get(f"/imports/{record['import_id']}")["filename"] == ""
    spec = {"kind": "records", "where": {"import_id": record["import_id"]}}
    made = api.post("/reports", {"name": "Of one import", "spec": spec}, 202)
    page = browser_of(api, Role.OWNER).open(f"/reports/{made['id']}")
    assert "import without a file" in text(page)


def test_what_a_large_report_comes_to_in_all_is_of_all_its_rows(
    filled: Api, owner: Browser, monkeypatch: pytest.MonkeyPatch
) -> None:
    rates = {"currencies": "one", "to": "eur", "rate_currency": "usd", "rate": "0.0013"}
    made = {kind: ask(owner, kind, granularity="month") for kind in ("categories", "cash_flow", "changes", "stages")}
    converted = ask(owner, "cash_flow", granularity="month", **rates)
    filled.drain()

    def in_all(where: str) -> str:
        shown = owner.open(where).text.partition('id="totals"')[2].partition("</table>")[0]
        return " ".join(html.unescape(re.sub(r"<[^>]+>", " ", shown.partition("<thead>")[2])).split())

    whole = {where: in_all(where) for where in (*made.values(), converted)}
    assert whole[made["cash_flow"]].startswith("Currency In Out Net EUR 2,500.00 −42.55 2,457.45 USD 0.00 −19.99")
    assert whole[made["categories"]].startswith("Currency In Out Net EUR 2,500.00 −42.55 2,457.45 USD 0.00 −19.99")
    assert whole[made["changes"]].startswith("Currency Before Now Change EUR 0.00 2,457.45 2,457.45 USD 0.00 −19.99")
    assert whole[made["stages"]].startswith("Decided alone Asked of a person Spot checks 0 0 0")
    assert whole[converted].startswith("Currency In Out Net EUR 2,500.00 −42.58 2,457.42")
    for where, told in whole.items():
        (size,) = (one["bytes"] for one in filled.get(where)["files"] if one["format"] == "json")
        monkeypatch.setattr("core.usecases.reports.SHOWN_FIGURES", size - 150)
        assert "All of them are in the files." in text(owner.open(where)), where
        assert in_all(where) == told, where


REFUSED: tuple[tuple[str, dict[str, Any], str, str], ...] = (
    ("cash_flow", {"since": ""}, "since", "Say which day."),
    ("cash_flow", {"since": "soon"}, "since", "Not a valid date."),
    ("cash_flow", {"since": "2026-06-01"}, "period", "Begins on or before its last day"),
    ("cash_flow", {"since": "1901-01-01", "granularity": "day"}, "granularity", "more than 5000"),
    ("changes", {"compare": "days", "compare_since": "2025-01-01"}, "compare_until", "Say which day."),
    ("counterparties", {"parties": "many"}, "parties", "Not a valid integer."),
    ("counterparties", {"parties": "0"}, "parties", "Must be greater than or equal to 1"),
    ("categories", {"currencies": "one"}, "to", "Say which, by its code"),
    ("categories", {"currencies": "one", "to": "EUR", "rate_currency": "USD", "rate": ""}, "rates", "alone"),
    ("categories", {"currencies": "one", "to": "EUR", "rate_currency": "EURO", "rate": "1"}, "rates", "no code"),
    ("categories", {"currencies": "one", "to": "EUR", "rate_currency": "USD", "rate": "0"}, "rates", "above 0"),
    ("categories", {"currencies": "one", "to": "EUR", "rate_currency": "EUR", "rate": "1"}, "rates", "no rate"),
    ("categories", {"currencies": "one", "to": "EUR", "rate_currency": "USD", "rate": "x"}, "rates", "USD: Not"),
    ("recurring", {"where.min_amount": "much"}, "where.min_amount", "Not a valid number."),
    ("recurring", {"where.status": "odd"}, "where.status", "Must be one of"),
    ("records", {"formats": []}, "formats", "Choose one at least."),
    ("records", {"name": "x" * 121}, "name", "Has 1 to 120 printable characters."),
)
"""(kind, what is sent, the field that it stands beside, what is said of it)"""


def test_what_does_not_hold_stands_beside_its_field(api: Api, owner: Browser) -> None:
    for kind, sent, at, said in REFUSED:
        typed = {"name": HOSTILE[:100], "where.text": HOSTILE, **SPRING, **sent}
        refused = post(owner, "/reports/new", {"kind": kind, **typed})
        assert refused.status_code == 422, said
        beside = rf'id="{at.replace(".", "-")}-error">[^<]*{re.escape(said)}'
        assert re.search(beside, html.unescape(refused.text)), (kind, at, said)
        assert is_harmless(refused)
        for name, value in typed.items():
            if isinstance(value, str) and f'name="{name}" type="text"' in refused.text:
                assert f'value="{escape(value)}"' in refused.text, (kind, name)
    assert api.get("/reports")["items"] == []


def test_all_that_does_not_hold_is_told_at_once(api: Api, owner: Browser) -> None:
    monthly = {"every": "month", "day": "32", "hour": "6"}
    typed = {"name": "Odd", "period": "days", "since": "", "currencies": "one", "where.min_amount": "much", **monthly}
    refused = post(owner, "/reports/definitions", {"kind": "categories", **typed}).text
    for at in ("since", "until", "to", "where-min_amount", "day"):
        assert f'id="{at}-error"' in refused, at
    assert '<details class="mb-3 report-more" open>' in refused
    assert api.get("/reports/definitions")["items"] == []


def test_room_for_more_rates_is_had_without_a_script(owner: Browser, api: Api) -> None:
    typed = {"kind": "categories", "currencies": "one", "rate_currency": ["USD"], "rate": ["0.9"], "do": "rates"}
    page = post(owner, "/reports/new", {**typed, **SPRING})
    assert (page.status_code, page.text.count('name="rate"')) == (200, 4)
    assert 'value="USD"' in page.text
    assert api.get("/reports")["items"] == []


def test_a_report_is_kept_made_by_itself_paused_changed_and_deleted(filled: Api, owner: Browser) -> None:
    monthly = {"every": "month", "day": "31", "hour": "6"}
    form = {"kind": "categories", "name": "Monthly", "period": "last_month", "granularity": "month", **monthly}
    answer = post(owner, "/reports/definitions", form)
    assert answer.status_code == 303, answer.text
    here = answer.headers["Location"]
    page = owner.open(here)
    assert "“Monthly” is kept." in page.text
    assert "Each month on the 31st or its last day at 6:00 in Europe/Berlin; next" in text(page)
    (kept,) = filled.get("/reports/definitions")["items"]
    assert (kept["schedule"], kept["spec"]["period"]) == (
        {"every": "month", "day": 31, "hour": 6, "weekday": None, "paused": False},
        {"relative": "last_month"},
    )
    taken = post(owner, "/reports/definitions", {**form, "every": ""})
    assert (taken.status_code, "Another report has this name." in taken.text) == (409, True)
    assert send(owner, here, {"paused": "1"}, f"{here}/schedule").status_code == 303
    assert "paused" in text(owner.open(here))
    assert filled.get("/reports/definitions")["items"][0]["next_run_at"] is None
    old = version_on(owner.open(f"{here}/change"))
    change = {**form, "name": "Each month", "day": "15"}
    assert send(owner, f"{here}/change", {**change, "formats": "json"}, f"{here}/change").status_code == 303
    (kept,) = filled.get("/reports/definitions")["items"]
    assert (kept["name"], kept["schedule"]["day"], kept["schedule"]["paused"], kept["spec"]["formats"]) == (
        "Each month", 15, True, ["json"])  # fmt: skip
    lost = post(owner, f"{here}/change", {**change, "name": "Mine", "version": old})
    assert lost.status_code == 409
    assert "Somebody changed this meanwhile" in lost.text
    assert 'value="Mine"' in lost.text
    assert post(owner, f"{here}/schedule", {"paused": "0", "version": old}).status_code == 409
    assert send(owner, here, {"paused": "0"}, f"{here}/schedule").status_code == 303
    assert filled.get("/reports/definitions")["items"][0]["next_run_at"] > datetime.now(UTC).isoformat()
    made = post(owner, f"{here}/run", {}).headers["Location"]
    filled.drain()
    assert f'href="{made}"' in owner.open(here).text
    assert f'href="{here}"' in owner.open(made).text
    again = post(owner, f"{made}/again", {}).headers["Location"]
    assert f'href="{again}"' in owner.open(here).text, "it is one more of its definition"
    assert post(owner, f"{here}/delete", {"version": old}).status_code == 409
    assert send(owner, here, {}, f"{here}/delete").headers["Location"] == "/reports"
    assert owner.open(here).status_code == 404
    assert f'href="{made}"' in owner.open("/reports").text
    assert "kept as" not in owner.open(made).text


def test_what_is_wrong_with_a_kept_report_stands_beside_its_field(api: Api, owner: Browser) -> None:
    form = {"kind": "stages", "name": "", "period": "last_month", "every": "month", "day": "32", "hour": "6"}
    refused = post(owner, "/reports/definitions", form)
    assert (refused.status_code, 'id="day-error"' in refused.text) == (422, True)
    refused = post(owner, "/reports/definitions", {**form, "day": "31"})
    assert (refused.status_code, 'id="name-error"' in refused.text) == (422, True)
    assert '<option value="month" selected>' in refused.text
    assert api.get("/reports/definitions")["items"] == []
    here = f"/reports/definitions/{keep(api)}"
    change = {"version": "1", **form, "kind": "cash_flow", "name": "Mine"}
    refused = post(owner, f"{here}/change", change)
    assert (refused.status_code, 'id="day-error"' in refused.text, 'value="Mine"' in refused.text) == (422, True, True)
    assert post(owner, f"{here}/schedule", {"version": "1", "paused": "1"}).status_code == 409, "it has none"


def test_what_was_asked_for_is_asked_for_otherwise(filled: Api, owner: Browser) -> None:
    food = filled.category("food.groceries")
    where = ask(owner, "changes", compare="last_year", **{"where.category_id": food, "where.currency": "EUR"})
    page = owner.open(f"/reports/new?run={where.rpartition('/')[2]}").text
    assert 'value="2026-03-01"' in page
    assert '<option value="last_year" selected>' in page
    assert f'<option value="{food}" selected>' in page
    assert 'value="EUR"' in page
    kept = keep(filled, spec={"kind": "cash_flow", "conversion": {"to": "CHF", "rates": {"USD": "0.9"}}})
    page = owner.open(f"/reports/new?definition={kept}").text
    assert 'value="0.9"' in page
    assert 'id="currencies-one" value="one" checked' in page


def test_the_history_is_filtered_and_paged(api: Api, owner: Browser, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("entrypoints.console.reports.lists.PAGE", 2)
    kept = keep(api)
    for name in ("one", "two", "three"):
        api.post("/reports", {"name": name, "spec": {"kind": "llm"}}, 202)
    api.post("/reports", {"definition_id": kept}, 202)

    def names(query: str) -> list[str]:
        return re.findall(r'class="rows-link" href="/reports/[^"]+">([^<]+)<', owner.open(query).text)

    assert names("/reports/history") == ["Spending", "three"]
    more = re.search(r'href="(/reports/history\?[^"]*after=[^"]+)"', owner.open("/reports/history").text)
    assert more is not None
    assert names(html.unescape(more[1])) == ["two", "one"]
    assert names("/reports/history?kind=llm") == ["three", "two"]
    assert names(f"/reports/history?definition={kept}") == ["Spending"]
    assert names("/reports/history?status=queued&kind=cash_flow") == ["Spending"]
    nothing = owner.open("/reports/history?status=failed")
    assert "No report is like that" in nothing.text
    assert owner.open("/reports/history?kind=gossip").status_code == 422


def test_many_kept_reports_are_paged(api: Api, owner: Browser, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("entrypoints.console.reports.lists.DEFINITIONS", 1)
    keep(api, "First", schedule=DAILY)
    second = keep(api, "Second")
    page = owner.open("/reports").text
    assert ("First" in page, "Second" in page) == (True, False)
    more = re.search(r'href="(/reports\?after=[^"]+)" rel="next"', page)
    assert more is not None
    assert f"/reports/definitions/{second}" in owner.open(more[1]).text


def test_what_could_not_be_made_says_why_and_what_to_do(
    api: Api, owner: Browser, monkeypatch: pytest.MonkeyPatch
) -> None:
    def impossible(self: FileWriters, format: Format, report: Report) -> Iterator[bytes]:
        raise Invalid(f"this is more than we tell {HOSTILE}")

    monkeypatch.setattr(FileWriters, "write", impossible)
    where = ask(owner, "llm", period="last_month")
    api.drain()
    page = owner.open(where)
    assert is_harmless(page)
    assert "This is more than we tell" in page.text
    assert "What to do:" in page.text
    assert f"/reports/new?run={where.rpartition('/')[2]}" in page.text
    assert f'action="{where}/again"' in page.text
    viewer = browser_of(api, Role.VIEWER)
    assert "ask a reviewer, an admin or an owner" in viewer.open(where).text
    assert "failed" in text(owner.open("/reports/history?status=failed"))


def test_files_that_are_kept_no_more_are_told_of(api: Api, owner: Browser) -> None:
    where = ask(owner, "llm", period="last_month")
    api.drain()
    with api.container.app_engine().begin() as connection:  # the database's clock is not ours to set
        connection.exec_driver_sql(f"SELECT set_config('app.tenant_id', '{api.tenant_id}', true)")
        connection.exec_driver_sql(
            "UPDATE report_runs SET finished_at = now() - interval '91 days' WHERE tenant_id = %s", (api.tenant_id,)
        )
    assert api.container.sweep_reports() == 1
    page = owner.open(where)
    assert "Its files are no longer kept" in page.text
    assert f"{where}/files" not in page.text
    assert "files gone" in owner.open("/reports").text


def test_roles_see_and_do_what_is_theirs(filled: Api, owner: Browser) -> None:
    kept = f"/reports/definitions/{keep(filled, schedule=DAILY)}"
    where = ask(owner, "cash_flow", name="Spring")
    filled.drain()
    viewer, reviewer = browser_of(filled, Role.VIEWER), browser_of(filled, Role.REVIEWER)
    for page in ("/reports", kept, where, "/reports/history"):
        assert '<form method="post" action="/reports' not in viewer.open(page).text, page
        assert "/reports/new" not in viewer.open(page).text, page
    assert viewer.open(f"{where}/files/csv").status_code == 200
    assert viewer.open("/reports/new").status_code == 403
    for path in ("/reports/new", "/reports/definitions", f"{where}/again", f"{kept}/run", f"{kept}/delete"):
        assert post(viewer, path, {"kind": "llm", "version": "1"}).status_code == 403, path
    form = reviewer.open("/reports/new?kind=llm").text
    assert ("Make it now" in form, "Keep it" in form, 'name="every"' in form) == (True, False, False)
    assert "Pause" not in reviewer.open(kept).text
    assert post(reviewer, "/reports/definitions", {"kind": "llm", "name": "Mine"}).status_code == 403
    for path in ("change", "schedule", "delete"):
        assert post(reviewer, f"{kept}/{path}", {"version": "1", "kind": "llm"}).status_code == 403, path
    assert post(reviewer, f"{kept}/run", {}).status_code == 303


def test_another_tenants_reports_are_not_there(api: Api, owner: Browser) -> None:
    theirs = new_tenant(api.container, api.client, "Another")
    kept = keep(theirs)
    run = theirs.post("/reports", {"spec": {"kind": "llm"}}, 202)["id"]
    theirs.drain()
    here = f"/reports/definitions/{kept}"
    for path in (f"/reports/{run}", f"/reports/{run}/state", f"/reports/{run}/files/csv", here, f"{here}/change",
                 f"/reports/new?run={run}", f"/reports/new?definition={kept}"):  # fmt: skip
        assert owner.open(path).status_code == 404, path
    posts = (f"/reports/{run}/again", f"{here}/run", f"{here}/change", f"{here}/schedule", f"{here}/delete")
    for path in posts:
        assert post(owner, path, {"version": "1", "kind": "llm", "name": "x"}).status_code == 404, path
    assert "No report was made yet" in owner.open("/reports").text
    assert "No report is like that" in owner.open(f"/reports/history?definition={kept}").text


def test_hostile_texts_are_texts_on_every_page(api: Api, owner: Browser) -> None:
    category = api.post("/categories", {"name": HOSTILE[:60], "key": "odd"}, 201)["id"]
    lines = [
        {"text": HOSTILE, "counterparty": HOSTILE, "amount": f"-{n}9.00", "currency": "EUR",
         "occurred_at": f"2026-0{n}-05", "category": "odd", "account": HOSTILE[:60]}
        for n in range(1, 6)
    ]  # fmt: skip
    api.post("/records?approved=true", {"records": lines}, 202)
    api.drain()
    connection = api.post("/connections", {"connector": "csv", "name": HOSTILE[:60]}, 201)["id"]
    where = {"text": HOSTILE[:50], "category_id": category, "connection_id": connection, "account": HOSTILE[:60]}
    spec = {"kind": "categories", "where": where}
    kept = keep(api, HOSTILE[:80], spec=spec)
    pages = [f"/reports/definitions/{kept}", f"/reports/definitions/{kept}/change", f"/reports/new?definition={kept}"]
    kinds = ("records", "categories", "counterparties", "changes")
    pages += [ask(owner, kind, name=HOSTILE[:80], **{"where.text": HOSTILE[:50]}) for kind in kinds]
    api.drain()
    pages += ["/reports", "/reports/history"]
    for page in pages:
        shown = owner.open(page)
        assert shown.status_code == 200, page
        assert is_harmless(shown), page
        assert "unsafe" not in shown.headers["Content-Security-Policy"], page
    printed = owner.open(f"{pages[4]}/files/html")
    assert is_harmless(printed)


def test_events_and_jobs_lead_to_the_report(api: Api, owner: Browser) -> None:
    kept = keep(api)
    run = api.post("/reports", {"definition_id": kept}, 202)
    api.drain()
    log = owner.open("/events").text
    assert f'href="/reports/{run["id"]}"' in log
    assert f'href="/reports/definitions/{kept}"' in log
    job = owner.open(f"/jobs/{run['job_id']}").text
    assert f'href="/reports/{run["id"]}"' in job
    assert "/rules/runs/" not in job
