"""Facets of the list of records over the API."""

from __future__ import annotations

from tests.integration.api_support import HEADER, Api


def test_facets_tell_what_else_there_is_to_choose(api: Api) -> None:
    rows = ["2026-03-01;QORBEL 1;-3.00;EUR", "2026-03-02;QORBEL 2;-90.00;EUR", "2026-04-01;PLIRT;5.00;USD"]
    api.upload(HEADER + "\n".join(rows) + "\n")
    answer = api.call("GET", "/records/facets?currency=EUR&text=qorbel")
    facets = answer.json["facets"]
    assert (answer.json["seen"], answer.json["approximate"]) == (3, False)
    assert facets["currency"] == {"values": [{"value": "EUR", "count": 2}], "others": 0}
    assert facets["month"]["values"] == [{"value": "2026-03", "count": 2}]
    assert facets["category"]["values"] == [{"value": None, "count": 2}]
    [connection] = facets["connection"]["values"]
    assert len(api.get(f"/records?connection_id={connection['value']}")["items"]) == 3
    again = api.call(
        "GET", "/records/facets?currency=EUR&text=qorbel", headers={"If-None-Match": answer.headers["ETag"]}
    )
    assert again.status_code == 304
    api.upload(HEADER + "2026-05-01;QORBEL 9;-3.00;EUR\n", "more.csv")
    fresh = api.call(
        "GET", "/records/facets?currency=EUR&text=qorbel", headers={"If-None-Match": answer.headers["ETag"]}
    )
    assert (fresh.status_code, fresh.json["facets"]["kind"]["values"]) == (200, [{"value": "transaction", "count": 3}])


def test_a_merged_category_stands_for_what_it_is_now(api: Api) -> None:
    api.upload(HEADER + "2026-03-01;QORBEL 1;-3.00;EUR\n")
    [item] = api.get("/approvals")["items"]
    meals, food = api.category("food.restaurants"), api.category("food.groceries")
    api.post(f"/approvals/{item['id']}", {"verdict": "override", "category_id": meals})
    api.post(f"/categories/{meals}/merge", {"into": food})
    facets = api.get(f"/records/facets?category_id={meals}")["facets"]
    assert facets["status"]["values"] == [{"value": "overridden", "count": 1}]
    assert facets["category"]["values"] == [{"value": food, "count": 1}]
    assert api.get("/records/facets?month=2026-03", 422)["errors"] == {"month": ["Unknown query parameter."]}
