"""The overview, imports and review at the console: over real storage, with what browsers and our scripts send."""

from __future__ import annotations

import io
from collections.abc import Callable
from contextlib import ExitStack
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
from dependency_injector import providers
from werkzeug.test import TestResponse

from adapters.memory.clock import FixedClock
from core.domain.permissions import Role
from entrypoints.api.app import create_app
from entrypoints.api.waiting import WORKING, Turns
from entrypoints.container import Container
from tests.integration.api_support import HEADER, Api, new_tenant
from tests.integration.console_support import browser_of
from tests.integration.rule_support import bring, items
from tests.integration.test_console_sign_in import ORIGIN, Browser

HOSTILE = "<script>alert(1)</script>"


@pytest.fixture
def api(make_container: Callable[..., Container]) -> Api:
    container = make_container(embeddings="off", public_url=ORIGIN)
    return new_tenant(container, create_app(container).test_client())


def ask(browser: Browser, path: str, body: Any = None) -> TestResponse:
    """As our scripts do."""
    headers = {"Accept": "application/json", "X-Form-Token": browser.token("/account"), "Origin": ORIGIN}
    if body is None:
        return browser.client.get(path, base_url=ORIGIN, headers=headers)
    return browser.client.post(path, json=body, base_url=ORIGIN, headers=headers)


def test_an_answer_is_given_taken_back_and_given_again(api: Api) -> None:
    bring(api, ["QORBEL 1", "QORBEL 2", "PLIRT"])
    ada, rent = browser_of(api, Role.REVIEWER), api.category("housing.rent")
    shown = ask(ada, "/review/items").json["items"]
    assert {(item["record"]["text"], item["alike"]) for item in shown} == {
        ("QORBEL 1", 2),
        ("QORBEL 2", 2),
        ("PLIRT", 1),
    }
    assert all(len(item["candidates"]) == 5 for item in shown)
    first = next(item for item in shown if item["record"]["text"] == "PLIRT")
    answer = {"answers": [{"approval_id": first["id"], "verdict": "override", "category_id": rent}]}
    assert ask(ada, "/review/decide", answer).json == {"ids": [first["id"]]}
    second = ask(ada, "/review/decide", answer)
    assert (second.status_code, second.json["code"]) == (409, "already_decided")
    assert "PLIRT" in ada.open("/review/decided").text
    [again] = ask(ada, "/review/withdraw", {"ids": [first["id"]]}).json["ids"]
    assert ask(ada, f"/review/items/{again}").json["record"]["text"] == "PLIRT"
    group = next(item["group_key"] for item in shown if item["alike"] == 2)
    done = ask(ada, f"/review/groups/{group}", {"verdict": "override", "category_id": rent}).json
    assert (len(done["ids"]), done["remaining"]) == (2, 0)
    assert ask(ada, f"/review/items/{again}/skip", {}).status_code == 200
    assert ask(ada, "/review/items").json["items"] == []
    assert len(items(api)) == 1, "others still see what she skipped"


def test_a_rule_is_proposed_tried_and_made_with_the_answer(api: Api) -> None:
    bring(api, ["QORBEL 1", "QORBEL 2"])
    ada, rent = browser_of(api, Role.ADMIN), api.category("housing.rent")
    item = ask(ada, "/review/items").json["items"][0]
    draft = ask(ada, f"/review/items/{item['id']}/rule?category_id={rent}").json
    assert "qorbel" in draft["text"]
    tried = {"rules": [{"name": draft["name"], "when": draft["text"], "then": {"category": rent}}]}
    assert (ask(ada, "/review/preview", tried).json["matched"], draft["alike"]) == (2, 2)
    wrong = ask(ada, "/review/preview", {"rules": [{**tried["rules"][0], "when": "text contains ("}]})
    assert (wrong.status_code, wrong.json["code"]) == (422, "rule_invalid")
    body = {"verdict": "override", "category_id": rent, "rule": {"name": draft["name"], "when": draft["text"]}}
    made = ask(ada, f"/review/items/{item['id']}/rule", body).json["rule_id"]
    assert api.get(f"/rules/{made}")["name"] == draft["name"]
    [left] = items(api).values()
    refused = ask(browser_of(api, Role.REVIEWER), f"/review/items/{left['id']}/rule", body)
    assert (refused.status_code, refused.json["code"]) == (403, "forbidden")
    assert len(items(api)) == 1


def test_a_file_is_uploaded_without_scripts(api: Api) -> None:
    ada = browser_of(api, Role.REVIEWER)
    statement = (io.BytesIO((HEADER + "2026-03-01;Corner Shop;-1.50;EUR\n").encode()), "march.csv")
    sent = ada.send("/imports", {"file": statement})
    assert sent.status_code == 303
    assert "march.csv" in ada.open(sent.headers["Location"]).text


