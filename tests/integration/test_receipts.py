"""Receipts over the API: uploaded, read, matched with records that were there or come later, and handed out."""

from __future__ import annotations

import io
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import date, timedelta
from decimal import Decimal
from hashlib import sha256
from pathlib import Path
from typing import Any
from urllib.parse import quote
from uuid import UUID

import psycopg
import pytest
from dependency_injector import providers
from sqlalchemy import text
from werkzeug.test import TestResponse

from adapters.memory.clock import FixedClock
from adapters.postgres.engine import create
from adapters.postgres.receipt_statements import CANDIDATES
from adapters.postgres.unit_of_work import PostgresUnitOfWork, set_tenant
from core.domain.events import EventFilter
from core.domain.permissions import Permission
from core.domain.receipt_matching import window_of
from core.domain.receipts import MatchState, Receipt, Said, receipt_path
from core.errors import Invalid, Transient
from entrypoints.container import Container
from plugins.isolation.host import Isolation
from plugins.isolation.receipts import IsolatedReceiptReader
from tests.conftest import Engines
from tests.contract.storage import START, Storage, a_draft, a_receipt
from tests.integration.api_support import HEADER, Api, new_tenant
from tests.integration.test_transactions_that_meet import until_waiting
from tests.receipt_files import (
    GIF,
    HEIC,
    HEIF,
    HTML,
    JPEG,
    LINES,
    PNG,
    SCRIPT,
    SVG,
    TIFF,
    WEBP,
    a_mail,
    a_pdf,
    endless_pdf,
)

DAY = date(2026, 1, 3)
STATEMENT = HEADER + "2026-03-02;CORNER COFFEE BERLIN;-12.99;EUR\n"


@pytest.fixture
def container(make_container: Callable[..., Container]) -> Container:
    return make_container(embeddings="off", rule_proposals="off", max_receipt_bytes=100_000)


def send(api: Api, content: bytes, name: str = "receipt.png", kind: str = "image/png", **beside: str) -> TestResponse:
    form: dict[str, Any] = {"file": (io.BytesIO(content), name, kind), **beside}
    return api.call("POST", "/receipts", data=form, content_type="multipart/form-data")


def uploaded(api: Api, content: bytes = PNG, **beside: str) -> dict[str, Any]:
    """A receipt, once it is read."""
    answer = send(api, content, **beside)
    assert answer.status_code == 201, answer.text
    api.drain()
    receipt: dict[str, Any] = api.get(f"/receipts/{answer.json['id']}")
    return receipt


def suggestions(api: Api, receipt: dict[str, Any]) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = api.get(f"/receipts/{receipt['id']}/suggestions")["items"]
    return found


def told(api: Api, receipt: dict[str, Any]) -> list[str]:
    events = api.container.list_events(api.actor, EventFilter(), after=0, limit=1_000)
    return [event.type for event in events if str(event.subject_id) == receipt["id"]]


def of_record(api: Api) -> str:
    """The one record."""
    (record,) = api.get("/records")["items"]
    return str(record["id"])


def test_a_receipt_is_kept_with_what_is_known_of_it(api: Api) -> None:
    answer = send(api, PNG, "Kassenbon März.png", merchant=" Corner  Coffee ", amount="12.9900", day="2026-03-02")
    assert answer.status_code == 201, answer.text
    receipt = answer.json
    assert answer.headers["Location"] == f"/api/v1/receipts/{receipt['id']}"
    assert api.get(f"/receipts/{receipt['id']}") == receipt
    assert receipt == {
        "id": receipt["id"],
        "url": f"/api/v1/receipts/{receipt['id']}/content",
        "filename": "Kassenbon März.png",
        "mime_type": "image/png",
        "bytes": len(PNG),
        "sha256": sha256(PNG).hexdigest(),
        "source": "upload",
        "connection_id": None,
        "uploaded_by": receipt["uploaded_by"],
        "uploaded_at": receipt["uploaded_at"],
        "state": "picture",
        "failure": None,
        "amount": "12.9900",
        "currency": None,
        "day": "2026-03-02",
        "merchant": "Corner Coffee",
        "by_person": ["amount", "day", "merchant"],
        "links": 0,
        "version": 1,
        "records": [],
    }
    assert receipt["uploaded_by"].startswith("key ")
    assert told(api, receipt) == []
    api.drain()
    assert told(api, receipt) == ["RECEIPT_ADDED"]
    (added,) = api.get("/events?type=RECEIPT_ADDED")["items"]
    assert added["payload"] == {"mime_type": "image/png", "bytes": len(PNG), "source": "upload"}


