"""The console's pages of categories: the tree, and what becomes of one."""

from __future__ import annotations

from collections.abc import Callable
from uuid import uuid4

import pytest

from core.domain.permissions import Role
from entrypoints.api.app import create_app
from entrypoints.container import Container
from tests.integration.api_support import Api, add_rule, new_tenant
from tests.integration.console_support import HOSTILE, browser_of, is_harmless, send, version_on
from tests.integration.test_console_sign_in import ORIGIN, Browser

pytestmark = pytest.mark.slow


@pytest.fixture
def api(make_container: Callable[..., Container]) -> Api:
    container = make_container(embeddings="off", public_url=ORIGIN, rule_proposals="off")
    return new_tenant(container, create_app(container).test_client())


@pytest.fixture
def admin(api: Api) -> Browser:
    return browser_of(api, Role.ADMIN)


@pytest.fixture
def groceries(api: Api) -> str:
    """A category with a rule and a record that it decided."""
    id = api.category("food.groceries")
    add_rule(api, id, "NETFLIX")
    api.upload()
    return id


def belongs(api: Api, id: str) -> str:
    """A record and its rules, in words: there are rules to begin with."""
    rules = sum(rule["then"].get("category") == id for rule in api.get("/rules?limit=500")["items"])
    return f"1 record and {rules} rules"


def test_the_tree_shows_what_belongs_to_each_and_is_searched(api: Api, admin: Browser, groceries: str) -> None:
    page = admin.open("/categories")
    assert page.text.index(">Food and drink</a>") < page.text.index(">Groceries</a>")
    assert f'href="/records?category_id={groceries}" aria-label="1 records of Groceries">1</a>' in page.text
    found = admin.open("/categories?q=GROCER")
    assert ">Food and drink &gt; Groceries</a>" in found.text
    assert ">Rent</a>" not in found.text
    assert "No category is called that" in admin.open("/categories?q=nothing+like+it").text


