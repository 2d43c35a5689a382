"""What people do with many records of the console's list at once, and how they take it back."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Any
from uuid import uuid4

import pytest
from werkzeug.test import TestResponse

from core.domain.permissions import Role
from entrypoints.api.app import create_app
from entrypoints.container import Container
from tests.integration.api_support import Api, add_rule, new_tenant
from tests.integration.console_support import HOSTILE, browser_of, is_harmless
from tests.integration.test_console_records import bring
from tests.integration.test_console_sign_in import ORIGIN, Browser


@pytest.fixture
def api(make_container: Callable[..., Container]) -> Api:
    container = make_container(embeddings="off", public_url=ORIGIN, rule_proposals="off")
    return new_tenant(container, create_app(container).test_client())


@pytest.fixture
def reviewer(api: Api) -> Browser:
    return browser_of(api, Role.REVIEWER)


def boxes(page: TestResponse) -> list[str]:
    """What the boxes of the list send, the first row's first."""
    return re.findall(r'name="record" value="([0-9a-f-]{36}\.\d+)"', page.text)


def told(browser: Browser, path: str, record: Sequence[str], **more: str) -> TestResponse:
    """As the page's script sends it."""
    headers = {"Accept": "application/json", "X-Form-Token": browser.token("/account"), "Origin": ORIGIN}
    fields: Any = {"record": list(record), **more}
    return browser.client.post(path, data=fields, base_url=ORIGIN, headers=headers, content_type="multipart/form-data")


def undone(browser: Browser, records: Any) -> TestResponse:
    headers = {"Accept": "application/json", "X-Form-Token": browser.token("/account"), "Origin": ORIGIN}
    return browser.client.post("/records/undo", json={"records": records}, base_url=ORIGIN, headers=headers)


def statuses(api: Api) -> dict[str, tuple[str, str | None]]:
    return {r["text"]: (r["status"], r["category_id"]) for r in api.get("/records")["items"]}


def test_those_that_are_chosen_get_a_category_and_the_list_is_as_it_was(api: Api, reviewer: Browser) -> None:
    bring(api, {"text": "Unheard 1"}, {"text": "Unheard 2"}, {"text": "Else"})
    groceries = api.category("food.groceries")
    address = "text=unheard&status=needs_review"
    page = reviewer.open(f"/records?{address}")
    assert f'action="/records/category?{address.replace("&", "&amp;")}"' in page.text
    fields: Any = {"record": boxes(page), "category_id": groceries}
    answer = reviewer.send("/records", fields, f"/records/category?{address}")
    assert (answer.status_code, answer.headers["Location"]) == (303, f"/records?{address}")
    assert "2 records have the category." in reviewer.open("/records").text
    given = ("overridden", groceries)
    assert statuses(api) == {"Unheard 1": given, "Unheard 2": given, "Else": ("needs_review", None)}
    fields = {"record": boxes(reviewer.open("/records"))}
    assert reviewer.send("/records", fields, "/records/withdraw").status_code == 303
    said = reviewer.open("/records").text
    assert "Taken back: 2 wait for a person again. 1 that no person decided stays as before." in said
    assert {status for status, _ in statuses(api).values()} == {"needs_review"}


def test_what_was_done_is_undone_as_far_as_people_had_decided(api: Api, reviewer: Browser) -> None:
    groceries, rent = api.category("food.groceries"), api.category("housing.rent")
    add_rule(api, groceries, "REWE")
    bring(api, {"text": "REWE"}, {"text": "Unheard"}, {"text": "Known"})
    known = next(r for r in api.get("/records")["items"] if r["text"] == "Known")
    api.call("PATCH", f"/records/{known['id']}", {"category_id": groceries})
    chosen = boxes(reviewer.open("/records"))
    done = told(reviewer, "/records/category?text=", chosen, category_id=rent).json
    assert (done["to"], done["said"]) == ("/records?text=", "3 records have the category. What was given teaches.")
    assert {category for _, category in statuses(api).values()} == {rent}
    again = undone(reviewer, done["undo"])
    assert again.json["said"] == "Undone: 1 as people had decided, 2 for review."
    waits = ("needs_review", None)
    assert statuses(api) == {"REWE": waits, "Unheard": waits, "Known": ("overridden", groceries)}
    assert undone(reviewer, done["undo"]).status_code == 412, "it is not as it was then"
    taken = told(reviewer, "/records/withdraw", boxes(reviewer.open("/records?text=known"))).json
    assert statuses(api)["Known"] == waits
    assert undone(reviewer, taken["undo"]).json["said"] == "Undone: 1 as people had decided."
    assert statuses(api)["Known"] == ("overridden", groceries)


