"""The console's pages of records: the list, one with its story, and what people do with it."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Callable
from dataclasses import replace
from uuid import UUID, uuid4

import pytest

from core.domain.permissions import Role
from core.domain.tenants import Actor
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
def reviewer(api: Api) -> Browser:
    return browser_of(api, Role.REVIEWER)


def bring(api: Api, *records: dict[str, object], **query: str) -> list[str]:
    """Their ids, in the order in which they came."""
    asked = "&".join(f"{name}={value}" for name, value in query.items())
    standard = {"occurred_at": "2026-03-01", "amount": "-12.50", "currency": "EUR"}
    answer = api.post(f"/records?{asked}", {"records": [standard | record for record in records]}, 202)
    api.drain()
    return [r["id"] for r in api.get(f"/records?import_id={answer['id']}&limit=500")["items"]]


def test_who_has_no_records_yet_learns_what_they_are(reviewer: Browser) -> None:
    page = reviewer.open("/records")
    assert page.status_code == 200
    assert "No records yet" in page.text
    assert "Export as CSV" not in page.text


def test_the_list_shows_the_latest_first_and_goes_on(api: Api, reviewer: Browser) -> None:
    bring(api, *[{"text": f"Purchase {n:02}", "occurred_at": f"2026-03-{1 + n % 28:02}"} for n in range(56)])
    first = reviewer.open("/records?text=purchase")
    assert first.text.index("Purchase 27") < first.text.index("Purchase 26")
    assert first.text.count("data-row>") == 50
    start = first.text.index('rel="next"')
    address = first.text[:start].rsplit('href="', 1)[1].split('"')[0].replace("&amp;", "&")
    assert "text=purchase" in address
    second = reviewer.open(address)
    assert second.text.count("data-row>") == 6
    assert 'rel="next"' not in second.text
    assert reviewer.open("/records?after=no-cursor").status_code == 422


def test_the_list_is_filtered_and_tells_what_else_there_is(api: Api, reviewer: Browser) -> None:
    groceries = api.category("food.groceries")
    add_rule(api, groceries, "REWE")
    bring(api, {"text": "REWE 1"}, {"text": "REWE 2", "occurred_at": "2026-04-02"}, {"text": "Unheard of"})
    page = reviewer.open(f"/records?category_id={groceries}&month=2026-03&status=processed")
    assert ("REWE 1" in page.text, "REWE 2" in page.text, "Unheard of" in page.text) == (True, False, False)
    counts = reviewer.open(f"/records/facets?category_id={groceries}&month=2026-03&status=processed").json["counts"]
    assert counts["month"] == {"2026-03": 1, "2026-04": 1}, "each facet without its own part of the filter"
    assert (counts["status"], counts["category_id"]) == ({"processed": 1}, {groceries: 1})
    assert f'data-facets="/records/facets?status=processed&amp;category_id={groceries}&amp;month=2026-03"' in page.text
    assert 'id="status-processed" autocomplete="off" checked' in page.text
    assert "Food and drink &gt; Groceries" in page.text
    nothing = reviewer.open("/records?text=there+is+none")
    assert "No record is like that" in nothing.text


@pytest.mark.parametrize(
    ("query", "said"),
    [
        ("min_amount=much", "Not a valid number."),
        ("since=yesterday", "Not a valid date."),
        ("month=2026-13", "Not a month"),
        ("category_id=food", "Not a valid UUID."),
        ("status=lost", "Must be one of"),
    ],
)
def test_a_filter_that_does_not_hold_is_shown_with_what_is_wrong(reviewer: Browser, query: str, said: str) -> None:
    page = reviewer.open(f"/records?{query}")
    assert page.status_code == 422
    assert said in page.text
    if query.startswith("min"):
        assert 'value="much"' in page.text
    assert "data-facets" not in page.text
    for path in ("export", "facets"):
        assert reviewer.open(f"/records/{path}?{query}").status_code == 422


def test_what_is_filtered_is_exported_and_told(api: Api, reviewer: Browser) -> None:
    bring(api, {"text": "=cmd()"}, {"text": "Another"})
    answer = reviewer.open("/records/export?text=cmd")
    assert answer.headers["Content-Disposition"] == 'attachment; filename="records.csv"'
    rows = list(csv.DictReader(io.StringIO(answer.text)))
    assert [row["text"] for row in rows] == ["'=cmd()"]
    api.container.seal_events()
    [told] = api.get("/events?type=EXPORTED")["items"]
    assert (told["actor"], told["payload"]["records"]) == ("Ada", 1)


def test_a_record_tells_how_it_was_decided(api: Api, reviewer: Browser) -> None:
    rule = add_rule(api, api.category("food.groceries"), "REWE")
    decided, waits = bring(api, {"text": "REWE 1"}, {"text": "Unheard of"})
    page = reviewer.open(f"/records/{decided}")
    assert "A rule decided it alone" in page.text
    assert f'href="/rules/{rule["id"]}"' in page.text
    assert "matched, and says Food and drink &gt; Groceries" in page.text
    assert "It was sorted as Food and drink &gt; Groceries" in page.text
    page = reviewer.open(f"/records/{waits}")
    assert "no stage was sure enough" in page.text
    assert "the promise that 95 %" in page.text
    assert "No rule matched." in page.text


def test_a_person_gives_a_category_and_takes_it_back(api: Api, reviewer: Browser) -> None:
    [id] = bring(api, {"text": "Unheard of"})
    page, groceries = f"/records/{id}", api.category("food.groceries")
    answer = send(reviewer, page, {"category_id": groceries}, f"{page}/category")
    assert (answer.status_code, answer.headers["Location"]) == (303, page)
    assert api.get(page)["status"] == "overridden"
    api.container.seal_events()
    shown = reviewer.open(page)
    assert "The record has its category" in shown.text
    assert "Corrected as Food and drink &gt; Groceries." in shown.text
    assert "<h3>Ada</h3>" in shown.text
    assert "Take back what people said" in shown.text
    assert send(reviewer, page, {}, f"{page}/withdraw").status_code == 303
    assert api.get(page)["status"] == "needs_review"
    shown = reviewer.open(page)
    assert "Withdrawn by Ada." in shown.text
    assert "It waits for a person: withdrawn by Ada." in shown.text
    assert reviewer.send(page, {"version": version_on(shown)}, f"{page}/withdraw").status_code == 409


def test_what_does_not_hold_is_told_beside_its_field_and_nothing_is_lost(api: Api, reviewer: Browser) -> None:
    [id] = bring(api, {"text": "Unheard of", "attributes": {"n": 7, "mcc": "5411"}})
    page = f"/records/{id}"
    assert "Choose a category." in send(reviewer, page, {"category_id": ""}, f"{page}/category").text
    refused = send(reviewer, page, {"category_id": str(uuid4())}, f"{page}/category")
    assert (refused.status_code, "does not exist" in refused.text) == (422, True)
    refused = send(reviewer, page, {"tags": "x" * 65}, f"{page}/details")
    assert (refused.status_code, "x" * 65 in refused.text) == (422, True)
    assert "Longer than maximum length 64." in refused.text or "Length must be between 1 and 64." in refused.text
    without = reviewer.send(page, {"category_id": api.category("food")}, f"{page}/category")
    assert (without.status_code, "open the page again" in without.text) == (422, True)
    assert api.get(page)["attributes"] == {"n": 7, "mcc": "5411"}


def test_tags_and_attributes_are_changed_and_what_was_no_text_stays_none(api: Api, reviewer: Browser) -> None:
    [id] = bring(api, {"text": "Unheard of", "attributes": {"n": 7, "mcc": "5411"}})
    page, token = f"/records/{id}", reviewer.token(f"/records/{id}")
    form = {
        "form_token": token, "version": version_on(reviewer.open(page)), "tags": "travel\n\n berlin trip \ntravel",
        "attribute_name": ["mcc", "n", "trip", ""], "attribute_value": ["", "7", "Berlin", ""],
    }  # fmt: skip
    sent = reviewer.client.post(f"{page}/details", data=form, base_url=ORIGIN)
    assert sent.status_code == 303
    record = api.get(page)
    assert (record["tags"], record["attributes"]) == (["travel", "berlin trip"], {"n": 7, "trip": "Berlin"})
    form |= {"version": version_on(reviewer.open(page)), "attribute_name": ["", "n"], "attribute_value": ["lost", "7"]}
    refused = reviewer.client.post(f"{page}/details", data=form, base_url=ORIGIN)
    assert (refused.status_code, "“lost” has no name." in refused.text) == (422, True)


def test_attributes_that_nobody_touched_are_sent_on_one_line_and_stay_what_they_are(
    api: Api, reviewer: Browser
) -> None:
    attributes = {"note": "first\r\nsecond", " padded ": 7, "two\nlines": "x", "blank": "\n", "gone": "y"}
    [id] = bring(api, {"text": "Unheard of", "attributes": attributes})
    page, token = f"/records/{id}", reviewer.token(f"/records/{id}")
    form = {
        "form_token": token, "version": version_on(reviewer.open(page)), "tags": "travel",
        "attribute_name": [" padded ", "blank", "gone", "note", "twolines", " typed ", ""],
        "attribute_value": ["7", "", "", "firstsecond", "x", "null", ""],
    }  # fmt: skip
    assert reviewer.client.post(f"{page}/details", data=form, base_url=ORIGIN).status_code == 303
    del attributes["gone"]
    assert api.get(page)["attributes"] == {**attributes, "typed": "null"}


def test_two_people_do_not_overwrite_each_other(api: Api, reviewer: Browser) -> None:
    [id] = bring(api, {"text": "Unheard of"})
    page, groceries = f"/records/{id}", api.category("food.groceries")
    before = version_on(reviewer.open(page))
    api.call("PATCH", page, {"tags": ["first"]})
    for what, fields in (
        ("category", {"category_id": groceries}),
        ("details", {"tags": "second"}),
        ("withdraw", {}),
        ("delete", {}),
    ):
        refused = reviewer.send(page, {"version": before, **fields}, f"{page}/{what}")
        assert refused.status_code == 409, what
        assert "Somebody changed this meanwhile" in refused.text
        assert version_on(refused) != before
        if what == "details":
            assert "second</textarea>" in refused.text
        if what == "category":
            assert f'value="{groceries}" selected' in refused.text
    assert api.get(page)["tags"] == ["first"]


def test_a_record_is_deleted_for_good(api: Api, reviewer: Browser) -> None:
    [id] = bring(api, {"text": "Unheard of", "external_id": "1"})
    answer = send(reviewer, f"/records/{id}", {}, f"/records/{id}/delete")
    assert answer.headers["Location"] == "/records"
    assert "No later import brings it back" in reviewer.open("/records").text
    assert reviewer.open(f"/records/{id}").status_code == 404
    assert bring(api, {"text": "Unheard of", "external_id": "1"}) == []


def test_a_filter_is_kept_as_a_view_shared_changed_and_forgotten(api: Api, reviewer: Browser) -> None:
    bring(api, {"text": "Unheard of"})
    here = "/records?status=needs_review&text=unheard"
    made = reviewer.send(here, {"name": "To ask", "query": "status=needs_review&text=unheard"}, "/records/views")
    address = made.headers["Location"]
    assert {"status=needs_review", "text=unheard"} <= set(address.partition("?")[2].split("&"))
    page = reviewer.open(address)
    assert ("To ask" in page.text, "Change this view" in page.text) == (True, True)
    viewer = browser_of(api, Role.VIEWER)
    assert "To ask" not in viewer.open("/records").text, "one's own"
    [view] = api.container.list_views(as_reviewer(api))
    to = f"/records/views/{view.id}"
    changed = {"name": "Everybody asks", "query": "status=failed", "version": str(view.version), "shared": "1"}
    assert viewer.send(here, changed, to).status_code == 404
    assert reviewer.send(address, changed, to).status_code == 303
    assert "Everybody asks" in viewer.open("/records").text
    assert "Change this view" not in viewer.open(f"/records?view={view.id}&status=failed").text
    assert viewer.send(here, {**changed, "version": "2"}, to).status_code == 403
    assert reviewer.send(address, changed, to).headers["Location"].startswith("/records?status=failed")
    assert "Somebody changed this" in reviewer.open("/records").text
    assert reviewer.send(address, {"version": "2", "query": ""}, f"{to}/delete").status_code == 303
    assert "Everybody asks" not in viewer.open("/records").text


def test_a_view_without_a_name_or_with_a_wrong_filter_is_not_kept(reviewer: Browser) -> None:
    for fields, said in (
        ({"name": " ", "query": "status=failed"}, "Give the view a name"),
        ({"name": "Odd", "query": "since=never"}, "This filter does not hold"),
    ):
        answer = reviewer.send("/records?status=failed", fields, "/records/views")
        assert said in reviewer.open(answer.headers["Location"]).text
    assert "Odd" not in reviewer.open("/records").text


def test_a_viewer_sees_all_and_changes_nothing(api: Api) -> None:
    [id] = bring(api, {"text": "Unheard of"})
    viewer, page = browser_of(api, Role.VIEWER), f"/records/{id}"
    shown = viewer.open(page)
    assert shown.status_code == 200
    assert "How it was decided" in shown.text
    for word in ("Save the category", "Save tags", "Delete this record", "Take back"):
        assert word not in shown.text
    for what in ("category", "details", "withdraw", "delete"):
        assert viewer.send("/account", {"version": "1"}, f"{page}/{what}").status_code == 403


def test_what_spoke_for_a_record_and_is_gone_is_no_link(api: Api, reviewer: Browser) -> None:
    rule = add_rule(api, api.category("food.groceries"), "REWE")
    [near] = bring(api, {"text": "Unheard of"})
    api.call("PATCH", f"/records/{near}", {"category_id": api.category("housing.rent")})
    [id] = bring(api, {"text": "REWE"})
    assert f'href="/rules/{rule["id"]}"' in reviewer.open(f"/records/{id}").text
    source = {
        "category_id": api.category("housing.rent"),
        "confidence": 0.5,
        "source": f"example:{near}",
        "rationale": "so",
    }
    with api.container.uow().begin(api.actor) as tx:
        record = tx.records.get(UUID(id))
        said = {"stage": "similarity", "outcome": "unsure", "reason": "so", "candidates": [source]}
        trace = {**(record.reasoning_trace or {}), "stages": [*(record.reasoning_trace or {})["stages"], said]}
        tx.records.update([replace(record, reasoning_trace=trace)])
        tx.commit()
    assert f'href="/records/{near}">the nearest</a>' in reviewer.open(f"/records/{id}").text
    api.call("DELETE", f"/records/{near}")
    api.call("DELETE", f"/rules/{rule['id']}")
    page = reviewer.open(f"/records/{id}")
    assert page.status_code == 200
    assert "the nearest, which is gone" in page.text
    assert "the rule, which is gone" in page.text
    for path in re.findall(r'href="(/(?:records|rules|categories|connections|imports)/[^"?]+)"', page.text):
        assert reviewer.open(path).status_code == 200, path


def test_another_tenants_records_are_not_there(api: Api, reviewer: Browser) -> None:
    other = new_tenant(api.container, api.client, "Another")
    [theirs] = bring(other, {"text": "Theirs alone"})
    assert "Theirs alone" not in reviewer.open("/records").text
    assert reviewer.open(f"/records/{theirs}").status_code == 404
    for what in ("category", "details", "withdraw", "delete"):
        fields = {"version": "1", "category_id": api.category("food")}
        assert reviewer.send("/account", fields, f"/records/{theirs}/{what}").status_code == 404
    assert "Theirs alone" not in reviewer.open("/records/export").text


def test_hostile_texts_are_texts(api: Api, reviewer: Browser) -> None:
    category = api.post("/categories", {"name": HOSTILE, "key": "odd"}, 201)["id"]
    api.post(
        "/rules",
        {"name": HOSTILE, "when": {"field": "text", "op": "contains", "value": "odd"}, "then": {"category": category}},
        201,
    )
    [id] = bring(
        api,
        {"text": f"odd {HOSTILE}", "counterparty": HOSTILE, "account": HOSTILE, "kind": HOSTILE, "external_id": HOSTILE,
         "attributes": {HOSTILE: HOSTILE}, "raw": {HOSTILE: HOSTILE}},
    )  # fmt: skip
    api.call("PATCH", f"/records/{id}", {"tags": [HOSTILE], "category_id": category})
    reviewer.send("/records?text=odd", {"name": HOSTILE, "query": "text=odd", "shared": "1"}, "/records/views")
    api.container.seal_events()
    viewer = browser_of(api, Role.VIEWER)
    for page in ("/records", f"/records/{id}", f"/records?category_id={category}", f"/records?text={HOSTILE}"):
        assert is_harmless(reviewer.open(page)), page
        assert is_harmless(viewer.open(page)), page


def as_reviewer(api: Api) -> Actor:
    user = next(user for user, membership in api.container.list_members(api.actor) if membership.role is Role.REVIEWER)
    return replace(api.actor, user_id=user.id)