@pytest.mark.parametrize(
    ("content", "kind"),
    [
        (PNG, "image/png"),
        (JPEG, "image/jpeg"),
        (GIF, "image/gif"),
        (WEBP, "image/webp"),
        (HEIC, "image/heif"),
        (HEIF, "image/heif"),
        (TIFF, "image/tiff"),
        (a_pdf(), "application/pdf"),
        (a_mail(), "message/rfc822"),
        (GIF + SCRIPT, "image/gif"),
        (b"\xff\xd8\xff\xe0\x00\x10JFIF\x00/*" + SCRIPT, "image/jpeg"),
        (a_pdf() + HTML, "application/pdf"),
    ],
)
def test_a_receipt_is_what_its_content_says(api: Api, content: bytes, kind: str) -> None:
    answer = send(api, content, "page.html", "text/html")
    assert answer.status_code == 201, answer.text
    assert answer.json["mime_type"] == kind
    got = api.call("GET", answer.json["url"].removeprefix("/api/v1"))
    assert got.data == content
    assert got.mimetype == kind
    assert got.headers["X-Content-Type-Options"] == "nosniff"
    assert "sandbox" in got.headers["Content-Security-Policy"]
    assert got.headers["Content-Disposition"].startswith("attachment; filename=page.html.")


@pytest.mark.parametrize(
    "content",
    [
        HTML,
        SVG,
        SVG.removeprefix(b'<?xml version="1.0"?>'),
        b"\xef\xbb\xbf" + HTML,
        b"   \n" + HTML,
        b"GIF8" + SCRIPT,
        b"PK\x03\x04" + bytes(64),
        b"MZ" + bytes(128),
        b"\x00\x00\x00\x18ftypavif\x00\x00\x00\x00mif1avif" + bytes(64),
        b"From: somebody\nonly says so",
        b"From: a\nDate: b\n" + HTML,
        b"just some text",
        b"%!PS-Adobe-3.0",
        b"\x00",
    ],
)
def test_nothing_else_is_taken_whatever_it_is_called(api: Api, content: bytes, tmp_path: Path) -> None:
    answer = send(api, content, "receipt.png", "image/png")
    assert (answer.status_code, answer.json["code"]) == (422, "unknown_format"), answer.text
    assert [*tmp_path.rglob("receipts/*")] == []


def test_a_receipt_has_a_size_that_it_may_have(api: Api, tmp_path: Path) -> None:
    assert send(api, PNG + bytes(100_000 - len(PNG))).status_code == 201
    for size in (100_001, 400_000):
        answer = send(api, PNG + b"\x01" * (size - len(PNG)))
        assert (answer.status_code, answer.json["code"]) == (413, "payload_too_large"), answer.text
        raw = api.call("POST", "/receipts?filename=a.png", data=PNG + b"\x01" * (size - len(PNG)))
        assert (raw.status_code, raw.json["code"]) == (413, "payload_too_large"), raw.text
    assert send(api, b"").json["errors"] == {"file": ["The file is empty."]}
    assert len([*tmp_path.rglob("receipts/*")]) == 1


def test_the_same_content_is_one_receipt(api: Api, tmp_path: Path) -> None:
    first = send(api, PNG, amount="3")
    again = send(api, PNG, "other.png", amount="4")
    raw = api.call("POST", "/receipts?filename=raw.png", data=PNG, content_type="application/octet-stream")
    assert (first.status_code, again.status_code, raw.status_code) == (201, 200, 200)
    assert again.json == raw.json == first.json
    other = new_tenant(api.container, api.client, "Quay Books")
    assert send(other, PNG).status_code == 201, "of another tenant it is another"
    assert len([*tmp_path.rglob("receipts/*")]) == 2


