"""What a rule's trace and people's answers say of it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from adapters.matching.compiled import CompiledMatcher
from entrypoints.api.app import create_app
from entrypoints.container import Container
from tests.integration.api_support import Api, new_tenant
from tests.integration.rule_support import (
    apply,
    bring,
    everything,
    items,
    rule,
    save,
)


def test_a_rule_that_people_contradict_is_demoted(api: Api) -> None:
    container = api.container
    settings = container.get_tenant(api.actor).settings
    container.change_tenant(api.actor, version=None, settings=settings.__class__(spot_check_share=1.0))
    saved = save(api, rule(api, "ZQX", "food.groceries"))
    bring(api, [f"ZQX {n}" for n in range(20)])
    rent = api.category("housing.rent")
    answers = [
        {"approval_id": item["id"], "verdict": "override", "category_id": rent}
        for item in list(items(api).values())[:8]
    ]
    api.post("/approvals/bulk", {"answers": answers[:7]})
    assert api.get(f"/rules/{saved['id']}")["demoted"] is False
    api.post("/approvals/bulk", {"answers": answers[7:]})
    demoted = api.get(f"/rules/{saved['id']}")
    assert (demoted["demoted"], demoted["confirmed"], demoted["overridden"]) == (True, 0, 8)
    assert demoted["precision"]["estimate"] == 0
    api.drain()
    [event] = api.get("/events?type=RULE_DEMOTED")["items"]
    assert event["subject_id"] == saved["id"]
    bring(api, ["ZQX 999"], day=25)
    new = next(r for r in everything(api).values() if r["text"] == "ZQX 999")
    assert new["status"] == "needs_review"
    assert items(api)[new["id"]]["suggested_id"] == api.category("food.groceries")

    restored = api.call("PATCH", f"/rules/{saved['id']}?confirm=true", {"demoted": False})
    assert restored.json is not None
    assert (restored.json["demoted"], restored.json["overridden"], restored.json["precision"]) == (False, 0, None)


def test_a_starter_rule_is_proved_by_answers(api: Api) -> None:
    bring(api, [f"NETFLIX.COM {n}" for n in range(80)])
    by_rule = [i for i in items(api).values() if i["suggested_id"] is not None]
    answers = [{"approval_id": item["id"], "verdict": "approve"} for item in by_rule]
    assert len(answers) == 80
    api.post("/approvals/bulk", {"answers": answers})
    [proved] = [r for r in api.get("/rules?limit=500")["items"] if r["proved"]]
    assert (proved["trusted"], proved["confirmed"], proved["pack"]) == (True, 80, "bank")
    bring(api, ["NETFLIX.COM 999"], day=25)
    new = next(r for r in everything(api).values() if r["text"] == "NETFLIX.COM 999")
    assert (new["status"], new["stage"]) == ("processed", "rules")


def test_corrections_out_of_turn_are_noted(api: Api) -> None:
    saved = save(api, rule(api, "ZQX", "food.groceries"))
    bring(api, [f"ZQX {n}" for n in range(5)])
    record = next(iter(everything(api).values()))
    for key in ("housing.rent", "transport.fuel"):
        assert api.call("PATCH", f"/records/{record['id']}", {"category_id": api.category(key)}).status_code == 200
    told = api.get(f"/rules/{saved['id']}")
    assert (told["corrected"], told["overridden"], told["hits"]) == (1, 0, 5), "a second thought is about people's word"


def test_what_a_rule_did_before_it_was_mended_says_nothing_of_it(api: Api) -> None:
    container = api.container
    settings = container.get_tenant(api.actor).settings
    container.change_tenant(api.actor, version=None, settings=settings.__class__(spot_check_share=0.5))
    saved = save(api, rule(api, "ZQX", "food.groceries"))
    bring(api, [f"ZQX {n}" for n in range(60)])
    rent = api.category("housing.rent")
    mended = api.call("PATCH", f"/rules/{saved['id']}?confirm=true", {"then": {"category": rent}})
    assert mended.status_code == 200
    checked = items(api)
    said = [{"approval_id": i["id"], "verdict": "override", "category_id": rent} for i in checked.values()]
    assert len(said) >= 10
    api.post("/approvals/bulk", {"answers": said[:10]})
    for id in [id for id in everything(api) if id not in checked][:10]:
        assert api.call("PATCH", f"/records/{id}", {"category_id": rent}).status_code == 200
    told = api.get(f"/rules/{saved['id']}")
    assert (told["demoted"], told["confirmed"], told["overridden"], told["corrected"]) == (False, 0, 0, 0)


def test_a_preview_of_a_mended_rule_is_of_one_that_decides_again(api: Api) -> None:
    container = api.container
    settings = container.get_tenant(api.actor).settings
    container.change_tenant(api.actor, version=None, settings=settings.__class__(spot_check_share=1.0))
    saved = save(api, rule(api, "ZQX", "food.groceries"))
    bring(api, [f"ZQX {n}" for n in range(20)])
    said = {"verdict": "override", "category_id": api.category("housing.rent")}
    api.post(
        "/approvals/bulk", {"answers": [{"approval_id": id["id"], **said} for id in list(items(api).values())[:8]]}
    )
    assert api.get(f"/rules/{saved['id']}")["demoted"]
    draft = {"id": saved["id"], "then": {"category": api.category("transport.fuel")}}
    preview = api.post("/rules/preview", {"rules": [draft], "last": None})
    assert (preview["changed"], preview["contradicting"]) == (12, 8)
    assert api.call("PATCH", f"/rules/{saved['id']}", {"then": draft["then"]}).status_code == 409
    assert api.call("PATCH", f"/rules/{saved['id']}?confirm=true", {"then": draft["then"]}).status_code == 200
    counts = apply(api, rule_ids=[saved["id"]])["counts"]
    assert (counts["changed"], counts["contradicting"]) == (12, 8)


def test_hits_are_taken_back_with_what_was_undone(filled: Api) -> None:
    saved = save(filled, rule(filled, "ZQX", "food.groceries"))
    for _ in range(2):
        run = apply(filled, rule_ids=[saved["id"]])
        assert filled.get(f"/rules/{saved['id']}")["hits"] == 15
        filled.post(f"/rules/runs/{run['id']}/undo", status=202)
        filled.drain()
        assert filled.get(f"/rules/{saved['id']}")["hits"] == 0


def test_every_rule_that_matched_is_in_the_trace(api: Api) -> None:
    first = save(api, rule(api, "ZQX", "food.groceries", priority=1))
    second = save(api, rule(api, "QORBEL", "transport.fuel"))
    stop = save(
        api, {"name": "Tag", "when": 'text contains "zqx"', "then": {"tags": ["seen"]}, "priority": 200, "stop": True}
    )
    save(api, rule(api, "zqx qorbel", "housing.rent", priority=300))
    bring(api, ["ZQX QORBEL 1"])
    [record] = everything(api).values()
    evidence = record["reasoning_trace"]["stages"][0]["evidence"]
    assert [match["rule_id"] for match in evidence] == [first["id"], second["id"], stop["id"]]
    assert record["rule_id"] == first["id"]
    assert record["tags"] == ["seen"]
    assert [r["id"] for r in api.get("/rules")["items"][:3]] == [first["id"], second["id"], stop["id"]]


def test_a_preview_of_all_rules_tells_how_each_stands(filled: Api) -> None:
    wide = save(filled, rule(filled, "Q", "food.groceries"))
    narrow = save(filled, rule(filled, "ZQX", "transport.fuel", priority=1))
    late = save(filled, rule(filled, "zqx qorbel", "housing.rent", priority=500), confirm=True)
    lights = {light["rule_id"]: light for light in filled.post("/rules/preview", {})["rules"]}
    assert [(lights[r["id"]]["matches"], lights[r["id"]]["wins"]) for r in (wide, narrow, late)] == [
        (15, 0),
        (15, 15),
        (15, 0),
    ]
    assert lights[late["id"]]["unreachable"]
    assert [shadow["rule_id"] for shadow in lights[wide["id"]]["shadowed_by"]] == [narrow["id"]]
    assert lights[narrow["id"]]["shadowing"] == [{"rule_id": wide["id"], "name": wide["name"], "records": 15}]


def test_recurring_payments_are_found_by_their_past(api: Api) -> None:
    saved = save(
        api,
        {
            "name": "Monthly",
            "when": 'recurring({"interval": "monthly"}) and amount < 0',
            "then": {"category": api.category("utilities.internet")},
        },
    )
    days = ["2026-01-30", "2026-02-27", "2026-03-30", "2026-04-30", "2026-05-29"]
    payments = "".join(f"{day};QXCOM NET;-39.9{n};EUR;QXCOM\n" for n, day in enumerate(days))
    others = "2026-03-02;QXCOM SHOP;-412.00;EUR;QXCOM\n2026-03-05;PLIRT;-39.90;EUR;PLIRT\n"
    api.upload("Date;Description;Amount;Currency;Counterparty\n" + payments + others)
    found = [r for r in api.get("/records")["items"] if r["rule_id"] == saved["id"]]
    assert sorted(r["occurred_at"] for r in found) == days[2:], "the third on: before it there is no series"
    told = api.post("/rules/preview", {"rules": [{"id": saved["id"], "enabled": False}]})
    assert told["released"] == 3


class Choking:
    """A rule type that fails on what a rule asks it about."""

    def compile(self, params: Any) -> Any:
        return self

    def evaluate(self, records: Any, history: Any) -> Any:
        if any("POISON" in record.text for record in records):
            raise RuntimeError("no luck today")
        return [True] * len(records)


def test_a_rule_type_that_fails_is_in_the_trace_and_fails_no_chunk(make_container: Callable[..., Container]) -> None:
    container = make_container()
    container.matcher.override(CompiledMatcher(lambda _: Choking()))
    with create_app(container).test_client() as client:
        api = new_tenant(container, client)
        saved = save(api, {"name": "x", "when": "choking()", "then": {"category": api.category("food.groceries")}})
        bring(api, ["ONE", "POISON", "TWO"])
        records = {record["text"]: record for record in everything(api).values()}
    assert {text: record["status"] for text, record in records.items()} == {
        "ONE": "processed",
        "POISON": "needs_review",
        "TWO": "processed",
    }
    evidence = records["POISON"]["reasoning_trace"]["stages"][0]["evidence"]
    assert evidence == [{"rule_id": saved["id"], "error": "choking: RuntimeError: no luck today"}]


def test_a_rule_that_asks_the_past_is_saved_once_under_its_key(api: Api) -> None:
    """Its check asks in transactions of their own, while the one that claimed the key is open."""
    bring(api, ["ZQX QORBEL"] * 3)
    written = {"name": "Monthly", "when": "recurring()", "then": {"category": api.category("housing.rent")}}
    first = api.post("/rules", written, 201, **{"Idempotency-Key": "once"})
    assert api.post("/rules", written, 201, **{"Idempotency-Key": "once"}) == first
    assert [rule["id"] for rule in api.get("/rules?limit=500")["items"]].count(first["id"]) == 1


class Broken:
    """A matcher whose rules can't be asked, as with a defect in it."""

    def __init__(self, real: Any) -> None:
        self.check, self.compile = real.check, real.compile

    def ruleset(self, *_: Any) -> Any:
        raise ZeroDivisionError("a defect in the matcher")


def test_a_run_that_failed_says_so_and_stays_undone(make_container: Callable[..., Container]) -> None:
    container = make_container(job_max_attempts=1)
    with create_app(container).test_client() as client:
        api = new_tenant(container, client)
        bring(api, ["ZQX QORBEL"])
        save(api, rule(api, "ZQX", "food.groceries"))
        before, real = everything(api), container.matcher()
        container.matcher.override(Broken(real))
        run = apply(api)
        assert run["status"] == "failed"
        assert "a defect in the matcher" in run["failure"]
        container.matcher.override(real)
        api.post(f"/rules/runs/{run['id']}/undo", status=202)
        api.drain()
        api.post(f"/jobs/{run['job_id']}/replay")
        api.drain()
        assert api.get(f"/rules/runs/{run['id']}")["status"] == "undone"
        assert everything(api) == before
