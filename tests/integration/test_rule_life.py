"""A rule's life over the API: tried, previewed, saved, applied, undone, judged by people."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import pytest
from flask.testing import FlaskClient
from jsonschema import Draft202012Validator

from entrypoints.api.app import create_app
from entrypoints.container import Container
from tests.integration.api_support import HEADER, Api, new_tenant

CONTAINS: dict[str, Any] = {"field": "text", "op": "contains"}
SHOPS = ("ZQX QORBEL", "VUMBA KIOSK", "PLIRT WERKE", "OMDRA HALLE")
UNTOUCHED = ("version", "updated_at")


@pytest.fixture
def client(container: Container) -> Iterator[FlaskClient]:
    with create_app(container).test_client() as client:
        yield client


@pytest.fixture
def api(container: Container, client: FlaskClient) -> Api:
    return new_tenant(container, client)


@pytest.fixture
def filled(api: Api) -> Api:
    """60 records in review, 15 of each shop."""
    bring(api, [f"{SHOPS[n % 4]} {n:03}" for n in range(60)])
    return api


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
    page = api.get("/records?limit=500")["items"]
    return {row["id"]: api.get(f"/records/{row['id']}") for row in page}


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


def test_a_draft_is_tried_before_it_is_saved(filled: Api) -> None:
    draft = {"when": 'text contains "zqx" and not (amount > -10 or text ends with "000")'}
    told = filled.post("/rules/test", {"rule": draft})
    assert told["seen"] == 60
    expected = [r for r in everything(filled).values() if "ZQX" in r["text"] and float(r["amount"]) <= -10]
    assert told["matched"] == len(expected) > 0
    assert {r["id"] for r in told["records"]} <= {r["id"] for r in expected}
    [why] = {r["why"]["text"] for r in told["records"]}
    assert why == 'text contains "zqx" and not (amount > -10 or text ends with "000")'
    assert all(r["why"]["holds"] and len(r["why"]["parts"]) == 2 for r in told["records"])
    assert filled.get("/rules")["items"][0]["name"] != "draft", "nothing was stored"


def test_a_draft_is_explained_on_records_that_are_given(api: Api) -> None:
    given = {"text": "ZQX QORBEL 1", "occurred_at": "2026-03-01", "amount": "-5.00", "currency": "EUR"}
    told = api.post("/rules/test", {"rule": {"when": 'text contains "zqx" and amount < -10'}, "records": [given]})
    assert (told["seen"], told["matched"]) == (1, 0)
    [record] = told["records"]
    assert record["matches"] is False
    assert [(p["text"], p["holds"]) for p in record["why"]["parts"]] == [
        ('text contains "zqx"', True),
        ("amount < -10", False),
    ]


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("text contains", "column 14"),
        ('text contains "a" and', "column 22"),
        ('text contains "a" and colour = red', "column 23"),
        ('text matches "a(?=b)"', "column 14"),
        ("amount between 5 and 1", "column"),
        ('nosuchtype({"a": 1})', "column 1"),
    ],
)
def test_an_error_points_at_the_column(api: Api, text: str, place: str) -> None:
    answer = api.call("POST", "/rules", {"name": "x", "when": text, "then": {"review": True}})
    assert answer.status_code == 422
    assert answer.json is not None
    assert answer.json["code"] == "rule_invalid"
    assert place in answer.json["detail"]


def test_both_forms_come_back(api: Api) -> None:
    written = 'text contains "UBER" and amount < 0 and not (currency = EUR)'
    saved = save(api, {"name": "Rides", "when": written, "then": {"category": "transport"}})
    assert saved["text"] == 'text contains "UBER" and amount < 0 and not (currency = "EUR")' or saved["text"] == written
    again = api.get(f"/rules/{saved['id']}")
    assert again["when"] == saved["when"]
    assert (
        api.post("/rules", {"name": "Same", "when": again["when"], "then": {"tags": ["x"]}}, 201)["text"]
        == saved["text"]
    )


def test_the_schema_is_published(api: Api) -> None:
    schema = api.get("/rules/schema")
    written = {"name": "x", "when": 'text contains "uber"', "then": {"category": "transport"}}
    Draft202012Validator(schema).validate(written)
    assert schema["$schema"] == "https://json-schema.org/draft/2020-12/schema"


SCENARIOS: dict[str, Callable[[Api, dict[str, Any], dict[str, Any]], list[dict[str, Any]]]] = {
    "a new rule": lambda api, _, __: [rule(api, "ZQX", "food.groceries")],
    "a rule that asks": lambda api, _, __: [
        {"name": "Look at these", "when": 'text contains "vumba"', "then": {"review": True}, "priority": 1}
    ],
    "a rule that skips": lambda api, _, __: [
        {"name": "Not ours", "when": 'text contains "vumba"', "then": {"skip": True}, "priority": 1}
    ],
    "another category": lambda api, first, _: [
        {"id": first["id"], "then": {"category": api.category("transport.fuel"), "tags": ["moved"]}}
    ],
    "switched off": lambda api, first, _: [{"id": first["id"], "enabled": False}],
    "a narrower condition": lambda api, first, _: [
        {"id": first["id"], "when": 'text contains "vumba" and amount < -20'}
    ],
    "two at once": lambda api, first, second: [
        {"id": first["id"], "enabled": False},
        {"id": second["id"], "priority": 1, "when": 'text contains "plirt" or text contains "vumba"'},
    ],
}


@pytest.mark.parametrize("name", SCENARIOS)
def test_a_preview_tells_what_applying_does_and_undo_takes_it_back(filled: Api, name: str) -> None:
    api = filled
    api.container.change_tenant(
        api.actor, version=None, settings=api.container.get_tenant(api.actor).settings.__class__(spot_check_share=0.3)
    )
    first = save(api, rule(api, "VUMBA", "food.groceries"))
    second = save(api, rule(api, "PLIRT", "transport.fuel"))
    apply(api)
    decide_one_of_each(api)
    before, asked_before = everything(api), items(api)

    drafts = SCENARIOS[name](api, first, second)
    preview = api.post("/rules/preview", {"rules": drafts, "last": None})
    told = {change["record_id"]: change for change in preview["samples"] if change["effect"] != "contradicting"}
    assert everything(api) == before, "a preview stores nothing"

    ids = []
    for draft in drafts:
        change = {key: value for key, value in draft.items() if key != "id"}
        if "id" in draft:
            answer = api.call("PATCH", f"/rules/{draft['id']}?confirm=true", change)
            assert answer.status_code == 200, answer.text
            ids.append(draft["id"])
        else:
            ids.append(save(api, draft, confirm=True)["id"])
    run = apply(api, rule_ids=ids)
    effects = ("newly_decided", "changed", "released", "contradicting")
    assert {name: run["counts"][name] for name in effects} == {name: preview[name] for name in effects}
    assert run["counts"]["seen"] == run["counts"]["total"] == preview["seen"] == 60

    after = everything(api)
    changes = api.get(f"/rules/runs/{run['id']}/changes?limit=500")["items"]
    changed = {id for id in after if without(after[id]) != without(before[id])}
    assert changed == {change["record_id"] for change in changes} == set(told)
    assert changed, "the scenario does something"
    for change in changes:
        record, foretold = after[change["record_id"]], told[change["record_id"]]
        assert (record["status"], record["category_id"], record["stage"]) == (
            foretold["status_after"],
            foretold["category_after"],
            foretold["stage_after"],
        )
        assert (change["before"]["category_id"], change["after"]["category_id"]) == (
            foretold["category_before"],
            foretold["category_after"],
        )
    assert apply(api, rule_ids=ids)["counts"] | {"seen": 0, "contradicting": 0, "total": 0} == dict.fromkeys(
        run["counts"], 0
    ), "applied again, it changes nothing"

    api.post(f"/rules/runs/{run['id']}/undo", status=202)
    api.drain()
    undone = api.get(f"/rules/runs/{run['id']}")
    assert (undone["status"], undone["counts"]["restored"], undone["counts"]["kept"]) == ("undone", len(changed), 0)
    restored = everything(api)
    assert {id: without(record) for id, record in restored.items()} == {
        id: without(record) for id, record in before.items()
    }
    assert all(restored[id]["version"] == before[id]["version"] + 2 for id in changed)
    assert items(api).keys() == asked_before.keys()
    assert {id: item["id"] for id, item in items(api).items()} == {id: item["id"] for id, item in asked_before.items()}


def decide_one_of_each(api: Api) -> None:
    """A person's word on one record of each shop, other than what the rules say."""
    rent = api.category("housing.rent")
    for shop in SHOPS:
        record = next(r for r in everything(api).values() if shop in r["text"])
        answer = api.call("PATCH", f"/records/{record['id']}", {"category_id": rent})
        assert answer.status_code == 200
    api.drain()