def test_a_file_is_uploaded_and_seen_being_sorted(api: Api) -> None:
    ada = browser_of(api, Role.REVIEWER)
    assert "Sort your first records" in ada.open("/").text
    headers = {"Accept": "application/json", "X-Form-Token": ada.token("/account"), "Origin": ORIGIN}
    file = (io.BytesIO((HEADER + f"2026-03-01;{HOSTILE};-1.00;EUR\n").encode()), f"{HOSTILE}.csv")
    sent = ada.client.post("/imports", data={"file": file}, base_url=ORIGIN, headers=headers)
    to = sent.json["to"]
    begun = ask(ada, f"{to}/progress")
    assert (begun.json["status"], begun.json["over"]) == ("received", False)
    api.drain()
    done = ask(ada, f"{to}/progress")
    assert (done.json["status"], done.json["over"], done.json["parts"]["waiting"]) == ("done", True, 1)
    same = {"If-None-Match": done.headers["ETag"], "Accept": "application/json"}
    assert ada.client.get(f"{to}/progress", base_url=ORIGIN, headers=same).status_code == 304
    for path in (to, "/imports", "/review/decided", "/"):
        page = ada.open(path)
        assert page.status_code == 200
        assert HOSTILE not in page.text
    ada.send(to, {}, f"{to}/undo")
    assert api.get("/records")["items"] == []


def test_who_paused_a_month_finds_the_overview_and_no_first_steps(api: Api) -> None:
    bring(api, ["PLIRT", "QORBEL"])
    [first, second] = items(api).values()
    rent = api.category("housing.rent")
    for item in (first, second):
        api.post(f"/approvals/{item['id']}", {"verdict": "override", "category_id": rent})
    later = api.container.clock().now() + timedelta(days=40)
    api.container.clock.override(providers.Object(FixedClock(later)))
    page = browser_of(api, Role.REVIEWER).open("/").text
    assert "Records, 30 days</dt><dd>0</dd>" in page
    assert "Sort your first records" not in page


def test_several_answers_at_once_and_counts_are_costly_and_one_answer_is_not(
    make_container: Callable[..., Container],
) -> None:
    container = make_container(embeddings="off", public_url=ORIGIN, costly_limit="2/minute")
    api = new_tenant(container, create_app(container).test_client())
    turns: Turns = api.client.application.extensions[WORKING]
    ada = browser_of(api, Role.REVIEWER)
    one = {"approval_id": str(uuid4()), "verdict": "approve"}
    several: list[tuple[str, Any]] = [
        ("/review/decide", {"answers": [one, {**one, "approval_id": str(uuid4())}]}),
        ("/review/withdraw", {"ids": [str(uuid4()), str(uuid4())]}),
        ("/records/facets", None),
        (f"/review/items/{uuid4()}/rule", {"verdict": "approve", "rule": {}}),
    ]
    with ExitStack() as taken:
        while turns.taken < max(1, container.settings().api_threads // 2):
            taken.enter_context(turns.turn(uuid4()))
        busy = [ask(ada, *what) for what in several[:2]]
    assert [(answer.status_code, answer.json["code"]) for answer in busy] == [(503, "busy")] * 2
    assert [ask(ada, *what).status_code for what in several] == [429] * 4
    assert ask(ada, "/review/decide", {"answers": [one]}).status_code == 404
    assert ask(ada, "/review/withdraw", {"ids": [str(uuid4())]}).status_code == 404


def test_what_is_anothers_is_not_there_and_what_is_not_ones_own_to_do_is_refused(api: Api) -> None:
    other = new_tenant(api.container, api.client, "B")
    bring(other, ["PLIRT"])
    [theirs], imported = items(other).values(), other.get("/imports")["items"][0]["id"]
    ada, viewer = browser_of(api, Role.REVIEWER), browser_of(other, Role.VIEWER)
    assert ask(ada, f"/review/items/{theirs['id']}").status_code == 404
    assert ada.open(f"/imports/{imported}").status_code == 404
    answer = {
        "answers": [{"approval_id": theirs["id"], "verdict": "override", "category_id": other.category("housing.rent")}]
    }
    assert ask(ada, "/review/decide", answer).status_code == 404
    assert ask(viewer, "/review/decide", answer).status_code == 403
    assert "Upload and sort" not in viewer.open("/imports").text
    assert len(items(other)) == 1


@pytest.mark.parametrize("body", [{}, {"answers": []}, {"answers": [{"verdict": "maybe"}]}, [], "x"])
def test_what_scripts_send_is_read_by_the_apis_schemas(api: Api, body: Any) -> None:
    refused = ask(browser_of(api, Role.REVIEWER), "/review/decide", body)
    assert (refused.status_code, refused.mimetype) == (422, "application/problem+json")


def test_a_script_of_somebody_signed_out_is_told_so(api: Api) -> None:
    answer = Browser(api.client.application).client.get(
        "/review/items", base_url=ORIGIN, headers={"Accept": "application/json"}
    )
    assert (answer.status_code, answer.json["code"]) == (401, "unauthenticated")