def test_a_large_tree_is_shown_in_parts(api: Api, admin: Browser, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("entrypoints.console.categories.tree.PAGE", 5)
    whole = len(api.get("/categories")["items"])
    seen, address = 0, "/categories"
    while address:
        page = admin.open(address)
        seen += page.text.count("data-row>")
        _, there, rest = page.text.partition('href="/categories?after=')
        address = f"/categories?after={rest.split(chr(34))[0]}".replace("&amp;", "&") if there else ""
    assert seen == whole


def test_a_category_is_added_renamed_and_moved(api: Api, admin: Browser) -> None:
    food, rent = api.category("food"), api.category("housing.rent")
    assert f'value="{food}" selected' in admin.open(f"/categories/new?parent={food}").text
    made = admin.send("/categories/new", {"name": "Bakery", "parent_id": food}, "/categories/new")
    page = made.headers["Location"]
    id = page.rsplit("/", 1)[1]
    assert api.get(page)["path"] == "Food and drink > Bakery"
    changed = {"name": "Bread", "key": "bread", "parent_id": rent, "description": "Loaves"}
    assert send(admin, page, changed, page).headers["Location"] == page
    now = api.get(page)
    assert (now["name"], now["key"], now["parent_id"], now["description"]) == ("Bread", "bread", rent, "Loaves")
    send(admin, page, {**changed, "parent_id": ""}, page)
    assert api.get(page)["parent_id"] is None
    version = api.get(page)["version"]
    send(admin, page, {**changed, "parent_id": ""}, page)
    assert api.get(page)["version"] == version, "nothing was changed"
    assert f'value="{id}"' not in admin.open(page).text.partition('id="parent_id"')[2].partition("</select>")[0]


@pytest.mark.parametrize(
    ("fields", "field", "said"),
    [
        ({"name": ""}, "name", "Missing data for required field."),
        ({"name": "x" * 121}, "name", "x" * 121),
        ({"name": "Cake", "key": "No Key!"}, "key", "is not a category key"),
        ({"name": "Cake", "key": "food"}, "key", "a category with this key exists"),
        ({"name": "Cake", "parent_id": "food"}, "parent_id", "Not a valid UUID."),
        ({"name": "Cake", "parent_id": str(uuid4())}, "parent_id", "the parent category does not exist"),
    ],
)
def test_what_does_not_hold_is_told_beside_its_field(
    admin: Browser, fields: dict[str, str], field: str, said: str
) -> None:
    refused = admin.send("/categories/new", {"description": "as typed", **fields}, "/categories/new")
    assert refused.status_code in (409, 422)
    assert said in refused.text
    assert f'id="{field}-error"' in refused.text
    assert 'value="as typed"' in refused.text


def test_a_wrong_change_keeps_what_was_typed(api: Api, admin: Browser) -> None:
    food, groceries = api.category("food"), api.category("food.groceries")
    page = f"/categories/{food}"
    refused = send(admin, page, {"name": "Eating", "key": "food", "parent_id": groceries}, page)
    assert (refused.status_code, 'value="Eating"' in refused.text) == (422, True)
    assert "stand below itself" in refused.text
    before = version_on(admin.open(page))
    api.call("PATCH", page, {"name": "Food"})
    refused = admin.send(page, {"version": before, "name": "Eating", "key": "food"}, page)
    assert (refused.status_code, 'value="Eating"' in refused.text) == (409, True)
    assert "Somebody changed this meanwhile" in refused.text
    for what in ("merge", "unsort", "delete"):
        fields = {"version": before, "into": groceries}
        assert admin.send(page, fields, f"{page}/{what}").status_code == 409, what
    assert api.get(page)["name"] == "Food"


def test_a_category_is_merged_and_its_address_leads_on(api: Api, admin: Browser, groceries: str) -> None:
    rent, page = api.category("housing.rent"), f"/categories/{groceries}"
    belonged = belongs(api, groceries)
    assert f"{belonged} move into the other category" in admin.open(page).text
    assert "Choose the category that remains." in send(admin, page, {}, f"{page}/merge").text
    assert send(admin, page, {"into": groceries}, f"{page}/merge").status_code == 422
    merged = send(admin, page, {"into": rent}, f"{page}/merge")
    assert merged.headers["Location"] == f"/categories/{rent}"
    assert f"{belonged} came along" in admin.open(f"/categories/{rent}").text
    assert admin.open(page).headers["Location"] == f"/categories/{rent}"
    assert len(api.get(f"/records?category_id={rent}")["items"]) == 1


def test_a_category_is_taken_apart(api: Api, admin: Browser, groceries: str) -> None:
    page, belonged = f"/categories/{groceries}", belongs(api, groceries)
    shown = admin.open(page).text
    assert "its 1 records wait for a person again" in shown
    assert f'action="{page}/delete"' not in shown
    assert "still use this category" in send(admin, page, {}, f"{page}/delete").text
    assert send(admin, page, {}, f"{page}/unsort").headers["Location"] == "/categories"
    assert f"is taken apart. To it belonged {belonged}." in admin.open("/categories").text
    assert {r["status"] for r in api.get("/records")["items"]} == {"needs_review"}


def test_an_unused_category_is_deleted(api: Api, admin: Browser) -> None:
    page = f"/categories/{api.post('/categories', {'name': 'Nothing'}, 201)['id']}"
    assert send(admin, page, {}, f"{page}/delete").headers["Location"] == "/categories"
    assert admin.open(page).status_code == 404


def test_reviewers_and_viewers_look_only(api: Api, groceries: str) -> None:
    page = f"/categories/{groceries}"
    for role in (Role.REVIEWER, Role.VIEWER):
        browser = browser_of(api, role)
        assert "Add a category" not in browser.open("/categories").text
        shown = browser.open(page)
        assert shown.status_code == 200
        for word in ("Rename or move", "Merge", "Take it apart", "Add one below"):
            assert word not in shown.text
        assert browser.open("/categories/new").status_code == 403
        for to in ("/categories/new", page, f"{page}/merge", f"{page}/unsort", f"{page}/delete"):
            assert browser.send("/account", {"version": "1"}, to).status_code == 403


def test_another_tenants_categories_are_not_there(api: Api, admin: Browser) -> None:
    other = new_tenant(api.container, api.client, "Another")
    theirs = other.post("/categories", {"name": "Theirs alone"}, 201)["id"]
    assert "Theirs alone" not in admin.open("/categories").text
    assert admin.open(f"/categories/{theirs}").status_code == 404
    fields = {"version": "1", "into": api.category("food"), "name": "Mine"}
    for what in ("", "/merge", "/unsort", "/delete"):
        assert admin.send("/account", fields, f"/categories/{theirs}{what}").status_code == 404
    food = f"/categories/{api.category('food')}"
    assert send(admin, food, {"into": theirs}, f"{food}/merge").status_code == 422


def test_hostile_names_are_texts(api: Api, admin: Browser) -> None:
    made = {"name": HOSTILE, "key": "odd", "description": HOSTILE}
    page = admin.send("/categories/new", made, "/categories/new").headers["Location"]
    below = admin.send(
        "/categories/new", {"name": f"{HOSTILE} 2", "parent_id": page.rsplit("/", 1)[1]}, "/categories/new"
    )
    for address in (page, below.headers["Location"], "/categories", "/categories?q=script", "/categories/new"):
        assert is_harmless(admin.open(address)), address
    assert is_harmless(admin.send("/categories/new", {**made, "name": f"{HOSTILE} 3"}, "/categories/new"))
    viewer = browser_of(api, Role.VIEWER)
    assert is_harmless(viewer.open(page))