def test_an_undo_keeps_what_somebody_changed_since(filled: Api) -> None:
    api = filled
    saved = save(api, rule(api, "ZQX", "food.groceries"))
    run = apply(api, rule_ids=[saved["id"]])
    assert run["counts"]["newly_decided"] == 15
    touched = api.get(f"/rules/runs/{run['id']}/changes")["items"][0]["record_id"]
    answer = api.call("PATCH", f"/records/{touched}", {"category_id": api.category("housing.rent")})
    assert answer.status_code == 200
    api.post(f"/rules/runs/{run['id']}/undo", status=202)
    api.drain()
    undone = api.get(f"/rules/runs/{run['id']}")
    assert (undone["counts"]["restored"], undone["counts"]["kept"]) == (14, 1)
    records = everything(api)
    assert records[touched]["category_id"] == api.category("housing.rent")
    assert [r["status"] for r in records.values()].count("needs_review") == 59
    again = api.call("POST", f"/rules/runs/{run['id']}/undo")
    assert (again.status_code, again.json["code"] if again.json else "") == (409, "conflict")


def test_a_run_keeps_to_its_filter(filled: Api) -> None:
    saved = save(filled, rule(filled, "ZQX", "food.groceries"))
    where = {"min_amount": "-20.00"}
    run = apply(filled, rule_ids=[saved["id"]], where=where)
    preview = filled.post("/rules/preview", {"where": where, "last": None})
    decided = [r for r in everything(filled).values() if r["status"] == "processed"]
    assert run["counts"]["newly_decided"] == len(decided) == 5
    assert all(float(r["amount"]) >= -20 for r in decided)
    assert (preview["seen"], preview["newly_decided"]) == (run["counts"]["seen"], 0)
    assert filled.call("POST", "/rules/runs", {"where": {"nonsense": 1}}).status_code == 422