def test_an_upload_with_a_key_is_carried_out_once(api: Api) -> None:
    def keyed(content: bytes, **beside: str) -> TestResponse:
        form: dict[str, Any] = {"file": (io.BytesIO(content), "a.png"), **beside}
        headers = {"Idempotency-Key": "k"}
        return api.call("POST", "/receipts", data=form, content_type="multipart/form-data", headers=headers)

    first, again = keyed(PNG, amount="3"), keyed(PNG, amount="3")
    assert (first.status_code, again.status_code) == (201, 201)
    assert again.headers["Idempotency-Replayed"] == "true"
    assert keyed(PNG, amount="4").json["code"] == "idempotency_mismatch"
    assert keyed(GIF, amount="3").json["code"] == "idempotency_mismatch"


@pytest.mark.parametrize(
    ("beside", "field"),
    [
        ({"amount": "many"}, "amount"),
        ({"amount": "-1"}, "amount"),
        ({"amount": "NaN"}, "amount"),
        ({"currency": "Euro"}, "currency"),
        ({"day": "2026-02-30"}, "day"),
        ({"day": "0001-01-01"}, "day"),
        ({"merchant": "x" * 201}, "merchant"),
        ({"note": "x"}, "file"),
        ({"file": "x"}, "file"),
    ],
)
def test_what_stands_beside_a_file_is_checked(api: Api, beside: dict[str, str], field: str) -> None:
    form: dict[str, Any] = {"file": (io.BytesIO(PNG), "a.png"), **beside}
    answer = api.call("POST", "/receipts", data=form, content_type="multipart/form-data")
    assert answer.status_code == 422, answer.text
    assert list(answer.json["errors"]) == [field]
    assert api.get("/receipts")["items"] == []


def test_pictures_alone_are_shown_inline(api: Api) -> None:
    shown = {}
    for content, name in ((PNG, "p.png"), (JPEG, "j.jpg"), (a_pdf(), "d.pdf"), (a_mail(), "m.eml"), (TIFF, "t.tiff")):
        url = send(api, content, name).json["url"].removeprefix("/api/v1")
        got = api.call("GET", f"{url}?inline=true")
        shown[name] = got.headers["Content-Disposition"].split(";")[0]
        assert "sandbox" in got.headers["Content-Security-Policy"]
    assert shown == {
        "p.png": "inline",
        "j.jpg": "inline",
        "d.pdf": "attachment",
        "m.eml": "attachment",
        "t.tiff": "attachment",
    }


@pytest.mark.parametrize(
    ("name", "given"),
    [
        ("ä.png", "attachment; filename=_.png; filename*=UTF-8''%C3%A4.png"),
        ("../../etc/passwd", "attachment; filename=passwd.png"),
        ("..\\x.html", "attachment; filename=x.html.png"),
        ('a"; filename=x.html\r\nSet-Cookie: a', 'attachment; filename="a\\"; filename=x.htmlSet-Cookie: a.png"'),
        (" . ", "attachment; filename=receipt.png"),
    ],
)
def test_a_name_is_handed_out_without_what_it_could_do(api: Api, name: str, given: str) -> None:
    uploaded = api.call("POST", f"/receipts?filename={quote(name)}", data=PNG)
    got = api.call("GET", uploaded.json["url"].removeprefix("/api/v1"))
    assert got.headers["Content-Disposition"] == given


@pytest.mark.parametrize(
    "content", [a_pdf(), a_mail(), a_mail("<p>Corner Coffee</p><p>Total: 12.99 EUR on 2026-03-02")]
)
def test_what_a_receipt_says_is_read_and_its_record_found(api: Api, content: bytes) -> None:
    api.upload(STATEMENT)
    receipt = uploaded(api, content)
    assert (receipt["state"], receipt["failure"], receipt["by_person"]) == ("read", None, [])
    assert (receipt["amount"], receipt["currency"], receipt["day"]) == ("12.99", "EUR", "2026-03-02")
    (suggested,) = suggestions(api, receipt)
    assert suggested["record"]["id"] == of_record(api)
    assert suggested["score"] > 0.8
    assert told(api, receipt) == ["RECEIPT_ADDED", "RECEIPT_CHANGED"]


def test_a_record_that_comes_later_is_found_too(api: Api) -> None:
    receipt = uploaded(api, a_pdf())
    assert suggestions(api, receipt) == []
    api.upload(HEADER + "2026-03-02;SOMETHING ELSE;-45.00;EUR\n")
    assert suggestions(api, receipt) == []
    api.upload(STATEMENT)
    (suggested,) = suggestions(api, receipt)
    assert suggested["record"]["text"] == "CORNER COFFEE BERLIN"


