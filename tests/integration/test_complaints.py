"""What people complain about in other rule engines, replayed: here it can't happen."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from adapters.matching import regex
from tests.integration.api_support import HEADER, Api

TOLD = ("status", "category_id", "stage", "tags", "attributes", "reasoning_trace", "rule_id")


def bring(api: Api, *texts: str, day: str = "2026-03-01") -> list[dict[str, Any]]:
    api.upload(HEADER + "".join(f"{day};{text};-{n + 1}.50;EUR\n" for n, text in enumerate(texts)), f"{texts[0]}.csv")
    records = {record["text"]: record for record in api.get("/records?limit=500")["items"]}
    return [records[text] for text in texts]


def save(api: Api, when: str, key: str, **more: Any) -> dict[str, Any]:
    written = {"name": when[:60], "when": when, "then": {"category": api.category(key)}, **more}
    saved: dict[str, Any] = api.post("/rules?confirm=true", written, 201)
    return saved


def decide(api: Api, record: dict[str, Any], key: str) -> None:
    assert api.call("PATCH", f"/records/{record['id']}", {"category_id": api.category(key)}).status_code == 200


def apply_all(api: Api) -> str:
    run: str = api.post("/rules/runs", {}, 202)["id"]
    api.drain()
    return run


def read(api: Api, record: dict[str, Any]) -> dict[str, Any]:
    stored = api.get(f"/records/{record['id']}")
    return {name: stored[name] for name in TOLD}


@pytest.mark.slow
def test_rules_that_appear_by_themselves(api: Api) -> None:
    rules = api.get("/rules?limit=500")["items"]
    for record in bring(api, *(f"ZQX QORBEL {n:03}" for n in range(60))):
        decide(api, record, "food.groceries")
    api.drain()
    assert api.get("/rules/proposals")["items"], "it learned,"
    assert api.get("/rules?limit=500")["items"] == rules, "and made no rule of it"
    assert api.get("/events?type=RULE_CREATED")["items"] == []


def test_rules_that_overwrite_what_a_person_decided(api: Api) -> None:
    [record] = bring(api, "ZQX QORBEL")
    decide(api, record, "housing.rent")
    before = read(api, record)
    save(api, 'text contains "zqx"', "food.groceries", priority=1)
    apply_all(api)
    bring(api, "ZQX QORBEL", day="2026-03-01")  # the same file again
    assert read(api, record) == before


def test_no_undo(api: Api) -> None:
    records = bring(api, "ZQX QORBEL", "VUMBA")
    before = [read(api, record) for record in records]
    save(api, 'text contains "zqx"', "food.groceries", priority=1)
    run = apply_all(api)
    assert [read(api, record) for record in records] != before
    api.post(f"/rules/runs/{run}/undo", status=202)
    api.drain()
    assert [read(api, record) for record in records] == before


@pytest.mark.parametrize(
    ("when", "expected"),
    [
        ('(text contains "zqx" or text contains "vumba") and amount < -2', [False, True, False, False]),
        ('text contains "zqx" or text contains "vumba" and amount < -2', [True, True, False, False]),
        ('not (text contains "zqx" or text contains "vumba") and amount > -4', [False, False, True, False]),
    ],
)
def test_mixed_and_or_is_impossible(api: Api, when: str, expected: list[bool]) -> None:
    records = [
        {"text": text, "occurred_at": "2026-03-01", "amount": amount, "currency": "EUR"}
        for text, amount in (("ZQX", "-1"), ("VUMBA", "-3"), ("PLIRT", "-3"), ("PLIRT", "-5"))
    ]
    told = api.post("/rules/test", {"rule": {"when": when}, "records": records})
    assert [record["matches"] for record in told["records"]] == expected


def test_slow_with_many_rules(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    """Rules that can't match are not asked: of 300 regexes only those are searched whose words are in the record."""
    searched: list[str] = []
    real = regex.re2_search

    def counting(pattern: str, case_sensitive: bool = False) -> Callable[[str], bool]:
        search = real(pattern, case_sensitive)

        def found(text: str) -> bool:
            searched.append(pattern)
            return search(text)

        return found

    for module in ("adapters.matching.matcher", "adapters.matching.compiled"):
        monkeypatch.setattr(f"{module}.re2_search", counting, raising=False)
    category = api.category("food.groceries")
    many = [
        {"name": f"r{n}", "when": f"text matches 'merchant{n:03}[0-9]+'", "then": {"category": category}}
        for n in range(300)
    ]
    api.container.create_rules(api.actor, many, confirm=True)
    records = bring(api, *(f"MERCHANT{n:03}77 CITY" for n in range(100)))
    assert {record["stage"] for record in records} == {"rules"}
    mine = [pattern for pattern in searched if pattern.startswith("merchant")]
    assert 0 < len(mine) <= 200, "each record is searched for its own merchant, not for 300"


