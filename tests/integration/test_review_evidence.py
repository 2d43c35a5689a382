"""What speaks for the choices of a review item, over the API."""

from __future__ import annotations

from typing import Any

import pytest

from core.domain.tenants import TenantSettings
from tests.integration.api_support import HEADER, Api
from tests.integration.rule_support import bring, items, rule, save


def teach(api: Api, rows: list[tuple[str, str]], month: int = 1) -> None:
    """History: texts with the keys of their categories."""
    lines = "".join(f"2026-0{month}-{n:02};{t};-3.00;EUR;{key}\n" for n, (t, key) in enumerate(rows, start=1))
    payload = HEADER.strip() + ";Category\n" + lines
    assert api.call("POST", "/imports?filename=h.csv&approved=true", data=payload.encode()).status_code == 202
    api.drain()


def candidates(item: dict[str, Any]) -> dict[str, list[str]]:
    return {c["category_id"]: [e["words"] for e in c["evidence"]] for c in item["candidates"]}


def test_an_item_tells_what_was_approved_of_the_like(api: Api) -> None:
    teach(api, [("ZQX QORBEL 1", "food.groceries"), ("ZQX QORBEL 2", "food.groceries"), ("PLIRT", "housing.rent")])
    bring(api, ["ZQX QORBEL 9"], day=9)
    [item] = items(api).values()
    food, rent = api.category("food.groceries"), api.category("housing.rent")
    whole = api.get(f"/approvals/{item['id']}")
    assert candidates(whole)[food][0] == "2 alike approved as Groceries, last on 2 January 2026"
    first = next(c for c in whole["candidates"] if c["category_id"] == food)["evidence"][0]
    assert (first["kind"], first["count"], first["more"], first["last_on"]) == ("alike", 2, False, "2026-01-02")
    assert {food, rent} <= candidates(whole).keys(), "what people give is offered"
    assert {name: whole[name] for name in item} == item
    [listed] = api.get("/approvals?evidence=true")["items"]
    assert listed == whole
    api.post(f"/approvals/{item['id']}", {"verdict": "override", "category_id": rent})
    decided = api.get(f"/approvals/{item['id']}")
    assert (decided["verdict"], decided["category_id"]) == ("override", rent)
    assert candidates(decided)[food][0].startswith("2 alike"), "and it itself is none of them"
    assert not any(words.startswith("1 ") for words in candidates(decided).get(rent, []))
    assert api.get("/approvals/00000000-0000-7000-8000-000000000000", 404)["code"] == "not_found"


def test_a_spot_check_looks_like_a_question(api: Api) -> None:
    """Of what the two tell only texts, ids and what people approved differ: not how much is told, nor in what words."""
    keys = ("food.groceries", "housing.rent", "transport.fuel", "transport.taxi", "income.salary")
    teach(
        api,
        [
            (f"{word} {n}", key)
            for word, key in zip(("ZQA", "ZQB", "ZQC", "ZQD", "ZQE"), keys, strict=True)
            for n in (1, 2)
        ],
    )
    api.container.change_tenant(api.actor, version=None, settings=TenantSettings(spot_check_share=1.0))
    saved = save(api, rule(api, "PLIRT", "food.groceries"))
    bring(api, ["PLIRT 1", "QORBEL 7"], day=9)
    by_text = {i["record"]["text"]: api.get(f"/approvals/{i['id']}") for i in items(api).values()}
    checked, asked = by_text["PLIRT 1"], by_text["QORBEL 7"]
    assert checked["suggested_id"] == api.category("food.groceries")
    assert checked.keys() == asked.keys()
    assert len(checked["candidates"]) == len(asked["candidates"]) == 5
    assert saved["id"] not in str(checked)
    api.post(f"/approvals/{checked['id']}", {"verdict": "approve"})
    told = api.get(f"/approvals/{checked['id']}")["candidates"][0]["evidence"]
    assert (told[-1]["kind"], told[-1]["rule_id"]) == ("rule", saved["id"]), "once it is decided"


def test_a_rule_that_asks_is_named(api: Api) -> None:
    asking = rule(api, "PLIRT", "food.groceries")
    asking["then"]["review"] = True
    saved = save(api, asking)
    bring(api, ["PLIRT 1"])
    [item] = items(api).values()
    [evidence] = api.get(f"/approvals/{item['id']}")["candidates"][0]["evidence"]
    assert (evidence["kind"], evidence["rule_id"], evidence["name"]) == ("rule", saved["id"], saved["name"])


def test_what_was_merged_counts_for_what_it_is_now(api: Api) -> None:
    teach(api, [("ZQX QORBEL 1", "food.groceries"), ("ZQX QORBEL 2", "food.restaurants")])
    bring(api, ["ZQX QORBEL 9"], day=9)
    [item] = items(api).values()
    food, meals = api.category("food.groceries"), api.category("food.restaurants")
    api.post(f"/categories/{meals}/merge", {"into": food})
    shown = candidates(api.get(f"/approvals/{item['id']}"))
    assert shown[food][0] == "2 alike approved as Groceries, last on 2 January 2026"
    assert meals not in shown


@pytest.mark.parametrize("query", ["evidence=true&limit=101", "evidence=true&status=decided", "evidence=maybe"])
def test_evidence_is_asked_for_in_measure(api: Api, query: str) -> None:
    assert api.get(f"/approvals?{query}", 422)["errors"]