def test_only_who_has_receipts_without_records_pays_for_matching(api: Api) -> None:
    def matched() -> int:
        return len(api.get("/jobs?stream=receipts:match")["items"])

    api.upload(STATEMENT)
    assert matched() == 0
    uploaded(api, GIF)
    api.upload(HEADER + "2026-03-02;FIRST;-1.00;EUR\n")
    assert matched() == 0, "it says no amount"
    receipt = uploaded(api, a_pdf())
    api.upload(HEADER + "2026-03-02;SECOND;-2.00;EUR\n")
    assert matched() == 1
    (suggested,) = suggestions(api, receipt)
    api.post(f"/receipts/{receipt['id']}/links", {"record_id": suggested["record"]["id"]})
    api.upload(HEADER + "2026-03-02;THIRD;-3.00;EUR\n")
    assert matched() == 1


def test_a_pending_record_that_gets_its_amount_is_found(api: Api) -> None:
    receipt = uploaded(api, a_pdf())
    draft = {"external_id": "1", "text": "Corner Coffee", "occurred_at": "2026-03-02", "currency": "EUR"}
    for amount, pending in (("-1.00", True), ("-12.99", False)):
        api.post("/records", {"records": [{**draft, "amount": amount, "pending": pending}]}, 202)
        api.drain()
        assert len(suggestions(api, receipt)) == (not pending)


def test_what_a_person_says_stands(api: Api) -> None:
    answer = send(api, a_pdf(), amount="50.00")
    receipt = answer.json
    changed = api.call("PATCH", f"/receipts/{receipt['id']}", {"merchant": "Aldi"}, headers={"If-Match": '"1"'})
    assert changed.status_code == 200, changed.text
    api.drain()
    read = api.get(f"/receipts/{receipt['id']}")
    assert (read["amount"], read["merchant"], read["day"]) == ("50.00", "Aldi", "2026-03-02")
    assert read["by_person"] == ["amount", "merchant"]
    late = api.call("PATCH", f"/receipts/{receipt['id']}", {"merchant": "Lidl"}, headers={"If-Match": '"1"'})
    assert late.status_code == 412
    taken = api.call("PATCH", f"/receipts/{receipt['id']}", {"day": None, "amount": "12.99"})
    assert (taken.json["day"], taken.json["amount"]) == (None, "12.99")
    assert taken.json["by_person"] == ["amount", "day", "merchant"]
    assert api.call("PATCH", f"/receipts/{receipt['id']}", {}).status_code == 422
    assert told(api, receipt) == ["RECEIPT_ADDED", "RECEIPT_CHANGED", "RECEIPT_CHANGED"]


def test_a_picture_is_found_by_what_a_person_says(api: Api) -> None:
    api.upload(STATEMENT)
    receipt = uploaded(api, PNG)
    assert suggestions(api, receipt) == []
    said = {"amount": "12.99", "day": "2026-03-01", "merchant": "Corner Coffee"}
    assert api.call("PATCH", f"/receipts/{receipt['id']}", said).status_code == 200
    (suggested,) = suggestions(api, receipt)
    assert suggested["score"] > 0.8


def test_people_link_reject_and_unlink(api: Api) -> None:
    api.upload(HEADER + "2026-03-02;CORNER COFFEE;-12.99;EUR\n2026-03-03;CORNER COFFEE;-12.99;EUR\n")
    receipt = uploaded(api, a_pdf())
    path = f"/receipts/{receipt['id']}"
    first, second = (item["record"]["id"] for item in suggestions(api, receipt))
    assert api.call("DELETE", f"{path}/suggestions/{second}").status_code == 204
    assert [item["record"]["id"] for item in suggestions(api, receipt)] == [first]
    assert api.call("DELETE", f"{path}/suggestions/{second}").status_code == 404
    linked = api.post(f"{path}/links", {"record_id": first})
    assert (linked["links"], [link["record_id"] for link in linked["records"]]) == (1, [first])
    assert linked["records"][0]["decided_by"].startswith("key ")
    assert api.post(f"{path}/links", {"record_id": first}) == linked, "once more changes nothing"
    assert api.post(f"{path}/links", {"record_id": second})["links"] == 2, "a person may change their mind"
    assert suggestions(api, receipt) == []
    assert [r["id"] for r in api.get("/receipts?status=matched")["items"]] == [receipt["id"]]
    assert api.get("/receipts?status=unmatched")["items"] == []
    assert api.call("DELETE", f"{path}/links/{first}").status_code == 204
    assert api.call("DELETE", f"{path}/links/{first}").status_code == 404
    assert api.get(path)["links"] == 1
    api.post(f"{path}/links", {"record_id": api.category("food.groceries")}, 422)
    api.drain()
    assert told(api, receipt)[2:] == ["RECEIPT_UNLINKED", "RECEIPT_LINKED", "RECEIPT_LINKED", "RECEIPT_UNLINKED"]


