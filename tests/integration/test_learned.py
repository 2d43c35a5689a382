"""What was learned of people's answers, over the API and at the console."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any
from uuid import UUID

import pytest
from dependency_injector import providers
from sqlalchemy import Engine, event

from adapters.system.kept import KeptByKey
from core.domain.permissions import Role
from core.domain.tenants import TenantSettings
from entrypoints.api.app import create_app
from entrypoints.container import Container
from tests.integration.api_support import HEADER, Api, new_tenant
from tests.integration.console_support import HOSTILE, browser_of, is_harmless
from tests.integration.rule_support import bring, items, rule, save
from tests.integration.test_api_access import propose
from tests.integration.test_console_sign_in import ORIGIN, Browser


@pytest.fixture
def api(make_container: Callable[..., Container]) -> Api:
    container = make_container(embeddings="off", public_url=ORIGIN)
    return new_tenant(container, create_app(container).test_client())


def answer(api: Api, text: str, key: str) -> None:
    """The first item that waits with that text."""
    found = next(item for item in items(api).values() if text in item["record"]["text"])
    api.post(f"/approvals/{found['id']}", {"verdict": "override", "category_id": api.category(key)})


def asked(browser: Browser, what: str) -> dict[str, Any]:
    found: dict[str, Any] = browser.client.get(
        f"/review/learned/{what}", base_url=ORIGIN, headers={"Accept": "application/json"}
    ).json
    return found


def test_a_tenant_without_answers_has_learned_nothing(api: Api) -> None:
    assert api.get("/dashboard/learned") == {
        "lessons": [], "taught": 0, "learned": 0, "waiting": 0, "alike": 0, "proposed_rules": 0,
        "similarity_alone": False, "deliveries": [],
    }  # fmt: skip


def test_answers_teach_and_what_waits_like_them_is_counted(api: Api) -> None:
    bring(api, ["ZQX 1", "ZQX 2", "ZQX 3", "PLIRT WERKE", "VUMBA"])
    answer(api, "ZQX", "housing.rent")
    answer(api, "VUMBA", "food.groceries")
    before = api.get("/dashboard/learned")
    assert (before["taught"], before["learned"]) == (2, 0), "it is learned in the background"
    api.drain()
    first = api.call("GET", "/dashboard/learned")
    assert (first.json["learned"], first.json["waiting"], first.json["alike"]) == (2, 3, 2)
    assert {one["category_id"]: one["count"] for one in first.json["lessons"]} == {
        api.category("housing.rent"): 1,
        api.category("food.groceries"): 1,
    }
    assert api.call("GET", "/dashboard/learned", headers={"If-None-Match": first.headers["ETag"]}).status_code == 304
    propose(api, UUID(api.category("housing.rent")))
    assert api.get("/dashboard/learned")["proposed_rules"] == 1


def test_what_is_decided_alone_is_told_delivery_by_delivery(api: Api) -> None:
    bring(api, ["ZQX 1", "ZQX 2", "PLIRT WERKE", "VUMBA"])
    save(api, rule(api, "PLIRT", "food.groceries"))
    bring(api, ["PLIRT 2", "PLIRT 3", "PLIRT 4", "VUMBA"], day=9)
    bring(api, ["PLIRT 2", "PLIRT 3", "PLIRT 4", "VUMBA"], day=9)
    history = HEADER.strip() + ";Category\n2026-01-01;OMDRA HALLE;-3.00;EUR;transport.fuel\n"
    api.call("POST", "/imports?filename=h.csv&approved=true", data=history.encode())
    api.drain()
    first, second = api.get("/dashboard/learned")["deliveries"]
    assert (first["rules"], first["asked"], first["automation"]) == (0, 4, 0.0)
    assert (second["rules"], second["similarity"], second["asked"], second["automation"]) == (3, 0, 1, 0.75)
    assert first["created_at"] < second["created_at"], "what was known already, and history, tell nothing of it"
    api.container.change_tenant(api.actor, version=None, settings=TenantSettings(similarity_threshold=0.8))
    assert api.get("/dashboard/learned")["similarity_alone"] is True
    only_rules = TenantSettings(similarity_threshold=0.8, alone=("rules",))
    api.container.change_tenant(api.actor, version=None, settings=only_rules)
    assert api.get("/dashboard/learned")["similarity_alone"] is False


def test_the_page_teaches_what_it_will_show_and_shows_it_then(api: Api) -> None:
    reviewer = browser_of(api, Role.REVIEWER)
    page = reviewer.open("/review/learned").text
    assert "Nothing was learned yet" in page
    assert 'href="/imports">Upload a statement' in page
    bring(api, ["ZQX 1", "ZQX 2", "ZQX 3", "VUMBA"])
    assert "Review 10 of what waits" in reviewer.open("/review/learned").text
    assert "Your first steps" in reviewer.open("/").text
    answer(api, "ZQX", "housing.rent")
    assert "It is learning: 0 of 1 so far." in reviewer.open("/review/learned").text
    assert asked(reviewer, "state") == {"lessons": 1, "had": 0}
    api.drain()
    propose(api, UUID(api.category("housing.rent")))
    page = reviewer.open("/review/learned").text
    assert "Similarity has learned from all of them." in page
    assert "people gave it 9 of 9 times" in page
    assert re.search(r'status=overridden">Housing &gt; Rent</a></td><td class="number">1</td>', page)
    assert "Similarity only suggests so far." in page
    said = (
        "From 1 answer, in 1 category: 2 of 3 that wait are written like one of them, numbers aside, and have its "
        "category among the first to choose; 1 rule is proposed."
    )
    assert asked(reviewer, "state") == {"lessons": 1, "had": 1}
    assert asked(reviewer, "told") == {"lessons": 1, "told": said}
    assert said in " ".join(page.split())
    steps = reviewer.open("/").text
    assert "1 is answered" in steps
    assert 'data-lessons="1" data-first="10"' in reviewer.open("/review").text


def test_who_gave_ten_answers_is_over_the_first_steps(api: Api) -> None:
    reviewer = browser_of(api, Role.REVIEWER)
    bring(api, [f"ZQX {n}" for n in range(12)])
    for _ in range(10):
        answer(api, "ZQX", "housing.rent")
    assert "Your first steps" not in reviewer.open("/").text
    assert 'href="/review/learned"' in reviewer.open("/").text


def test_what_is_counted_is_kept_until_answers_or_imports_come_and_who_waits_counts_little(
    make_container: Callable[..., Container],
) -> None:
    container = make_container(embeddings="off", public_url=ORIGIN)
    container.kept.override(providers.Object(KeptByKey(seconds=600, most=9)))
    api = new_tenant(container, create_app(container).test_client())
    bring(api, ["ZQX 1", "ZQX 2", "VUMBA"])
    answer(api, "ZQX", "housing.rent")
    reviewer, counted = browser_of(api, Role.REVIEWER), " FROM approvals a\n"

    def counts(ask: Callable[[], object]) -> int:
        """How often it was counted what waits that is alike."""
        seen: list[str] = []

        def note(connection: object, cursor: object, statement: str, *_: object) -> None:
            seen.append(statement)

        event.listen(Engine, "before_cursor_execute", note)
        try:
            ask()
        finally:
            event.remove(Engine, "before_cursor_execute", note)
        assert seen
        return sum(counted in statement for statement in seen)

    def look() -> Any:
        return api.get("/dashboard/learned")

    assert counts(lambda: asked(reviewer, "state")) == 0
    assert [counts(look), counts(look), counts(lambda: asked(reviewer, "told"))] == [1, 0, 0]
    answer(api, "VUMBA", "food.groceries")
    assert counts(look) == 1
    bring(api, ["ZQX 7"], day=9)
    shown = look()
    assert (shown["waiting"], shown["alike"], len(shown["deliveries"])) == (2, 2, 2)


def test_a_viewer_sees_it_and_another_tenant_nothing_of_it(api: Api) -> None:
    bring(api, ["ZQX 1", "ZQX 2"])
    answer(api, "ZQX", "housing.rent")
    assert "From 1 answer" in browser_of(api, Role.VIEWER).open("/review/learned").text
    other = new_tenant(api.container, api.client, "Another")
    assert other.get("/dashboard/learned")["taught"] == 0


def test_hostile_texts_are_texts(api: Api) -> None:
    odd = api.post("/categories", {"name": HOSTILE, "key": "odd"}, 201)["id"]
    api.call("POST", f"/imports?filename={HOSTILE}.csv", data=(HEADER + "2026-03-01;ZQX;-1.50;EUR\n").encode())
    api.drain()
    answer(api, "ZQX", "odd")
    propose(api, UUID(odd))
    reviewer = browser_of(api, Role.REVIEWER)
    assert is_harmless(reviewer.open("/review/learned"))
    assert "<" not in asked(reviewer, "told")["told"]
