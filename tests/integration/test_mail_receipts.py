"""Receipts that come as e-mails: as files, and delivered to a connection."""

from __future__ import annotations

import hmac
import io
from collections.abc import Callable
from hashlib import sha256
from typing import Any

import pytest
from werkzeug.test import TestResponse

from entrypoints.api.app import create_app
from entrypoints.container import Container
from plugins.isolation.host import Isolation
from plugins.isolation.receipts import MEMORY, IsolatedReceiptReader
from tests.integration.api_support import HEADER, Api, new_tenant
from tests.receipt_files import HTML, JPEG, PNG, a_mail, a_pdf

SIGNED_WITH = "canary-of-mail"


@pytest.fixture
def api(make_container: Callable[..., Container]) -> Api:
    container = make_container(embeddings="off", rule_proposals="off", max_receipt_bytes=100_000)
    api = new_tenant(container, create_app(container).test_client())
    api.upload(HEADER + "2026-03-02;CORNER COFFEE BERLIN;-12.99;EUR\n")
    return api


@pytest.fixture
def mailbox(api: Api) -> str:
    made = {"connector": "email", "name": "Mailbox", "config": {"webhook_secret": SIGNED_WITH}}
    return str(api.post("/connections", made, 201)["id"])


def deliver(api: Api, mailbox: str, body: bytes, key: str = SIGNED_WITH) -> TestResponse:
    signature = hmac.digest(key.encode(), body, "sha256").hex()
    headers = {"X-Sortation-Signature": signature}
    return api.client.post(f"/api/v1/webhooks/{mailbox}", data=body, headers=headers, content_type="message/rfc822")


def receipts(api: Api) -> dict[str, dict[str, Any]]:
    """By their types."""
    return {one["mime_type"]: one for one in api.get("/receipts")["items"]}


def test_a_delivered_e_mail_is_a_receipt_with_what_is_attached(api: Api, mailbox: str) -> None:
    mail = a_mail("See what is attached.", ("invoice.pdf", "application/pdf", a_pdf()), ("x", "image/png", HTML))
    assert deliver(api, mailbox, mail).status_code == 202
    api.drain()
    found = receipts(api)
    assert found.keys() == {"message/rfc822", "application/pdf"}
    for one in found.values():
        assert (one["source"], one["connection_id"]) == ("connection", mailbox)
    invoice = found["application/pdf"]
    assert (invoice["amount"], invoice["merchant"], invoice["filename"]) == (
        "12.99",
        "Corner Coffee Ltd",
        "invoice.pdf",
    )
    (suggested,) = api.get(f"/receipts/{invoice['id']}/suggestions")["items"]
    assert suggested["record"]["text"] == "CORNER COFFEE BERLIN"
    deliver(api, mailbox, mail)
    api.drain()
    assert len(api.get("/receipts")["items"]) == 2, "once, however often it is delivered"


def test_whatever_an_attachment_is_called_it_is_a_receipt(api: Api, mailbox: str) -> None:
    mail = a_mail("Corner\x01 Coffee\nTotal: 12.99 EUR", ("scan.png", "image/png", PNG))
    mail = mail.replace(b'filename="scan.png"', b"filename*=utf-8''a%00b%0Ac.png")
    assert deliver(api, mailbox, mail).status_code == 202
    api.drain()
    found = receipts(api)
    assert found["image/png"]["filename"] == "a b c.png"
    assert found["message/rfc822"]["merchant"] == "Corner Coffee"
    assert api.get("/jobs/dead")["items"] == []
    changed = api.call("PATCH", f"/receipts/{found['message/rfc822']['id']}", {"day": "2026-03-02"})
    assert changed.status_code == 200, changed.text


def test_what_is_attached_is_a_receipt_whatever_becomes_of_the_text(api: Api, mailbox: str) -> None:
    mail = a_mail("See what is attached.", ("invoice.pdf", "application/pdf", a_pdf()))
    mail = mail.replace(b'charset="utf-8"', b'charset="x-nothing"')
    assert deliver(api, mailbox, mail).status_code == 202
    api.drain()
    found = receipts(api)
    assert (found["message/rfc822"]["state"], found["message/rfc822"]["failure"]) == (
        "unreadable",
        "the e-mail can't be read: LookupError",
    )
    assert found["application/pdf"]["amount"] == "12.99"