def test_a_record_shows_its_receipts_and_so_does_the_queue(api: Api) -> None:
    api.upload(STATEMENT)
    record = of_record(api)
    linked, likely, unlikely = (
        uploaded(api, a_pdf(["Corner Coffee", *LINES[1:], f"Copy {n}"]), **beside)
        for n, beside in enumerate([{}, {}, {"merchant": "Somebody Else"}])
    )
    api.post(f"/receipts/{linked['id']}/links", {"record_id": record})
    shown = api.get(f"/records/{record}/receipts")["items"]
    assert [(one["receipt_id"], one["state"]) for one in shown] == [
        (linked["id"], "linked"),
        (likely["id"], "suggested"),
        (unlikely["id"], "suggested"),
    ]
    assert (shown[1]["amount"], shown[1]["merchant"], shown[1]["url"]) == ("12.99", "Corner Coffee", likely["url"])
    (item,) = api.get("/approvals")["items"]
    assert item["receipts"] == shown[:2]
    scopes = frozenset({Permission.APPROVALS_READ})
    blind = replace(api, key=api.container.create_api_key(api.actor, name="blind", scopes=scopes).secret)
    assert blind.get("/approvals")["items"][0]["receipts"] == []
    api.get(f"/records/{linked['id']}/receipts", 404)


def test_a_key_for_receipts_sees_no_records(api: Api) -> None:
    api.upload(STATEMENT)
    receipt = uploaded(api, a_pdf())
    scopes = frozenset({Permission.RECEIPTS_READ})
    narrow = replace(api, key=api.container.create_api_key(api.actor, name="narrow", scopes=scopes).secret)
    assert narrow.get("/receipts")["items"][0]["id"] == receipt["id"]
    narrow.get(f"/receipts/{receipt['id']}/suggestions", 403)


@pytest.mark.parametrize("way", ["delete", "undo"])
def test_a_record_that_goes_leaves_its_receipt(api: Api, way: str) -> None:
    imported, record = api.upload(STATEMENT), of_record(api)
    api.upload(STATEMENT.replace("BERLIN", "HAMBURG"))
    receipt = uploaded(api, a_pdf())
    api.post(f"/receipts/{receipt['id']}/links", {"record_id": record})
    assert suggestions(api, receipt) == []
    if way == "undo":
        api.post(f"/imports/{imported['id']}/undo")
    else:
        assert api.call("DELETE", f"/records/{record}").status_code == 204
    api.drain()
    assert api.get(f"/receipts/{receipt['id']}")["links"] == 0
    (suggested,) = suggestions(api, receipt)
    assert suggested["record"]["text"] == "CORNER COFFEE HAMBURG"
    jobs = len(api.get("/jobs?stream=receipts:match")["items"])
    assert api.call("DELETE", f"/records/{suggested['record']['id']}").status_code == 204
    assert len(api.get("/jobs?stream=receipts:match")["items"]) == jobs, "nothing was linked to that one"
    assert [r["id"] for r in api.get("/receipts?status=unmatched")["items"]] == [receipt["id"]]


