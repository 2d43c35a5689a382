"""The connectors of sources that are asked, or that send, pass the kit."""

from __future__ import annotations

import atexit
import json
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from types import MappingProxyType
from typing import Any

import pytest

from sortation.testing import Answer, Asked, ConnectorConformance, Delivery, Item, Sample, Source
from tests.stubs.file_servers import USER, FileServer, ftp_server

E_MAIL = (
    b"Received: from mx.example.org\r\nFrom: Corner Coffee <shop@example.org>\r\nTo: receipts@example.org\r\n"
    b"Subject: Your receipt\r\nMIME-Version: 1.0\r\n\r\nTotal: 12.50 EUR\r\n"
)
FIELDS = {
    "external_id": "$.id",
    "text": ["$.what", "$.reference"],
    "occurred_at": "$.at",
    "amount": "$.money.value",
    "currency": "$.money.currency",
    "counterparty": "$.who",
    "attributes": {"changed": "$.changed"},
}
API = "https://api.example.com/v2"


def streams(pagination: Mapping[str, Any], path: str = "") -> list[Mapping[str, Any]]:
    return [
        {
            "name": name,
            "path": path or f"/{name}",
            "params": {"status": "settled"},
            "records": "$.data",
            "pagination": pagination,
            "incremental": {"path": "$.changed", "param": "since"},
            "fields": FIELDS,
        }
        for name in ("payments", "refunds")
    ]


class OfRest(ConnectorConformance):
    """An API whose pages follow an item: by its id, or the address of the page."""

    plugin = "plugins.rest"
    late = timedelta(hours=1)

    def serve(self, source: Source, asked: Asked) -> Answer:
        stream = asked.path.removeprefix("/v2/")
        if stream not in source.streams:
            return Answer(status=404)
        since, after = asked.query.get("since"), asked.query.get("after")
        if after and not source.has(after):
            return Answer(status=410)
        changed = since and datetime.fromisoformat(since)
        return self.answer(source, asked, stream, changed, after)

    def answer(self, source: Source, asked: Asked, stream: str, since: datetime | None, after: str | None) -> Answer:
        items, more = source.page(1, stream, since=since, after=after)
        last = next(reversed(items), None)
        return self.told(items, f"{last.id}" if more and last else None, asked)

    def told(self, items: list[Item], following: str | None, asked: Asked) -> Answer:
        return Answer(json={"data": [rendered(item) for item in items], "next": following})


def rendered(item: Item) -> dict[str, Any]:
    return {
        "id": item.id,
        "what": item.text,
        "reference": None,
        "at": item.at.isoformat(),
        "changed": item.changed_at.isoformat(),
        "money": {"value": str(item.amount), "currency": item.currency},
        "who": item.counterparty,
    }


class TestRestByPages(OfRest):
    key = "rest"
    config = MappingProxyType({"base_url": API, "streams": streams({"type": "page", "more": "$.more"})})
    bad_configs = ({"base_url": API, "streams": streams({"type": "page"}, "/nothing")},)

    def answer(self, source: Source, asked: Asked, stream: str, since: datetime | None, after: str | None) -> Answer:
        items, more = source.page(int(asked.query["page"]), stream, since=since)
        return Answer(json={"data": [rendered(item) for item in items], "more": more})


@pytest.mark.slow
class TestRestByCursor(OfRest):
    key = "rest-key"
    config = MappingProxyType(
        {
            "base_url": API,
            "streams": streams({"type": "cursor", "param": "after", "path": "$.next"}),
            "key_header": "X-Api-Key",
            "key_prefix": "",
        }
    )


@pytest.mark.slow
class TestRestByLink(OfRest):
    key = "rest-oauth2"
    config = MappingProxyType(
        {
            "base_url": API,
            "streams": streams({"type": "link"}),
            "authorize_url": "https://id.example.com/authorize",
            "token_url": "https://id.example.com/token",
            "client_id": "sortation",
            "scope": "payments:read",
        }
    )

    def told(self, items: list[Item], following: str | None, asked: Asked) -> Answer:
        link = {"Link": f'<{_page(asked, following)}>; rel="next"'} if following else {}
        return Answer(json={"data": [rendered(item) for item in items]}, headers=link)


@pytest.mark.slow
class TestRestByAddress(OfRest):
    key = "rest-client"
    config = MappingProxyType(
        {
            "base_url": API,
            "streams": streams({"type": "next_url", "path": "$.next"}),
            "token_url": "https://id.example.com/token",
            "client_id": "sortation",
            "scope": "",
        }
    )

    def told(self, items: list[Item], following: str | None, asked: Asked) -> Answer:
        address = _page(asked, following) if following else None
        return Answer(json={"data": [rendered(item) for item in items], "next": address})


