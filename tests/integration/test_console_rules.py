"""The pages of rules: listed, ordered, written, tried and deleted, by people of each role."""

from __future__ import annotations

import re
from collections.abc import Callable
from html import escape, unescape
from typing import Any

import pytest
from werkzeug.test import TestResponse

from core.domain.permissions import Role
from entrypoints.api.app import create_app
from entrypoints.container import Container
from tests.integration.api_support import Api, new_tenant
from tests.integration.console_support import browser_of
from tests.integration.rule_support import SHOPS, bring, rule, save
from tests.integration.test_console_sign_in import ORIGIN, Browser

pytestmark = pytest.mark.slow

HOSTILE = '<script>alert(1)</script>"><img src=x onerror=alert(2)>'
FORM = {
    "name": "Rides", "when": 'text contains "ZQX" and amount < 0', "does": "category",
    "category": "Transport > Taxi and ride hailing", "tags": "travel, abroad", "fields": "vat = 19 %",
    "stage": "main", "priority": "100", "stop": "", "enabled": "1",
}  # fmt: skip


@pytest.fixture
def api(make_container: Callable[..., Container]) -> Api:
    container = make_container(embeddings="off", public_url=ORIGIN, rule_proposals="off")
    return new_tenant(container, create_app(container).test_client())


@pytest.fixture
def admin(api: Api) -> Browser:
    return browser_of(api, Role.ADMIN)


def asked(browser: Browser, path: str, **form: Any) -> TestResponse:
    """As our scripts send it."""
    headers = {"Accept": "application/json", "X-Form-Token": browser.token("/account"), "Origin": ORIGIN}
    return browser.client.post(path, data=form, base_url=ORIGIN, headers=headers)


def names(page: str) -> list[str]:
    return [unescape(name) for name in re.findall(r"data-item>([^<]*)<", page)]


def own(api: Api, admin: Browser) -> list[str]:
    """The names of the tenant's own rules as the page lists them."""
    return names(admin.open("/rules?of=own").text)


def version(browser: Browser, page: str = "/rules") -> str:
    found = re.search(r'data-version="([0-9]+)"', browser.open(page).text)
    assert found is not None
    return found[1]


def one(api: Api, name: str) -> dict[str, Any]:
    return next(found for found in api.get("/rules?limit=500")["items"] if found["name"] == name)


def test_rules_are_listed_by_stage_with_what_speaks_for_them(api: Api, admin: Browser) -> None:
    save(api, rule(api, SHOPS[0], "food.groceries", stage="post"))
    save(api, rule(api, SHOPS[1], "food.groceries"), confirm=True)
    bring(api, [f"{SHOPS[1]} {n}" for n in range(3)])
    page = admin.open("/rules?of=own")
    assert names(page.text) == [f"{SHOPS[1]} is food.groceries", f"{SHOPS[0]} is food.groceries"]
    assert page.text.index("Main <span>") < page.text.index("Last <span>")
    assert re.search(r'<span class="fact">3</span> hits', page.text)
    assert "no answers yet" in page.text
    assert f"text contains {escape(chr(34))}{SHOPS[1]}" in page.text.replace("&#34;", "&quot;")
    assert page.headers["Content-Security-Policy"].count("'unsafe-inline'") == 0


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("q=vumba", [1]),
        ("q=%23nothing", []),
        ("of=own", [0, 1, 2]),
        ("of=learned", []),
        ("of=own&state=off", [2]),
        ("of=own&state=on", [0, 1]),
        ("of=own&category=Housing+%3E+Rent", [1]),
        ("of=own&state=unused", [0, 1, 2]),
        ("of=own&state=unheard", [0, 1, 2]),
        ("of=own&after=x", [0, 1, 2]),
    ],
)
def test_the_list_is_filtered(api: Api, admin: Browser, query: str, expected: list[int]) -> None:
    made = [
        rule(api, shop, key)
        for shop, key in zip(SHOPS, ("food.groceries", "housing.rent", "food.groceries"), strict=False)
    ]
    for priority, written in enumerate(made):
        save(api, {**written, "priority": priority, "enabled": priority != 2})
    assert names(admin.open(f"/rules?{query}").text) == [made[n]["name"] for n in expected]


