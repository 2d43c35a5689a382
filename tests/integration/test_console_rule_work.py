"""What rules would do, what is proposed, where they disagree, and runs: the console's pages of these."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest

from core.domain.permissions import Role
from entrypoints.api.app import create_app
from entrypoints.container import Container
from tests.integration.api_support import Api, new_tenant
from tests.integration.console_support import browser_of
from tests.integration.rule_support import SHOPS, apply, bring, rule, save
from tests.integration.test_console_rules import FORM, asked, names, one
from tests.integration.test_console_sign_in import ORIGIN, Browser

pytestmark = pytest.mark.slow

WRITTEN = FORM | {"when": f'text contains "{SHOPS[0]}"', "category": "Food and drink > Groceries", "priority": "1"}


@pytest.fixture
def api(make_container: Callable[..., Container]) -> Api:
    container = make_container(embeddings="off", public_url=ORIGIN, rule_proposals="off")
    return new_tenant(container, create_app(container).test_client())


@pytest.fixture
def admin(api: Api) -> Browser:
    return browser_of(api, Role.ADMIN)


def effects(html: str) -> list[int]:
    """The four counts: decided, changed, to a person, contradicting."""
    return [int(count.replace(",", "")) for count in re.findall(r"<dd>([0-9,]+)</dd>", html)]


def test_a_preview_tells_what_the_form_would_do(api: Api, admin: Browser) -> None:
    bring(api, [f"{SHOPS[0]} {n}" for n in range(4)] + [f"{SHOPS[1]} {n}" for n in range(3)])
    said = asked(admin, "/rules/preview", **WRITTEN).json
    assert (said["wrong"], said["column"]) == (None, None)
    assert "<b>4</b> of the 7 records match" in said["html"]
    assert effects(said["html"]) == [4, 0, 0, 0]
    assert said["html"].count("why-yes") == 4
    assert api.get("/rules")["items"][0]["name"] != "Rides", "nothing was stored"
    made = save(api, rule(api, SHOPS[1], "food.groceries"))
    changed = asked(admin, "/rules/preview", **WRITTEN, rule=made["id"]).json
    assert "<b>4</b> of the 7 records match" in changed["html"]
    uncategorised = asked(admin, "/rules/preview", **WRITTEN | {"category": ""}).json
    assert "<b>4</b> of the 7 records match" in uncategorised["html"]
    assert "Say which category they get" in uncategorised["html"]
    off = asked(admin, "/rules/preview", **WRITTEN | {"enabled": ""}).json
    assert "It is off" in off["html"]
    first = save(api, rule(api, SHOPS[0], "housing.rent", priority=0))
    beaten = asked(admin, "/rules/preview", **WRITTEN).json["html"]
    assert "It would never have a say" in beaten
    assert f'href="/rules/{first["id"]}"' in beaten


@pytest.mark.parametrize(
    ("changed", "field", "column"),
    [
        ({"when": "amount <"}, "when", 9),
        ({"when": 'text = "a" and txt = "b"'}, "when", 16),
        ({"category": "No such"}, "category", None),
        ({"priority": ""}, "priority", None),
    ],
)
def test_a_preview_of_what_cannot_be_read_tells_where(
    admin: Browser, changed: dict[str, str], field: str, column: int | None
) -> None:
    said = asked(admin, "/rules/preview", **WRITTEN | changed)
    assert said.status_code == 200
    assert (said.json["html"], list(said.json["wrong"]), said.json["column"]) == (None, [field], column)


def test_a_form_without_scripts_is_previewed_on_its_page(api: Api, admin: Browser) -> None:
    bring(api, [SHOPS[0]])
    page = admin.send("/rules/new", WRITTEN | {"do": "preview"})
    assert page.status_code == 200
    assert "<b>1</b> of the 1 records matches" in page.text
    assert not [found for found in api.get("/rules?limit=500")["items"] if found["name"] == "Rides"]
    made = save(api, rule(api, SHOPS[1], "food.groceries"))
    page = admin.send(f"/rules/{made['id']}", WRITTEN | {"do": "preview", "version": "1"})
    assert "<b>1</b> of the 1 records matches" in page.text
    wrong = admin.send("/rules/new", WRITTEN | {"do": "preview", "when": "amount <"})
    assert (wrong.status_code, 'data-column="9"' in wrong.text) == (422, True)


def test_a_record_is_found_and_why_it_matches_is_told(api: Api, admin: Browser) -> None:
    bring(api, [f"{SHOPS[0]} 1", f"{SHOPS[1]} 2"])
    records = {record["text"]: record["id"] for record in api.get("/records")["items"]}
    found = asked(admin, "/rules/why", search=SHOPS[1][:5].lower()).json["html"]
    assert re.findall(r'data-record="([^"]+)"', found) == [records[f"{SHOPS[1]} 2"]]
    assert "No record has “qqq”" in asked(admin, "/rules/why", search="qqq").json["html"]
    when = WRITTEN | {"when": f'text contains "{SHOPS[0]}" and amount < 0'}
    yes = asked(admin, "/rules/why", **when, record=records[f"{SHOPS[0]} 1"]).json["html"]
    assert ("It matches" in yes, yes.count("why-yes"), yes.count("why-no")) == (True, 3, 0)
    no = asked(admin, "/rules/why", **when, record=records[f"{SHOPS[1]} 2"]).json["html"]
    assert ("It does not match" in no, no.count("why-yes"), no.count("why-no")) == (True, 1, 2)
    gone = asked(admin, "/rules/why", **when, record="00000000-0000-7000-8000-000000000000").json["html"]
    assert "does not exist" in gone
    unreadable = asked(admin, "/rules/why", **when | {"when": "amount <"}, record=records[f"{SHOPS[0]} 1"]).json["html"]
    assert "can&#39;t be asked yet" in unreadable
    assert asked(admin, "/rules/why", search="\x00").status_code == 422


def test_the_words_of_conditions_are_those_that_records_have(api: Api, admin: Browser) -> None:
    bring(api, [SHOPS[0]])
    save(api, rule(api, SHOPS[0], "food.groceries", then={"skip": True, "tags": ["odd"]}))
    words = admin.open("/rules/words")
    fields = {field["name"]: field["ops"] for field in words.json["fields"]}
    assert fields["amount"] == ["=", "in", "<", "<=", ">", ">=", "between"]
    assert fields["text"] == ["=", "in", "contains", "starts with", "ends with", "matches"]
    assert {"value": "EUR"} in words.json["values"]["currency"]
    assert "Food and drink > Groceries" in words.json["categories"]
    assert words.json["tags"] == ["odd"]
    assert {"recurring", "amount_outlier"} <= {kind["name"] for kind in words.json["types"]}
    again = admin.client.get("/rules/words", base_url=ORIGIN, headers={"If-None-Match": words.headers["ETag"]})
    assert again.status_code == 304


def test_rules_that_disagree_are_shown_in_pairs(api: Api, admin: Browser) -> None:
    assert "No two rules disagree" in admin.open("/rules/conflicts").text
    save(api, rule(api, SHOPS[0], "food.groceries", priority=1))
    save(api, rule(api, SHOPS[0][:5], "housing.rent", priority=2), confirm=True)
    bring(api, [f"{SHOPS[0]} {n}" for n in range(3)])
    page = admin.open("/rules/conflicts").text
    assert names(page) == [f"{SHOPS[0]} is food.groceries"]
    assert '<span class="fact">3</span> records' in page
    assert f"{SHOPS[0]} 2" in page
    assert admin.open("/rules/conflicts?after=-5").status_code == 200
    assert "No two rules" in admin.open("/rules/conflicts?after=25").text


@pytest.fixture
def proposed(api: Api) -> dict[str, Any]:
    """A proposal out of what people decided."""
    bring(api, [f"{SHOPS[0]} {n}" for n in range(24)])
    for record in api.get("/records?limit=500")["items"]:
        api.call("PATCH", f"/records/{record['id']}", {"category_id": api.category("food.groceries")})
    api.post("/rules/proposals", status=202)
    api.drain()
    found: dict[str, Any] = api.get("/rules/proposals")["items"][0]
    return found


def test_a_proposal_is_shown_with_its_evidence_and_accepted(api: Api, admin: Browser, proposed: dict[str, Any]) -> None:
    listed = admin.open("/rules/proposals").text
    assert names(listed) == [proposed["name"]]
    support, agreeing = proposed["evidence"]["support"], proposed["evidence"]["agreeing"]
    assert f"<b>{agreeing} of {support}</b>" in listed
    path = f"/rules/proposals/{proposed['id']}"
    page = admin.open(path).text
    assert f"<b>{agreeing} of the {support}</b>" in page
    assert f"<b>{support}</b> of the 24 records match" in page
    assert admin.send(path, {"version": "9"}, f"{path}/accept").headers["Location"] == "/rules/proposals"
    sent = admin.send(path, {"version": str(proposed["version"])}, f"{path}/accept")
    made = one(api, proposed["name"])
    assert sent.headers["Location"] == f"/rules/{made['id']}"
    assert (made["text"], made["proposal_id"]) == (proposed["text"], proposed["id"])
    assert "No open proposals" in admin.open("/rules/proposals").text
    assert names(admin.open("/rules/proposals?status=accepted").text) == [proposed["name"]]
    assert f'href="/rules/{made["id"]}"' in admin.open(path).text
    assert names(admin.open("/rules?of=learned").text) == [proposed["name"]]


def test_a_rule_that_is_gone_is_no_link_at_its_proposal(api: Api, admin: Browser, proposed: dict[str, Any]) -> None:
    path = f"/rules/proposals/{proposed['id']}"
    rule = api.post(f"{path}/accept", {}, 201)["id"]
    pages = (path, "/rules/proposals?status=accepted")
    assert [f'href="/rules/{rule}"' in admin.open(page).text for page in pages] == [True, True]
    assert api.call("DELETE", f"/rules/{rule}").status_code == 204
    assert ["rule is gone" in admin.open(page).text for page in pages] == [True, True]
    assert [f'href="/rules/{rule}"' in admin.open(page).text for page in pages] == [False, False]


def test_a_proposal_is_accepted_with_changes_or_turned_down(api: Api, admin: Browser, proposed: dict[str, Any]) -> None:
    path, version = f"/rules/proposals/{proposed['id']}", str(proposed["version"])
    wrong = admin.send(path, WRITTEN | {"version": version, "when": "amount <"}, f"{path}/accept")
    assert (wrong.status_code, 'data-column="9"' in wrong.text) == (422, True)
    preview = admin.send(path, WRITTEN | {"version": version, "do": "preview"}, f"{path}/accept")
    assert preview.status_code == 200
    against = WRITTEN | {"version": version, "category": "Housing > Rent"}
    assert admin.send(path, against, f"{path}/accept").status_code == 409
    sent = admin.send(path, WRITTEN | {"version": version, "name": "Mine"}, f"{path}/accept")
    assert sent.status_code == 303
    assert one(api, "Mine")["priority"] == 1
    late = admin.send("/rules/proposals", {"version": version}, f"{path}/reject")
    assert late.headers["Location"] == "/rules/proposals"
    assert "Somebody decided this proposal" in admin.open("/rules/proposals").text


def test_a_proposal_is_turned_down(api: Api, admin: Browser, proposed: dict[str, Any]) -> None:
    path = f"/rules/proposals/{proposed['id']}"
    admin.send("/rules/proposals", {"version": str(proposed["version"])}, f"{path}/reject")
    assert "is turned down" in admin.open("/rules/proposals").text
    assert names(admin.open("/rules/proposals?status=rejected").text) == [proposed["name"]]
    assert admin.send("/rules/proposals", {}).headers["Location"] == "/rules/proposals"
    api.drain()
    assert api.get("/rules/proposals")["items"] == []


def test_a_run_is_previewed_started_watched_and_undone(api: Api, admin: Browser) -> None:
    bring(api, [f"{SHOPS[0]} {n}" for n in range(5)])
    made = save(api, rule(api, SHOPS[0], "food.groceries"))
    chosen = {"which": "chosen", "rule": made["id"]}
    preview = admin.send("/rules/runs/new", chosen | {"do": "preview", "text": SHOPS[0]})
    assert preview.status_code == 200
    assert effects(preview.text) == [5, 0, 0, 0]
    assert api.get("/rules/runs")["items"] == []
    started = admin.send("/rules/runs/new", chosen | {"do": "start", "min_amount": "-3", "status": "needs_review"})
    path = started.headers["Location"]
    said = admin.open(f"{path}/progress").json
    assert (said["status"], said["open"], said["counts"]["total"]) == ("queued", True, 2)
    assert "data-open" in admin.open(path).text
    assert admin.send("/rules/runs", {}, f"{path}/undo").status_code == 409
    api.drain()
    page = admin.open(path).text
    assert "data-open" not in page
    assert page.count("waits for a person") == 2
    assert "Food and drink &gt; Groceries" in page
    assert "an amount from -3" in page
    assert names(admin.open("/rules/runs").text.replace("Of “", "").replace("”", ""))[0].startswith(made["name"])
    [changed] = [r for r in api.get("/records")["items"] if r["amount"] == "-1.50"]
    api.call("PATCH", f"/records/{changed['id']}", {"category_id": api.category("housing.rent")})
    assert admin.send("/rules/runs", {}, f"{path}/undo").headers["Location"] == path
    api.drain()
    page = admin.open(path).text
    assert (page.count("put back</span>"), page.count("kept: changed since")) == (1, 1)
    assert admin.open(f"{path}/progress").json["counts"]["kept"] == 1


@pytest.mark.parametrize(
    ("form", "message"),
    [
        ({"which": "chosen"}, "choose 1 to 1000 rules"),
        ({"which": "chosen", "rule": "x"}, "this is no rule"),
        ({"which": "chosen", "rule": "00000000-0000-7000-8000-000000000000"}, "does not exist"),
        ({"since": "soon"}, "Not a valid date"),
        ({"min_amount": "much"}, "Not a valid number"),
        ({"currency": "euro"}, "does not match expected pattern"),
        ({"status": "held!"}, "Must be one of"),
    ],
)
@pytest.mark.parametrize("do", ["preview", "start"])
def test_a_run_that_cannot_be_is_told(api: Api, admin: Browser, form: dict[str, str], message: str, do: str) -> None:
    sent = admin.send("/rules/runs/new", form | {"do": do})
    assert sent.status_code == 422
    assert message in sent.text
    assert all(
        f'value="{value}"' in sent.text for name, value in form.items() if name in ("since", "min_amount", "currency")
    )
    assert api.get("/rules/runs")["items"] == []


def test_runs_and_proposals_of_another_tenant_are_not_there(api: Api, admin: Browser, proposed: dict[str, Any]) -> None:
    run = apply(api)
    other = browser_of(new_tenant(api.container, api.client, "Another"), Role.OWNER)
    for path in (f"/rules/runs/{run['id']}", f"/rules/runs/{run['id']}/progress", f"/rules/proposals/{proposed['id']}"):
        assert admin.open(path).status_code == 200
        assert other.open(path).status_code == 404, path
    for path in (f"/rules/runs/{run['id']}/undo", f"/rules/proposals/{proposed['id']}/accept"):
        assert other.send("/account", {"version": "1"}, path).status_code == 404, path