def _page(asked: Asked, after: str) -> str:
    since = f"&since={asked.query['since'].replace('+', '%2B')}" if "since" in asked.query else ""
    return f"https://{asked.host}{asked.path}?after={after}{since}"


class TestStripe(ConnectorConformance):
    plugin = "plugins.stripe_balance"
    config = MappingProxyType({"fees": "attributes", "base_url": "https://stripe.example"})
    bad_configs = ({"start": "2026-02-30"},)
    incremental = "at"
    newest_first = True
    orders_pages = True
    has_empty_pages = False
    late = timedelta(minutes=30)
    deliveries = (
        Delivery(
            body={
                "id": "evt_1",
                "type": "charge.succeeded",
                "data": {"object": {"id": "ch_7", "balance_transaction": "txn_7"}},
            }
        ),
        Delivery(body={"id": "evt_2", "type": "customer.created", "data": {"object": {"id": "cus_1"}}}, drafts=0),
    )

    def serve(self, source: Source, asked: Asked) -> Answer:
        id = asked.path.removeprefix("/v1/balance_transactions").removeprefix("/")
        if id:
            return Answer(
                json=transaction({"id": id, "created": 1_772_438_400, "amount": 1_000, "fee": 25, "net": 975})
            )
        after = asked.query.get("starting_after")
        if after and not source.has(after):
            return Answer(status=400, json={"error": {"type": "invalid_request_error", "message": "No such object"}})
        since = asked.query.get("created[gte]")
        found, more = source.page(
            1,
            since=since and datetime.fromtimestamp(int(since), UTC),
            after=after,
            size=int(asked.query["limit"]),
        )
        return Answer(json={"object": "list", "has_more": more, "data": [transaction(of_stripe(i)) for i in found]})


def of_stripe(item: Item) -> Mapping[str, Any]:
    amount = int(item.amount * 100)
    return {"id": item.id, "created": int(item.at.timestamp()), "amount": amount, "fee": 25, "net": amount - 25}


def transaction(fields: Mapping[str, Any]) -> Mapping[str, Any]:
    common = {"object": "balance_transaction", "currency": "eur", "status": "available", "type": "charge"}
    source = {"id": "ch_1", "object": "charge", "billing_details": {"name": "Müller & Söhne"}}
    return {**common, "description": "Order 77", "fee_details": [], "source": source, **fields}


class TestWebhook(ConnectorConformance):
    plugin = "plugins.webhook"
    all_of_interest = True
    row = MappingProxyType({"text": "Coffee", "occurred_at": "2026-03-02", "amount": "-3.10", "attributes": {"n": 1.5}})
    deliveries = (
        Delivery(body={**row, "external_id": "e1"}, id="msg_1"),
        Delivery(body={"records": [{**row}, {**row}, {**row, "kind": "ticket", "amount": None}]}, drafts=3, id="msg_2"),
    )


@pytest.mark.slow
class TestFolder(ConnectorConformance):
    plugin = "plugins.watched_folder"
    config = MappingProxyType({"settle_seconds": 0.05, "format": "json"})
    settles = 0.1
    bad_configs = (
        {"format": "docx"},
        {"format": "csv", "options": {"delimiter": 7}},
        {"folder": "/nowhere/to/be/found"},
    )
    incremental = "arrival"
    orders_pages = True
    has_empty_pages = False

    def file_of(self, item: Item) -> tuple[str, bytes]:
        record = {
            "external_id": item.id,
            "text": item.text,
            "counterparty": item.counterparty,
            "occurred_at": item.at.isoformat(),
            "amount": str(item.amount),
            "currency": item.currency,
        }
        return f"{item.id}.jsonl", json.dumps(record).encode()


@pytest.mark.slow
class TestFiles(TestFolder):
    """The same folder, as an FTP server shows it."""

    plugin = "plugins.remote_files"
    config = MappingProxyType({"settle_seconds": 0.05, "format": "json", "user": USER})
    bad_configs = (
        {"format": "docx"},
        {"format": "csv", "options": {"delimiter": 7}},
        {"url": "sftp://127.0.0.1/without/a/host/key"},
    )

    @property
    def roots(self) -> tuple[str, ...]:
        return (ftp().url,)

    def place_of(self, folder: Path) -> str:
        return f"{ftp().url}{folder}"


@cache
def ftp() -> FileServer:
    """All folders of this machine, for the whole run."""
    server = ftp_server(Path("/"), any_password=True)
    atexit.register(server.__exit__, None, None, None)
    return server.__enter__()


class TestMail(ConnectorConformance):
    plugin = "plugins.mail"
    samples = (
        Sample(content=E_MAIL, filename="receipt.eml", receipts=1),
        Sample(content=b"Dear Sir,\nthis is a letter.\n", filename="letter.eml", unreadable=True),
    )
    deliveries = (Delivery(body=E_MAIL, drafts=0, receipts=1),)
    all_of_interest = True