def test_a_pack_is_shown_with_whether_it_is_trusted_and_owners_trust_it(api: Api, admin: Browser) -> None:
    page = admin.open("/rules").text
    assert "only suggests" in page
    assert "An owner can trust it." in page
    assert "/rules/packs/bank" not in page
    owner = browser_of(api, Role.OWNER)
    assert "/rules/packs/bank" in owner.open("/rules").text
    assert owner.send("/rules", {"trust": "1"}, "/rules/packs/bank").status_code == 303
    assert "is trusted" in owner.open("/rules").text
    assert api.get("/tenant")["settings"]["trusted_packs"] == ["bank"]
    assert owner.send("/rules", {"trust": "0"}, "/rules/packs/bank").status_code == 303
    assert api.get("/tenant")["settings"]["trusted_packs"] == []
    assert owner.send("/rules", {"trust": "1"}, "/rules/packs/nosuch").status_code == 404


def test_a_page_of_the_list_leads_to_the_next(api: Api, admin: Browser, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("entrypoints.console.rules.listing.PAGE", 2)
    whole = [found["name"] for found in api.get("/rules?limit=5")["items"]]
    first = admin.open("/rules")
    following = re.search(r'href="(/rules\?after=[^"]+)"', first.text)
    assert following is not None
    assert names(first.text) + names(admin.open(following[1]).text) == whole[:4]


def test_a_rule_is_moved_and_a_stale_order_is_told(api: Api, admin: Browser) -> None:
    for shop in SHOPS[:3]:
        save(api, rule(api, shop, "food.groceries"))
    first, second, third = own(api, admin)
    ids = {found["name"]: found["id"] for found in api.get("/rules?limit=3")["items"]}
    seen = version(admin)
    moved = asked(admin, "/rules/order", rule=ids[third], before=ids[first], version=seen)
    assert moved.status_code == 200
    assert "number 1" in moved.json["said"]
    assert own(api, admin) == [third, first, second]
    assert moved.json["version"] == int(version(admin))
    assert moved.json["versions"] == {ids[third]: 2}
    late = asked(admin, "/rules/order", rule=ids[third], after=ids[second], version=seen)
    assert (late.status_code, late.json["code"]) == (412, "version_mismatch")
    told = admin.send("/rules", {"rule": ids[third], "move": "down", "version": seen}, "/rules/order")
    assert told.status_code == 409
    assert "somebody changed rules meanwhile" in told.text
    assert own(api, admin) == [third, first, second]
    for move, expected in (
        ("bottom", [first, second]), ("top", [third, first]), ("down", [first, third]), ("up", [third, first]),
        ("up", [third, first]),
    ):  # fmt: skip
        form = {"rule": ids[third], "move": move, "version": version(admin), "back": "/rules?of=own"}
        sent = admin.send("/rules", form, "/rules/order")
        assert sent.headers["Location"] == f"/rules?of=own#rule-{ids[third]}"
        assert own(api, admin)[:2] == expected, move


@pytest.mark.parametrize(
    ("form", "status"),
    [
        ({"version": "1"}, 404),
        ({"rule": "x", "version": "1", "move": "up"}, 404),
        ({"rule": "mine", "move": "up"}, 422),
        ({"rule": "mine", "version": "x", "move": "up"}, 422),
        ({"rule": "mine", "version": "now"}, 422),
        ({"rule": "mine", "version": "now", "before": "00000000-0000-7000-8000-000000000000"}, 404),
        ({"rule": "mine", "version": "now", "move": "\x00"}, 422),
    ],
)
def test_a_move_that_means_nothing_is_refused(api: Api, admin: Browser, form: dict[str, str], status: int) -> None:
    mine = save(api, rule(api, SHOPS[0], "food.groceries"))["id"]
    sent = {name: {"mine": mine, "now": version(admin)}.get(value, value) for name, value in form.items()}
    assert asked(admin, "/rules/order", **sent).status_code == status


def test_a_rule_is_switched_and_asks_where_it_contradicts(api: Api, admin: Browser) -> None:
    made = save(api, rule(api, SHOPS[0], "food.groceries", enabled=False))
    bring(api, [SHOPS[0]])
    [record] = api.get("/records")["items"]
    api.call("PATCH", f"/records/{record['id']}", {"category_id": api.category("housing.rent")})
    path = f"/rules/{made['id']}/enabled"
    refused = asked(admin, path, on="1", version="1")
    assert (refused.status_code, refused.json["code"]) == (409, "confirm_needed")
    plain = admin.send("/rules", {"on": "1", "version": "1"}, path)
    assert (plain.status_code, f'href="/records/{record["id"]}"' in plain.text) == (409, True)
    assert asked(admin, path, on="1", version="1", confirm="1").status_code == 200
    assert one(api, made["name"])["enabled"] is True
    assert asked(admin, path, on="0", version="1").status_code == 412
    assert admin.send("/rules", {"on": "0", "version": "1"}, path).status_code == 409
    assert admin.send("/rules", {"on": "0", "version": "2"}, path).status_code == 303
    assert one(api, made["name"])["enabled"] is False


def test_a_rule_is_written(api: Api, admin: Browser) -> None:
    sent = admin.send("/rules/new", FORM)
    made = one(api, "Rides")
    assert sent.headers["Location"] == f"/rules#rule-{made['id']}"
    assert made["text"] == FORM["when"]
    assert made["then"] == {
        "category": api.category("transport.taxi"), "tags": ["travel", "abroad"], "fields": {"vat": "19 %"},
    }  # fmt: skip
    assert (made["stage"], made["priority"], made["stop"], made["enabled"]) == ("main", 100, False, True)
    assert "is saved" in admin.open("/rules").text
    for does, then in (("review", {"review": True}), ("skip", {"skip": True}), ("mark", {})):
        admin.send("/rules/new", FORM | {"name": does, "does": does, "category": "", "confirm": "1"})
        assert one(api, does)["then"] == {"tags": ["travel", "abroad"], "fields": {"vat": "19 %"}} | then


@pytest.mark.parametrize(
    ("changed", "field", "message"),
    [
        ({"when": "text contains"}, "when", "column 14: expected a value, found the end"),
        ({"when": 'text matches "a(?=b)"'}, "when", "column 14"),
        ({"when": ""}, "when", "column 1"),
        ({"name": ""}, "name", "a text of 1 to 200 characters is needed"),
        ({"category": "No such"}, "category", "there is no category &#39;No such&#39;"),
        ({"category": ""}, "category", "say which category they get"),
        ({"does": "explode"}, "does", "say what becomes of a record"),
        ({"does": "mark", "tags": "", "fields": ""}, "does", "an action does something"),
        ({"tags": "x" * 65}, "tags", "a text of 1 to 64 characters"),
        ({"fields": "vat"}, "fields", "write “vat” as name = value"),
        ({"priority": "soon"}, "priority", "a whole number is needed"),
        ({"priority": "99999999"}, "priority", "priority is a whole number up to 1000000"),
        ({"stage": "never"}, "stage", "stage is pre, main or post"),
    ],
)
def test_what_is_wrong_stands_beside_its_field_and_nothing_is_lost(
    admin: Browser, changed: dict[str, str], field: str, message: str
) -> None:
    sent = admin.send("/rules/new", FORM | changed)
    assert sent.status_code == 422
    beside = re.search(rf'id="{field}-wrong"[^>]*>([^<]*)<', sent.text)
    assert beside is not None, sent.text
    assert message in beside[1]
    typed = FORM | changed
    for name in ("name", "tags", "priority", "category"):
        assert f'value="{escape(typed[name])}"' in sent.text, name
    assert escape(typed["when"]).replace("&quot;", "&#34;").replace("&#x27;", "&#39;") in sent.text


def test_a_rule_that_contradicts_people_is_asked_about(api: Api, admin: Browser) -> None:
    bring(api, ["ZQX QORBEL"])
    [record] = api.get("/records")["items"]
    api.call("PATCH", f"/records/{record['id']}", {"category_id": api.category("housing.rent")})
    sent = admin.send("/rules/new", FORM)
    assert sent.status_code == 409
    assert "Save it all the same" in sent.text
    assert f'href="/records/{record["id"]}"' in sent.text
    assert admin.send("/rules/new", FORM | {"confirm": "1"}).status_code == 303
    assert one(api, "Rides")["then"]["tags"] == ["travel", "abroad"]


def test_a_rule_is_changed_and_two_people_do_not_overwrite_each_other(api: Api, admin: Browser) -> None:
    admin.send("/rules/new", FORM)
    made = one(api, "Rides")
    path = f"/rules/{made['id']}"
    page = admin.open(path).text
    for value in ("Rides", "travel, abroad", "vat = 19 %", "Transport &gt; Taxi and ride hailing"):
        assert value in page
    same = admin.send(path, FORM | {"version": "1"})
    assert (same.status_code, one(api, "Rides")["version"]) == (303, 1)
    assert "Nothing was changed" in admin.open(path).text
    assert admin.send(path, FORM | {"version": "1", "name": "Trips"}).headers["Location"] == path
    assert one(api, "Trips")["version"] == 2
    late = admin.send(path, FORM | {"version": "1", "name": "Journeys", "tags": "mine"})
    assert late.status_code == 409
    assert "Somebody changed this rule while you did" in late.text
    assert 'value="Journeys"' in late.text
    assert 'name="over" value="2"' in late.text
    assert admin.send(path, FORM | {"version": "1", "over": "2", "name": "Journeys"}).status_code == 303
    assert one(api, "Journeys")["version"] == 3
    wrong = admin.send(path, FORM | {"version": "3", "when": "amount <"})
    assert wrong.status_code == 422
    assert 'data-column="9"' in wrong.text
    assert admin.send(path, FORM | {"version": "", "name": "x"}).status_code == 422


def test_a_rule_is_deleted_and_can_be_put_back(api: Api, admin: Browser) -> None:
    admin.send("/rules/new", FORM)
    made = one(api, "Rides")
    path = f"/rules/{made['id']}/delete"
    assert asked(admin, path, version="9").status_code == 412
    assert admin.send("/rules", {"version": "9"}, path).status_code == 409
    gone = asked(admin, path, version="1")
    assert gone.json["to"] == "/rules"
    assert api.get(f"/rules/{made['id']}", 404)
    assert asked(admin, "/rules/new", **gone.json["was"], confirm="1").status_code == 200
    back = one(api, "Rides")
    kept = ("text", "then", "stage", "priority", "stop", "enabled")
    assert {name: back[name] for name in kept} == {name: made[name] for name in kept}
    sent = admin.send("/rules", {"version": "1"}, f"/rules/{back['id']}/delete")
    assert sent.headers["Location"] == "/rules"
    assert "is deleted" in admin.open("/rules").text


def test_what_became_of_a_rule_is_told_also_when_it_is_gone(api: Api, admin: Browser) -> None:
    admin.send("/rules/new", FORM)
    path = f"/rules/{one(api, 'Rides')['id']}"
    admin.send(path, FORM | {"version": "1", "when": "amount < -5", "name": "Trips"})
    api.container.seal_events()
    page = admin.open(f"{path}/history").text
    assert "wrote the rule" in page
    assert re.search(r"changed name, the condition|changed the condition, name", page)
    admin.send("/rules", {"version": "2"}, f"{path}/delete")
    api.container.seal_events()
    assert "deleted it" in admin.open(f"{path}/history").text
    assert admin.open("/rules/00000000-0000-7000-8000-000000000000/history").status_code == 404


def test_a_demoted_rule_says_so_and_is_let_decide_again(api: Api, admin: Browser) -> None:
    made = save(api, rule(api, SHOPS[0], "food.groceries"))
    with api.container.uow().begin(api.actor) as tx:
        tx.rules.set_standing(api.container.get_rule(api.actor, made["id"]).id, demoted=True, proved=False)
        tx.commit()
    path = f"/rules/{made['id']}"
    assert "People contradicted it more often" in admin.open(path).text
    assert made["name"] in names(admin.open("/rules?state=demoted").text)
    assert admin.send(path, {"version": "1"}, f"{path}/again").status_code == 409
    assert admin.send(path, {"version": "2"}, f"{path}/again").status_code == 303
    assert one(api, made["name"])["demoted"] is False


def test_a_viewer_reads_and_has_no_buttons(api: Api) -> None:
    made = save(api, rule(api, SHOPS[0], "food.groceries"))
    viewer = browser_of(api, Role.VIEWER)
    for path in ("/rules", f"/rules/{made['id']}", "/rules/proposals", "/rules/conflicts", "/rules/runs"):
        page = viewer.open(path)
        assert page.status_code == 200, path
        main = page.text[page.text.index('<main id="main"') :]
        assert 'method="post"' not in main, path
        assert "/rules/new" not in main, path
        assert "/rules/runs/new" not in main, path
    assert viewer.open("/rules/new").status_code == 403
    assert viewer.send("/account", FORM, "/rules/new").status_code == 403
    assert asked(viewer, "/rules/preview", **FORM).status_code == 200


def test_another_tenants_rule_is_not_there(api: Api, make_container: Callable[..., Container]) -> None:
    theirs = new_tenant(api.container, api.client, "Another")
    made = save(theirs, rule(theirs, SHOPS[0], "food.groceries"))
    admin = browser_of(api, Role.ADMIN)
    path = f"/rules/{made['id']}"
    assert made["name"] not in names(admin.open("/rules").text)
    theirs.container.seal_events()
    for page in (path, f"{path}/history"):
        assert admin.open(page).status_code == 404
    for action in ("", "/again", "/delete", "/enabled"):
        assert admin.send("/rules", FORM | {"version": "1", "on": "1"}, f"{path}{action}").status_code == 404, action
    assert asked(admin, "/rules/preview", **FORM, rule=made["id"]).status_code == 404
    form = {"rule": made["id"], "move": "up", "version": version(admin)}
    assert asked(admin, "/rules/order", **form).status_code == 404
    assert theirs.get(path)["version"] == 1


def test_hostile_texts_are_texts_on_every_page(api: Api, admin: Browser) -> None:
    api.post("/categories", {"name": HOSTILE, "key": "hostile"}, 201)
    quoted = HOSTILE.replace('"', '\\"')
    written = {
        "name": HOSTILE, "when": f'text contains "{quoted}"',
        "then": {"category": "hostile", "tags": [HOSTILE[:60]], "fields": {HOSTILE: HOSTILE}},
    }  # fmt: skip
    made = save(api, written)
    save(api, {"name": HOSTILE, "when": 'text contains "script"', "then": {"category": "housing.rent"}}, confirm=True)
    bring(api, [f"'{HOSTILE}'"])
    page = admin.open(f"/rules/{made['id']}?record={api.get('/records')['items'][0]['id']}").text
    preview = asked(admin, "/rules/preview", **FORM | {"when": written["when"], "name": HOSTILE, "category": HOSTILE})
    why = asked(admin, "/rules/why", search="script")
    wrong = admin.send("/rules/new", FORM | {"name": HOSTILE, "category": f"{HOSTILE}x", "when": HOSTILE}).text
    shown = [page, preview.json["html"], why.json["html"], wrong]
    shown += [admin.open(path).text for path in ("/rules", "/rules/conflicts", "/rules/runs/new")]
    for html in shown:
        assert "<script>alert" not in html
        assert "<img" not in html
        assert "&lt;script&gt;alert" in html