def test_a_deleted_receipt_is_gone_with_its_file(api: Api, tmp_path: Path) -> None:
    api.upload(STATEMENT)
    receipt = uploaded(api, a_pdf())
    path = f"/receipts/{receipt['id']}"
    api.post(f"{path}/links", {"record_id": of_record(api)})
    assert api.call("DELETE", path, headers={"If-Match": '"1"'}).status_code == 412
    assert api.call("DELETE", path, headers={"If-Match": '"2"'}).status_code == 204
    for gone in (path, f"{path}/content", f"{path}/suggestions"):
        api.get(gone, 404)
    assert [*tmp_path.rglob("receipts/*")] == []
    assert api.get(f"/records/{of_record(api)}/receipts")["items"] == []
    assert send(api, a_pdf()).status_code == 201, "and may come again"


def test_receipts_are_each_tenants_own(api: Api) -> None:
    api.upload(STATEMENT)
    receipt = uploaded(api, a_pdf())
    path = f"/receipts/{receipt['id']}"
    other = new_tenant(api.container, api.client, "Quay Books")
    for gone in (path, f"{path}/content", f"{path}/suggestions", f"/records/{of_record(api)}/receipts"):
        other.get(gone, 404)
    assert other.get("/receipts")["items"] == []
    other.post(f"{path}/links", {"record_id": of_record(api)}, 404)
    assert other.call("DELETE", path).status_code == 404
    mine = uploaded(other, GIF, amount="12.99", day="2026-03-02")
    assert suggestions(other, mine) == []
    other.post(f"/receipts/{mine['id']}/links", {"record_id": of_record(api)}, 422)


def test_what_is_attached_to_an_e_mail_is_a_receipt_too(api: Api) -> None:
    files = (
        ("invoice.pdf", "application/pdf", a_pdf()),
        ("scan.jpg", "application/octet-stream", JPEG),
        ("liar.png", "image/png", HTML),
        ("terms.txt", "text/plain", b"From: a\nTo: b\nSubject: c\nDate: d\n\n"),
    )
    mail = uploaded(api, a_mail("Hello, see what is attached.", *files))
    others = {r["filename"]: r for r in api.get("/receipts")["items"] if r["id"] != mail["id"]}
    assert {name: one["mime_type"] for name, one in others.items()} == {
        "invoice.pdf": "application/pdf",
        "scan.jpg": "image/jpeg",
    }
    assert (others["invoice.pdf"]["amount"], others["invoice.pdf"]["state"]) == ("12.99", "read")


def test_what_is_attached_to_a_persons_e_mail_is_theirs(api: Api, superuser: psycopg.Connection) -> None:
    person = replace(api.actor, name="a reviewer", user_id=api.container.ids().new(), api_key_id=None)
    mail = io.BytesIO(a_mail("See what is attached.", ("scan.jpg", "image/jpeg", JPEG)))
    api.container.upload_receipt(person, mail, filename="a.eml", said=Said())
    api.drain()
    by = "SELECT mime_type, uploaded_by, uploaded_by_id FROM receipts WHERE tenant_id = %s ORDER BY mime_type"
    assert superuser.execute(by, [api.tenant_id]).fetchall() == [
        ("image/jpeg", "a reviewer", person.user_id),
        ("message/rfc822", "a reviewer", person.user_id),
    ]


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"%PDF-1.4\nnothing of it holds", "the PDF can't be read"),
        (a_pdf()[:200], "the PDF can't be read"),
        (b"%PDF-1.7\n" + b"[" * 90_000, "the PDF can't be read"),
    ],
)
def test_a_receipt_that_cannot_be_read_is_kept(api: Api, content: bytes, why: str) -> None:
    receipt = uploaded(api, content)
    assert receipt["state"] == "unreadable"
    assert why in receipt["failure"]
    assert api.get("/jobs/dead")["items"] == []


def test_a_pdf_without_text_says_what_people_say(api: Api) -> None:
    receipt = uploaded(api, a_pdf([]))
    assert (receipt["state"], receipt["amount"]) == ("picture", None)


def test_a_file_that_is_never_read_through_ends_with_its_child(api: Api) -> None:
    api.container.reader.override(providers.Object(IsolatedReceiptReader(Isolation(memory=1 << 30), seconds=1.0)))
    assert len(endless_pdf()) < 100_000
    receipt = uploaded(api, endless_pdf())
    assert receipt["state"] == "unreadable"
    assert "gave nothing for 1 seconds, and was ended" in receipt["failure"]
    assert uploaded(api, a_pdf())["state"] == "read"