def test_events_tell_of_a_run(filled: Api) -> None:
    saved = save(filled, rule(filled, "ZQX", "food.groceries"))
    run = apply(filled, rule_ids=[saved["id"]])
    done = filled.get("/events?type=RULE_RUN_DONE")["items"]
    assert [event["subject_id"] for event in done] == [run["id"]]
    processed = filled.get("/events?type=PROCESSED&limit=500")["items"]
    assert len([e for e in processed if e["payload"].get("run_id") == run["id"]]) == 15


def test_saving_what_contradicts_people_asks_first(filled: Api) -> None:
    decide_one_of_each(filled)
    written = rule(filled, "ZQX", "food.groceries")
    answer = filled.call("POST", "/rules", written)
    assert answer.status_code == 409
    assert answer.json is not None
    assert answer.json["code"] == "confirm_needed"
    assert "1 records that people decided otherwise" in answer.json["errors"]["contradicts"][0]
    saved = save(filled, written, confirm=True)
    change = {"when": CONTAINS | {"value": "VUMBA"}}
    assert filled.call("PATCH", f"/rules/{saved['id']}", change).status_code == 409
    assert filled.call("PATCH", f"/rules/{saved['id']}", {"name": "Only a name"}).status_code == 200
    assert filled.call("PATCH", f"/rules/{saved['id']}?confirm=true", change).status_code == 200


def test_saving_what_is_never_reached_asks_first(filled: Api) -> None:
    wide = save(filled, rule(filled, "Q", "food.groceries", priority=1))
    answer = filled.call("POST", "/rules", rule(filled, "ZQX", "transport.fuel"))
    assert answer.status_code == 409
    assert answer.json is not None
    assert wide["id"] in answer.json["errors"]["unreachable"][0]
    twin = filled.call("POST", "/rules", {"name": "Again", "when": wide["when"], "then": {"review": True}})
    assert twin.json is not None
    assert "the same condition" in twin.json["errors"]["unreachable"][0]
    assert save(filled, rule(filled, "nothing that ever came", "transport.fuel"))


def test_a_preview_tells_who_stands_in_whose_light(filled: Api) -> None:
    wide = save(filled, rule(filled, "Q", "food.groceries"))
    draft = rule(filled, "ZQX", "transport.fuel", priority=1)
    [light] = filled.post("/rules/preview", {"rules": [draft]})["rules"]
    assert (light["matches"], light["wins"], light["unreachable"]) == (15, 15, False)
    assert light["shadowing"] == [{"rule_id": wide["id"], "name": wide["name"], "records": 15}]
    [shadowed] = filled.post("/rules/preview", {"rules": [draft | {"priority": 500}]})["rules"]
    assert (shadowed["wins"], shadowed["unreachable"]) == (0, True)
    assert shadowed["shadowed_by"] == [{"rule_id": wide["id"], "name": wide["name"], "records": 15}]


def test_conflicts_are_listed(filled: Api) -> None:
    first = save(filled, rule(filled, "ZQX", "food.groceries", priority=1))
    second = save(filled, rule(filled, "QORBEL", "transport.fuel"), confirm=True)
    save(filled, rule(filled, "zqx qorbel", "food.groceries", priority=2), confirm=True)
    pairs = filled.get("/rules/conflicts")["items"]
    assert (pairs[0]["first"]["id"], pairs[0]["second"]["id"]) == (first["id"], second["id"])
    assert [pair["records"] for pair in pairs] == [15, 15]
    assert len(pairs[0]["samples"]) == 5


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
