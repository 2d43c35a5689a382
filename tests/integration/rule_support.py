"""Rules and runs over the API, as the tests of a rule's life use them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from core.domain.category_changes import with_living_categories
from entrypoints.api.responses import dumps
from entrypoints.api.schemas.records import WholeRecordSchema
from ports.storage import RecordFilter
from tests.integration.api_support import HEADER, Api

CONTAINS: dict[str, Any] = {"field": "text", "op": "contains"}
SHOPS = ("ZQX QORBEL", "VUMBA KIOSK", "PLIRT WERKE", "OMDRA HALLE")
UNTOUCHED = ("version", "updated_at")


def bring(api: Api, texts: Sequence[str], day: int = 1) -> None:
    api.upload(HEADER + "".join(f"2026-03-{day + n % 28:02};{text};-{n + 1}.50;EUR\n" for n, text in enumerate(texts)))


def rule(api: Api, text: str, key: str, **more: Any) -> dict[str, Any]:
    return {
        "name": f"{text} is {key}",
        "when": CONTAINS | {"value": text},
        "then": {"category": api.category(key)},
        **more,
    }


def save(api: Api, written: dict[str, Any], confirm: bool = False) -> dict[str, Any]:
    saved: dict[str, Any] = api.post(f"/rules?confirm={str(confirm).lower()}", written, 201)
    return saved


def everything(api: Api) -> dict[str, dict[str, Any]]:
    """Each record as `GET /records/{id}` tells it, read in one transaction: a request for each would be most of the
    time that these tests take."""
    schema = WholeRecordSchema()
    with api.container.uow().begin(api.actor) as tx:
        aliases = tx.categories.aliases()
        records = [tx.records.get(row["id"]) for row in tx.records.page(RecordFilter(), after=None, limit=500)]
    told = [replace(r, reasoning_trace=with_living_categories(r.reasoning_trace, aliases)) for r in records]
    return {str(record.id): json.loads(dumps(schema.dump(record))) for record in told}


def without(record: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in record.items() if name not in UNTOUCHED}


def apply(api: Api, **asked: Any) -> dict[str, Any]:
    run = api.post("/rules/runs", asked, 202)
    api.drain()
    done: dict[str, Any] = api.get(f"/rules/runs/{run['id']}")
    return done


def items(api: Api) -> dict[str, dict[str, Any]]:
    """Open review items by the record's id."""
    return {item["record"]["id"]: item for item in api.get("/approvals?limit=500")["items"]}


def decide_one_of_each(api: Api) -> None:
    """A person's word on one record of each shop, other than what the rules say."""
    rent, page = api.category("housing.rent"), api.get("/records?limit=500")["items"]
    for shop in SHOPS:
        record = next(r for r in page if shop in r["text"])
        answer = api.call("PATCH", f"/records/{record['id']}", {"category_id": rent})
        assert answer.status_code == 200
    api.drain()