def test_a_file_of_which_no_row_tells_is_taken_over(api: Api, tmp_path: Path) -> None:
    api.container.files().write(receipt_path(api.tenant_id, sha256(PNG).hexdigest()), [PNG])
    (file,) = tmp_path.rglob("receipts/*")
    assert send(api, PNG).status_code == 201
    assert [*tmp_path.rglob("receipts/*")] == [file]


def test_a_request_that_is_not_carried_out_writes_no_file(api: Api, tmp_path: Path) -> None:
    def keyed() -> TestResponse:
        return api.call("POST", "/receipts?filename=a.png", data=PNG, headers={"Idempotency-Key": "k"})

    receipt = keyed().json
    assert api.call("DELETE", f"/receipts/{receipt['id']}").status_code == 204
    assert keyed().headers["Idempotency-Replayed"] == "true"
    assert [*tmp_path.rglob("receipts/*")] == []
    nowhere = create("postgresql://sortation_app@127.0.0.1:1/sortation", pool_size=1)
    cut_off = PostgresUnitOfWork(nowhere, api.container.ids())
    with pytest.raises(Transient):
        api.container.upload_receipt(api.actor, io.BytesIO(PNG), filename="a.png", said=Said(), uow=cut_off)
    assert [*tmp_path.rglob("receipts/*")] == []


@pytest.mark.parametrize("deleted_first", [True, False])
def test_who_uploads_what_another_deletes_meanwhile_has_its_file(
    api: Api, meanwhile: ThreadPoolExecutor, superuser: psycopg.Connection, deleted_first: bool
) -> None:
    receipt = uploaded(api)
    files = api.container.files()

    def upload() -> tuple[Receipt, bool]:
        return api.container.upload_receipt(api.actor, io.BytesIO(PNG), filename="again.png", said=Said())

    with api.container.uow().begin(api.actor) as tx:
        gone = tx.receipts.get(UUID(receipt["id"]), lock=True)
        if deleted_first:
            tx.receipts.delete(gone.id, None)
        uploading = meanwhile.submit(upload)
        until_waiting(superuser, uploading)
        if not deleted_first:
            tx.receipts.delete(gone.id, None)
        files.delete([gone.path])
        tx.commit()
    again, new = uploading.result(30)
    assert new
    assert b"".join(files.read(again.path)) == PNG


def test_who_deletes_what_another_uploads_meanwhile_deletes_its_file(
    api: Api, meanwhile: ThreadPoolExecutor, superuser: psycopg.Connection, tmp_path: Path
) -> None:
    receipt = uploaded(api)
    with api.container.uow().begin(api.actor) as tx:
        tx.receipts.add(replace(tx.receipts.get(UUID(receipt["id"])), id=api.container.ids().new()))
        deleting = meanwhile.submit(api.container.delete_receipt, api.actor, UUID(receipt["id"]), version=None)
        until_waiting(superuser, deleting)
        tx.commit()
    deleting.result(30)
    assert [*tmp_path.rglob("receipts/*")] == []


def test_who_links_a_receipt_whose_records_go_waits_for_no_one_who_waits_for_it(
    api: Api, meanwhile: ThreadPoolExecutor, superuser: psycopg.Connection
) -> None:
    api.upload(HEADER + "2026-03-02;CORNER COFFEE;-12.99;EUR\n2026-03-03;CORNER COFFEE;-12.99;EUR\n")
    receipt = uploaded(api, a_pdf())
    first, second = (UUID(item["record"]["id"]) for item in suggestions(api, receipt))
    id = UUID(receipt["id"])
    api.container.link_receipt(api.actor, id, first)
    with api.container.uow().begin(api.actor) as tx:
        tx.records.delete(second, None)
        linking = meanwhile.submit(api.container.link_receipt, api.actor, id, second)
        until_waiting(superuser, linking)
        tx.records.delete(first, None)
        tx.commit()
    with pytest.raises(Invalid, match="this record does not exist"):
        linking.result(30)
    assert api.get(f"/receipts/{id}")["links"] == 0


