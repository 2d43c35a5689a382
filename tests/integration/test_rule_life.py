"""A rule's life over the API: tried, previewed, saved, applied, undone."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from tests.integration.api_support import Api
from tests.integration.rule_support import (
    CONTAINS,
    SHOPS,
    apply,
    bring,
    decide_one_of_each,
    everything,
    items,
    rule,
    save,
    without,
)


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


def test_a_run_of_rules_that_decide_nothing_is_refused(filled: Api) -> None:
    saved = save(filled, {"name": "Tag", "when": 'text contains "zqx"', "then": {"tags": ["x"]}})
    assert filled.post("/rules/runs", {"rule_ids": [saved["id"]]}, 422)["code"] == "invalid"


@pytest.mark.parametrize(
    "record",
    [
        {"text": "x"},
        {"text": "x", "occurred_at": "soon"},
        {"text": "x", "occurred_at": "2026-01-01", "nonsense": 1},
        {"text": "x", "occurred_at": "2026-01-01", "amount": [1], "currency": "EUR"},
        {"occurred_at": "2026-01-01"},
    ],
)
def test_a_record_that_is_none_is_told_with_its_place(api: Api, record: dict[str, Any]) -> None:
    good = {"text": "x", "occurred_at": "2026-01-01", "amount": -5.5, "currency": "EUR"}
    body = {"rule": {"when": "amount = -5.5"}, "records": [good, record]}
    assert api.post("/rules/test", body, 422)["detail"].startswith("records[1]: ")
    assert api.post("/rules/test", body | {"records": [good]})["matched"] == 1


def test_what_shows_records_needs_the_right_to_read_them(filled: Api) -> None:
    key = filled.container.create_api_key(filled.actor, name="rules only", scopes=frozenset({"rules:read"}))
    narrow = Api(client=filled.client, container=filled.container, tenant_id=filled.tenant_id, key=key.secret)
    run = apply(filled)
    for method, path, body in (
        ("POST", "/rules/test", {"rule": {"when": "amount < 0"}}),
        ("POST", "/rules/preview", {}),
        ("GET", f"/rules/runs/{run['id']}/changes", None),
    ):
        assert narrow.call(method, path, body).status_code == 403, path
    assert narrow.call("GET", "/rules/conflicts").status_code == 200


def test_conflicts_come_in_pages(filled: Api) -> None:
    for number, key in enumerate(("food.groceries", "transport.fuel", "housing.rent")):
        save(filled, rule(filled, "ZQX QORBEL"[: 10 - number], key), confirm=True)
    first = filled.get("/rules/conflicts?limit=2")
    rest = filled.get(f"/rules/conflicts?limit=2&after={first['next']}")
    assert (len(first["items"]), len(rest["items"]), rest["next"]) == (2, 1, None)


def test_an_order_changes_few_rules_and_holds_only_where_nobody_changed_them_meanwhile(api: Api) -> None:
    for shop in SHOPS[:3]:
        save(api, rule(api, shop, "food.groceries"))
    listed = api.call("GET", "/rules?limit=3")
    first, second, third = listed.json["items"]
    wanted, seen = {"ids": [third["id"], first["id"], second["id"]]}, {"If-Match": listed.headers["ETag"]}
    ordered = api.post("/rules/order", wanted, **seen)["items"]
    assert [one["id"] for one in ordered[:3]] == wanted["ids"]
    assert [one["version"] for one in ordered[:3]] == [2, 1, 1]
    assert {one["version"] for one in ordered[3:]} == {1}
    late = api.post("/rules/order", {"ids": [first["id"]]}, 412, **seen)
    assert late["code"] == "version_mismatch"
    assert [one["id"] for one in api.get("/rules?limit=3")["items"]] == wanted["ids"]
    same = api.call("GET", "/rules?limit=3").headers["ETag"]
    api.post("/rules/order", wanted, **{"If-Match": same})
    assert api.call("GET", "/rules?limit=3").headers["ETag"] == same, "nothing had to change"
    api.container.seal_events()
    told = api.get("/events?limit=500&type=RULE_CHANGED")["items"]
    assert [event["subject_id"] for event in told] == [third["id"]]


def test_whether_and_why_a_draft_matches_a_stored_record(api: Api) -> None:
    bring(api, [f"{SHOPS[0]} 1", f"{SHOPS[1]} 2"])
    records = {one["text"]: one["id"] for one in api.get("/records")["items"]}
    draft = {"when": f'text contains "{SHOPS[0]}" and amount < 0'}
    told = api.post("/rules/test", {"rule": draft, "record_ids": list(records.values())})
    assert (told["seen"], told["matched"]) == (2, 1)
    assert {one["id"]: one["matches"] for one in told["records"]} == {
        records[f"{SHOPS[0]} 1"]: True,
        records[f"{SHOPS[1]} 2"]: False,
    }
    why = next(one["why"] for one in told["records"] if not one["matches"])
    assert [part["holds"] for part in why["parts"]] == [False, True]
    gone = {"rule": draft, "record_ids": [api.category("food.groceries")]}
    assert api.post("/rules/test", gone, 404)["code"] == "not_found"