def test_what_is_attached_beyond_all_measure_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("plugins.isolation.receipts.MAX_ATTACHED", len(PNG) + 10)
    mail = a_mail("Total: 5 EUR", *((f"{n}.png", "image/png", PNG) for n in range(3)))
    read = IsolatedReceiptReader(Isolation(memory=MEMORY)).read(io.BytesIO(mail), "message/rfc822")
    assert ([one.filename for one in read.attached], read.text, read.failure) == (["0.png"], "Total: 5 EUR\n", None)


@pytest.mark.parametrize("end", [b"\n", b"\r\n"])
def test_the_line_that_a_mail_server_writes_before_a_message_is_none_of_it(api: Api, mailbox: str, end: bytes) -> None:
    mail, line = a_mail("Total: 12.99 EUR"), b"From shop@example.org  Mon Mar  2 10:00:00 2026" + end
    assert deliver(api, mailbox, line + mail).status_code == 202
    api.drain()
    (receipt,) = receipts(api).values()
    assert (receipt["amount"], receipt["sha256"]) == ("12.99", sha256(mail).hexdigest())
    api.call("POST", "/imports?filename=receipt.eml", data=line + mail)
    api.drain()
    assert len(api.get("/receipts")["items"]) == 1, "it is the same message"


def test_nobody_delivers_without_the_secret_whoever_they_say_they_are(api: Api, mailbox: str) -> None:
    assert deliver(api, mailbox, a_mail(), "canary-of-another").status_code == 401
    api.drain()
    assert receipts(api) == {}


def test_a_senders_name_says_nothing(api: Api, mailbox: str) -> None:
    mail = a_mail("Total: 12.99 EUR").replace(b"Corner Coffee", b"Your Bank")
    assert deliver(api, mailbox, mail).status_code == 202
    api.drain()
    (receipt,) = receipts(api).values()
    assert (receipt["amount"], receipt["day"], receipt["merchant"]) == ("12.99", None, None)
    assert receipt["uploaded_by"] == "sortation"


def test_what_is_no_e_mail_is_refused_with_a_reason(api: Api, mailbox: str) -> None:
    assert deliver(api, mailbox, b"--boundary\r\nContent-Disposition: form-data\r\n").status_code == 202
    api.drain()
    (delivery,) = api.get(f"/connections/{mailbox}/deliveries")["items"]
    assert delivery["refused"] == 1
    assert "does not begin with the fields of an e-mail" in delivery["refusals"][0]["reason"]
    assert receipts(api) == {}


def test_an_e_mail_that_is_too_large_is_refused_alone(api: Api, mailbox: str) -> None:
    assert deliver(api, mailbox, a_mail("x" * 120_000)).status_code == 202
    api.drain()
    (delivery,) = api.get(f"/connections/{mailbox}/deliveries")["items"]
    assert delivery["refusals"][0]["reason"] == "a receipt is refused: a receipt has at most 100000 bytes"


def test_a_file_of_an_e_mail_is_imported(api: Api) -> None:
    mail = a_mail("Total 12.99 EUR", ("scan.jpg", "image/jpeg", JPEG))
    answer = api.call("POST", "/imports?filename=receipt.eml", data=mail)
    assert answer.status_code == 202, answer.text
    api.drain()
    imported = api.get(f"/imports/{answer.json['id']}")
    assert (imported["status"], imported["inserted"], imported["refused"]) == ("done", 0, 0)
    found = receipts(api)
    assert found.keys() == {"message/rfc822", "image/jpeg"}
    assert (found["message/rfc822"]["filename"], found["message/rfc822"]["amount"]) == ("receipt.eml", "12.99")
    api.call("POST", "/imports?filename=again.eml", data=mail)
    api.drain()
    assert len(api.get("/receipts")["items"]) == 2
