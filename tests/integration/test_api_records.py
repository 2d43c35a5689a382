"""Records: in, listed, changed, out; and the imports that bring them."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

import orjson
import pytest
from flask import Flask

from entrypoints.api.app import create_app
from entrypoints.api.responses import dumps, page
from entrypoints.api.schemas.records import RecordPageSchema
from entrypoints.container import Container
from ports.storage import RecordFilter
from tests.integration.api_support import HEADER, STATEMENT, Api, add_rule, new_tenant


@pytest.fixture
def app(make_container: Callable[..., Container]) -> Flask:
    return create_app(make_container(embeddings="off"))


@pytest.fixture
def api(app: Flask) -> Api:
    return new_tenant(app.extensions["sortation"], app.test_client())


def bring(api: Api, *records: Any, **query: str) -> dict[str, Any]:
    answer = api.call("POST", "/records", {"records": list(records)}, query_string=query)
    assert answer.status_code == 202, answer.text
    api.drain()
    imported: dict[str, Any] = api.get(f"/imports/{answer.json['id']}")
    return imported


def one(text: str, amount: Any = "-1.00", **more: Any) -> dict[str, Any]:
    return {"text": text, "occurred_at": "2026-01-02", "amount": amount, "currency": "EUR", **more}


def test_an_upload_is_accepted_read_sorted_and_undone(api: Api) -> None:
    add_rule(api, api.category("food.groceries"))
    answer = api.call("POST", "/imports?filename=statement.csv", data=STATEMENT.encode())
    assert answer.status_code == 202
    assert answer.json["status"] == "received"
    location = answer.headers["Location"]
    polled = api.call("GET", f"/{location}")
    same = api.call("GET", f"/{location}", headers={"If-None-Match": polled.headers["ETag"]})
    assert (same.status_code, same.data) == (304, b"")
    api.drain()
    done = api.call("GET", f"/{location}", headers={"If-None-Match": polled.headers["ETag"]})
    assert (done.status_code, done.json["status"], done.json["inserted"]) == (200, "done", 2)
    job = api.call("GET", f"/jobs/{done.json['job_id']}")
    assert job.json["status"] == "done"
    assert api.call("GET", f"/jobs/{job.json['id']}", headers={"If-None-Match": job.headers["ETag"]}).status_code == 304
    statuses = {r["text"]: r["status"] for r in api.get("/records")["items"]}
    assert statuses == {"NETFLIX.COM 866-579": "processed", "Qwxz unheard of": "needs_review"}
    undone = api.post(f"/imports/{done.json['id']}/undo")
    assert (undone["import"]["status"], undone["removed"], undone["kept"]) == ("undone", 2, 0)
    assert api.get("/records")["items"] == []
    assert api.post(f"/imports/{done.json['id']}/undo", status=409)["code"] == "conflict"


def test_a_multipart_upload(api: Api) -> None:
    def send(**fields: Any) -> Any:
        return api.call("POST", "/imports", data=fields)

    answer = send(file=(io.BytesIO(STATEMENT.encode()), "../files/march.csv"))
    assert (answer.status_code, answer.json["filename"]) == (202, "march.csv")
    assert send(other=(io.BytesIO(b"x"), "x.csv")).json["errors"] == {"file": ["Send exactly one file."]}
    assert send(file=(io.BytesIO(b"x"), "x.csv"), more="y").status_code == 422
    assert send(file="not a file").status_code == 422
    assert send(file=(io.BytesIO(b""), "x.csv")).json["code"] == "invalid"
    assert send(file=(io.BytesIO(b"\x00\x01"), "x.bin")).json["code"] == "unknown_format"


def test_a_dry_run_tells_and_keeps_nothing(api: Api) -> None:
    answer = api.call("POST", "/imports?dry_run=true&filename=x.csv", data=STATEMENT.encode())
    assert answer.status_code == 200, answer.text
    assert {k: answer.json[k] for k in ("connector", "new", "known")} == {"connector": "csv", "new": 2, "known": 0}
    assert answer.json["samples"][0]["amount"] == "-12.99"
    assert answer.json["samples"][0]["occurred_at"] == "2026-03-01"
    assert api.get("/imports")["items"] == []


def test_imports_are_listed_newest_first(api: Api) -> None:
    ids = [api.upload(HEADER + f"2026-03-0{n};Shop {n};-{n};EUR\n")["id"] for n in (1, 2, 3)]
    first = api.get("/imports?limit=2")
    rest = api.get(f"/imports?limit=2&before={first['next']}")
    assert [i["id"] for i in first["items"] + rest["items"]] == ids[::-1]
    assert rest["next"] is None


def test_records_as_json_keep_every_digit_and_bad_ones_are_refused_alone(api: Api) -> None:
    body = (
        b'{"records": [{"text": "Big", "occurred_at": "2026-01-02T10:00:00+01:00", "amount": 12345678901234567.89,'
        b' "currency": "EUR", "attributes": {"weight": 1.5}}, {"text": "No date"},'
        b' {"text": "Half \\ud800", "occurred_at": "2026-01-02"}, {"text": "Nul \\u0000", "occurred_at": "2026-01-02"},'
        b' {"text": "Huge", "occurred_at": "2026-01-02", "attributes": {"n": 123456789012345678901234567890}}]}'
    )
    answer = api.call("POST", "/records", data=body, content_type="application/json")
    api.drain()
    imported = api.get(f"/imports/{answer.json['id']}")
    assert (imported["status"], imported["inserted"]) == ("done", 2), imported
    assert [r["position"] for r in imported["refusals"]] == [2, 3, 4]
    big, huge = api.get("/records")["items"]
    assert (big["amount"], big["occurred_at"]) == ("12345678901234567.89", "2026-01-02T09:00:00+00:00")
    assert big["attributes"] == {"weight": 1.5}
    assert huge["text"] == "Huge"


def test_records_as_ndjson(api: Api) -> None:
    lines = b"".join(json.dumps(one(f"Shop {n}")).encode() + b"\n" for n in range(3))
    answer = api.call("POST", "/records", data=lines, content_type="application/x-ndjson")
    assert answer.status_code == 202
    api.drain()
    assert len(api.get("/records")["items"]) == 3
    assert api.get(f"/imports/{answer.json['id']}")["filename"] == "records.ndjson"


def test_the_bulk_body_is_checked(api: Api) -> None:
    for body in ([], {"records": []}, {"records": {}}, {"records": [one("x")], "more": 1}, {"records": [1] * 10_001}):
        answer = api.call("POST", "/records", body)
        assert (answer.status_code, answer.json["code"]) == (422, "invalid"), answer.text
    odd = api.post("/records", {"records": [one("x"), 7]}, 422)
    assert odd["errors"] == {"records": {"1": ["Not an object."]}}
    csv_connection = api.post("/connections", {"connector": "csv", "name": "bank"}, 201)
    assert api.post(f"/records?connection_id={csv_connection['id']}", {"records": [one("x")]}, 422)["code"] == "invalid"
    shop = api.post("/connections", {"connector": "json", "name": "shop"}, 201)
    assert bring(api, one("x"), connection_id=shop["id"])["connection_id"] == shop["id"]


def test_history_is_imported_as_approved(api: Api) -> None:
    bring(api, one("Aldi", category="food.groceries"), approved="true")
    [record] = api.get("/records")["items"]
    assert (record["status"], record["category_id"]) == ("approved", api.category("food.groceries"))


def test_lists_are_filtered_and_paged(api: Api) -> None:
    groceries = api.category("food.groceries")
    add_rule(api, groceries, "ALDI")
    first = bring(api, *[one(f"ALDI {n}", f"-{n}.00", account="giro") for n in range(1, 6)])
    bring(api, one("Salary", "2500", occurred_at="2026-02-01", account="savings", counterparty="Hooli GmbH"))

    def texts(query: str) -> list[str]:
        return [r["text"] for r in api.get(f"/records?{query}")["items"]]

    assert texts("limit=2") == ["ALDI 1", "ALDI 2"]
    cursor = api.get("/records?limit=2")["next"]
    assert texts(f"limit=4&after={cursor}") == ["ALDI 3", "ALDI 4", "ALDI 5", "Salary"]
    assert api.get(f"/records?limit=4&after={cursor}")["next"] is None
    assert texts("order=newest&limit=2") == ["Salary", "ALDI 5"]
    cursor = api.get("/records?order=newest&limit=2")["next"]
    assert texts(f"order=newest&limit=4&after={cursor}") == ["ALDI 4", "ALDI 3", "ALDI 2", "ALDI 1"]
    assert api.get(f"/records?order=newest&limit=4&after={cursor}")["next"] is None
    assert texts("order=newest&account=savings") == ["Salary"]
    for order in ("newest", "arrival"):
        assert api.get(f"/records?order={order}&after=no-cursor", 422)["errors"].keys() == {"after"}
    assert texts("text=hooli") == ["Salary"]
    assert texts("text=%25") == []
    assert texts("min_amount=-2&max_amount=-1") == ["ALDI 1", "ALDI 2"]
    assert texts("status=needs_review") == ["Salary"]
    assert len(texts("status=needs_review&status=processed")) == 6
    assert len(texts(f"category_id={groceries}&stage=rules&import_id={first['id']}&account=giro&currency=EUR")) == 5
    assert texts("since=2026-01-03") == ["Salary"]
    assert len(texts("until=2026-01-02")) == 5
    assert texts("kind=invoice") == []


def test_hot_answers_equal_what_the_schema_writes(api: Api) -> None:
    add_rule(api, api.category("food.groceries"))
    api.upload(STATEMENT)
    bring(api, one("Odd", "1E+3", occurred_at="2026-01-02T10:00:00.123456Z", attributes={"a": [1, None, {"b": "ü"}]}))
    bring(api, {"text": "No amount", "occurred_at": "2026-01-02"})
    rows = api.container.list_records(api.actor, RecordFilter(), after=None, limit=10)
    assert len(rows) == 4
    assert rows[0].keys() == RecordPageSchema().fields["items"].inner.schema.fields.keys()  # type: ignore[attr-defined]
    slow = RecordPageSchema().dump(page(rows, 10, lambda row: str(row["id"])))
    assert api.call("GET", "/records").data == orjson.dumps(slow)


def test_values_are_written_plainly() -> None:
    written = dumps(
        {"d": Decimal("1E+3"), "u": UUID(int=1), "t": datetime(2026, 1, 2, 3, tzinfo=UTC), "o": date(2026, 1, 2)}
    )
    assert orjson.loads(written) == {
        "d": "1000",
        "u": "00000000-0000-0000-0000-000000000001",
        "t": "2026-01-02T03:00:00+00:00",
        "o": "2026-01-02",
    }


def test_a_record_is_read_changed_and_removed(api: Api) -> None:
    api.upload(STATEMENT)
    url = f"/records/{api.get('/records')['items'][1]['id']}"
    read = api.call("GET", url)
    assert read.json["raw"]["Description"] == "Qwxz unheard of"
    assert {s["stage"] for s in read.json["reasoning_trace"]["stages"]} == {"rules", "similarity", "llm"}
    etag = read.headers["ETag"]
    assert etag == f'"{read.json["version"]}"'
    assert api.call("GET", url, headers={"If-None-Match": etag}).status_code == 304
    assert api.call("GET", url, headers={"If-None-Match": '"99"'}).status_code == 200
    groceries = api.category("food.groceries")
    changed = api.call(
        "PATCH", url, {"category_id": groceries, "tags": ["tax"], "attributes": {"n": 1}}, headers={"If-Match": etag}
    )
    assert changed.status_code == 200, changed.text
    assert changed.json["status"] == "overridden"
    assert (changed.json["category_id"], changed.json["tags"]) == (groceries, ["tax"])
    assert changed.json["reasoning_trace"]["stages"][-1]["stage"] == "human"
    assert changed.headers["ETag"] == api.call("GET", url).headers["ETag"] != etag
    for method in ("PATCH", "DELETE"):
        body = {"tags": []} if method == "PATCH" else None
        assert api.call(method, url, body, headers={"If-Match": etag}).json["code"] == "version_mismatch"
        assert api.call(method, url, body, headers={"If-Match": '"never ours"'}).status_code == 412
        assert api.call(method, url, body, headers={"If-Match": "3"}).json["code"] == "invalid"
    assert api.call("PATCH", url, {"tags": ["a"] * 21}).status_code == 422
    assert api.call("PATCH", url, {"status": "approved"}).status_code == 422
    assert api.call("DELETE", url).status_code == 204
    assert api.get(url, 404)["code"] == "not_found"


def test_exports_are_whole_and_no_spreadsheet_runs_them(api: Api) -> None:
    add_rule(api, api.category("food.groceries"))
    api.upload(STATEMENT)
    bring(api, one("=HYPERLINK(1)", counterparty="@evil", external_id="-1.5", account="+49 30"))
    answer = api.call("GET", "/records/export?format=csv")
    assert answer.mimetype == "text/csv"
    rows = list(csv.DictReader(io.StringIO(answer.text)))
    assert [r["amount"] for r in rows] == ["-12.99", "-3.50", "-1.00"]
    assert rows[0]["category"].endswith("Groceries")
    assert (rows[2]["text"], rows[2]["counterparty"]) == ("'=HYPERLINK(1)", "'@evil")
    assert (rows[2]["external_id"], rows[2]["account"]) == ("-1.5", "'+49 30")
    lines = api.call("GET", "/records/export?format=ndjson&status=processed").text.splitlines()
    [listed] = api.get("/records?status=processed")["items"]
    assert [json.loads(line) for line in lines] == [listed]
    empty = api.call("GET", "/records/export?kind=none")
    assert empty.text.count("\n") == 1
    assert api.get("/records/export?format=xlsx", 422)["errors"].keys() == {"format"}