def test_what_is_matched_is_what_a_receipt_says_by_then(
    storage: Storage, meanwhile: ThreadPoolExecutor, superuser: psycopg.Connection
) -> None:
    actor = storage.tenant()
    record = storage.record(actor)
    changed, linked = (a_receipt(storage.ids.new(), actor, n, said=Said(amount=Decimal(5))) for n in (1, 2))
    with storage.writing(actor) as tx:
        for receipt in (changed, linked):
            tx.receipts.add(receipt)

    def matching() -> list[tuple[UUID, Decimal | None]]:
        with storage.reading(actor) as other:
            return [(receipt.id, receipt.said.amount) for receipt in other.receipts.open(after=None, limit=1)]

    with storage.uow.begin(actor) as tx:
        tx.receipts.hold(linked.id, record)
        tx.receipts.decide(linked.id, record, MatchState.LINKED, by="reviewer", at=START)
        tx.receipts.update(replace(changed, said=Said(amount=Decimal(9))))
        found = meanwhile.submit(matching)
        until_waiting(superuser, found)
        tx.commit()
    assert found.result(30) == [(changed.id, Decimal(9))]


def test_receipts_of_no_record_go_when_records_would(api: Api, tmp_path: Path) -> None:
    api.upload(STATEMENT)
    linked = uploaded(api, a_pdf())
    api.post(f"/receipts/{linked['id']}/links", {"record_id": of_record(api)})
    unmatched = uploaded(api, PNG)
    api.call("PATCH", "/tenant", {"settings": {"record_retention_days": 30_000}})
    later = FixedClock(api.container.clock().now() + timedelta(days=29_990))
    api.container.expire_records(clock=later)
    assert len(api.get("/receipts")["items"]) == 2, "not yet"
    api.call("PATCH", "/tenant", {"settings": {"record_retention_days": 29_000}})
    api.container.expire_records(clock=later)
    assert api.get("/receipts")["items"] == []
    assert [*tmp_path.rglob("receipts/*")] == []
    api.drain()
    assert told(api, linked)[-1] == told(api, unmatched)[-1] == "RECEIPT_DELETED"


def test_candidates_are_found_by_an_index_under_row_level_security(
    storage: Storage, engines: Engines, superuser: psycopg.Connection
) -> None:
    actor = storage.tenant()
    drafts = [
        a_draft(str(n), occurred_at=DAY + timedelta(days=n % 700), amount=-Decimal(n % 997)) for n in range(20_000)
    ]
    storage.store(actor, drafts)
    superuser.execute("ANALYZE")
    window = window_of(Said(amount=Decimal(500), day=DAY + timedelta(days=350)), DAY)
    assert window is not None
    given = {
        "tenant": actor.tenant_id,
        "limit": 20,
        "ids": [storage.ids.new()],
        "amounts": [500.0],
        "lowest": [float(window.lowest)],
        "highest": [float(window.highest)],
        "since": [window.since],
        "until": [window.until],
        "near": [window.near],
    }
    with engines.app.connect() as connection:
        set_tenant(connection, actor)
        plan = "\n".join(connection.execute(text(f"EXPLAIN {CANDIDATES.format(asked='')}"), given).scalars())
    condition = next(line for line in plan.split("\n") if "Index Cond" in line and "occurred_on" in line)
    assert "records_by_day" in plan, plan
    assert all(column in condition for column in ("tenant_id", "occurred_on", "magnitude")), plan


def test_whether_receipts_wait_for_records_is_asked_of_an_index(
    storage: Storage, engines: Engines, superuser: psycopg.Connection
) -> None:
    """However many pictures there are that say no amount."""
    actor = storage.tenant()
    superuser.execute(
        "INSERT INTO receipts (tenant_id, id, filename, mime_type, bytes, sha256, source, uploaded_by, uploaded_at,"
        " state, by_person, version)"
        " SELECT %s, gen_random_uuid(), 'a.png', 'image/png', 1, n::text, 'upload', 'a', now(), 'picture', '{}', 1"
        " FROM generate_series(1, 5000) n",
        [actor.tenant_id],
    )
    superuser.execute("ANALYZE receipts")
    asked = "SELECT id FROM receipts WHERE tenant_id = :tenant AND links = 0 AND amount IS NOT NULL LIMIT 1"
    with engines.app.connect() as connection:
        set_tenant(connection, actor)
        given = {"tenant": actor.tenant_id}
        plan = "\n".join(connection.execute(text(f"EXPLAIN {asked}"), given).scalars())
    assert "receipts_waiting" in plan, plan