def test_an_order_nobody_understands(api: Api) -> None:
    wide = save(api, 'text contains "zqx"', "food.groceries")
    narrow = save(api, 'text contains "zqx qorbel" and amount < 0', "transport.fuel")
    first = save(api, 'text contains "qorbel"', "housing.rent", priority=1)
    [record] = bring(api, "ZQX QORBEL")

    def asked() -> list[str]:
        """The rules in the trace of a new record like it, in order."""
        made = bring(api, f"ZQX QORBEL {len(api.get('/records')['items'])}")[0]
        evidence = api.get(f"/records/{made['id']}")["reasoning_trace"]["stages"][0]["evidence"]
        return [match["rule_id"] for match in evidence]

    def listed() -> list[str]:
        ids = {wide["id"], narrow["id"], first["id"]}
        return [rule["id"] for rule in api.get("/rules?limit=500")["items"] if rule["id"] in ids]

    assert record["rule_id"] == first["id"]
    assert asked() == listed() == [first["id"], narrow["id"], wide["id"]]
    api.post("/rules/order", {"ids": [wide["id"], first["id"], narrow["id"]]})
    assert asked() == listed() == [wide["id"], first["id"], narrow["id"]]


def test_two_rules_that_fight_unnoticed(api: Api) -> None:
    bring(api, "ZQX QORBEL")
    save(api, 'text contains "zqx"', "food.groceries")
    answer = api.call(
        "POST", "/rules", {"name": "x", "when": 'text contains "qorbel"', "then": {"review": True}, "priority": 500}
    )
    assert answer.status_code == 409, "never reached, and it says so"
    save(api, 'text contains "qorbel"', "transport.fuel", priority=500)
    [pair] = api.get("/rules/conflicts")["items"]
    assert pair["records"] == 1


def test_only_what_matches_is_shown(api: Api) -> None:
    [record] = bring(api, "ZQX QORBEL")
    told = api.post(
        "/rules/preview", {"rules": [{"when": 'text contains "zqx"', "then": {"category": "food.groceries"}}]}
    )
    [change] = told["samples"]
    assert (change["record_id"], change["effect"]) == (record["id"], "newly_decided")
    assert (change["status_before"], change["status_after"]) == ("needs_review", "processed")


@pytest.mark.slow
def test_silent_learning(api: Api) -> None:
    """What people teach shows: similarity's candidates tell what was approved alike, proposals their evidence."""
    for record in bring(api, *(f"ZQX QORBEL {n:03}" for n in range(60))):
        decide(api, record, "food.groceries")
    api.drain()
    proposal = api.get("/rules/proposals")["items"][0]
    assert proposal["evidence"]["examples"]
    assert api.get("/events?type=RULE_PROPOSED")["items"]
    alike, new = bring(api, "ZQX QORBEL 999", "ZQX QORBEL WHOLESALE")
    known, unknown = (
        next(s for s in record["reasoning_trace"]["stages"] if s["stage"] == "similarity") for record in (alike, new)
    )
    assert "60 of 60 alike" in known["candidates"][0]["rationale"]
    assert known["evidence"] == [{"known": True}]
    assert unknown["evidence"][0]["text"].startswith("ZQX QORBEL"), "of a new text, the nearest example"