def test_what_can_not_be_done_leaves_all_as_it_is_and_chosen(api: Api, reviewer: Browser) -> None:
    bring(api, {"text": "Unheard 1"}, {"text": "Unheard 2"})
    groceries = api.category("food.groceries")
    chosen = boxes(reviewer.open("/records"))
    fields: Any
    for what, fields, said, status in (
        ("category", {"record": chosen[:1]}, "choose a category first", 422),
        ("category", {"record": chosen[:1], "category_id": str(uuid4())}, "does not exist", 422),
        ("withdraw", {"record": chosen[:1]}, "no person decided any of these", 409),
    ):
        page = reviewer.send("/records", fields, f"/records/{what}?text=unheard")
        assert (page.status_code, f"Nothing was changed: {said}" in page.text or said in page.text) == (status, True)
        assert page.text.count("checked>") == 1, "what was chosen is chosen still"
        assert 'value="unheard"' in page.text
        assert told(reviewer, f"/records/{what}", **fields).status_code == status
    for what in ("category", "withdraw"):
        page = reviewer.send("/records", {"category_id": groceries}, f"/records/{what}")
        assert (page.status_code, "choose records first" in page.text) == (422, True)
        assert reviewer.send("/records", {"record": "1.1"}, f"/records/{what}").status_code == 422
    somebody = chosen[0].partition(".")[0]
    api.call("PATCH", f"/records/{somebody}", {"tags": ["mine"]})
    fields = {"record": chosen, "category_id": groceries}
    page = reviewer.send("/records", fields, "/records/category")
    assert (page.status_code, "Somebody changed this meanwhile" in page.text) == (412, True)
    assert {status for status, _ in statuses(api).values()} == {"needs_review"}


def test_a_viewer_chooses_nothing(api: Api) -> None:
    bring(api, {"text": "Unheard"})
    viewer = browser_of(api, Role.VIEWER)
    page = viewer.open("/records").text
    for word in ('name="record"', "Give it to them", "Take decisions back", "many.js"):
        assert word not in page
    for what in ("category", "withdraw", "undo"):
        assert viewer.send("/account", {}, f"/records/{what}").status_code == 403


def test_another_tenants_records_are_not_there(api: Api, reviewer: Browser) -> None:
    other = new_tenant(api.container, api.client, "Another")
    [theirs] = bring(other, {"text": "Theirs alone"})
    category = api.category("food")
    assert told(reviewer, "/records/category", [f"{theirs}.2"], category_id=category).status_code == 404
    assert told(reviewer, "/records/withdraw", [f"{theirs}.2"]).status_code == 409, "nothing that one could take back"
    former = {"record_id": theirs, "version": 2}
    for category_id in (None, category):
        assert undone(reviewer, [{**former, "category_id": category_id}]).status_code == 404
    assert statuses(other) == {"Theirs alone": ("needs_review", None)}


def test_hostile_texts_are_texts_where_they_are_chosen(api: Api, reviewer: Browser) -> None:
    bring(api, {"text": HOSTILE})
    assert is_harmless(reviewer.open("/records"))
    fields: Any = {"record": boxes(reviewer.open("/records"))}
    assert is_harmless(reviewer.send("/records", fields, f"/records/category?text={HOSTILE}"))
