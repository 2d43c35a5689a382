"""Saved views over the API: a viewer's own, and everybody's."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any
from uuid import uuid4

import pytest

from core.domain.identity import providers_from
from core.domain.permissions import Role
from core.domain.saved_views import MAX_VIEWS
from entrypoints.api.app import create_app
from entrypoints.container import Container
from tests.contract.storage import a_view
from tests.integration.api_support import Api, member_by_provider, new_tenant
from tests.stubs.issuer import CLIENT_ID, IssuerStub


@pytest.fixture(scope="module")
def issuer() -> Iterator[IssuerStub]:
    with IssuerStub() as stub:
        yield stub


@pytest.fixture
def people(make_container: Callable[..., Container], issuer: IssuerStub) -> Callable[[Role], Api]:
    """Members of one tenant, by their own tokens."""
    written = {"key": "acme", "issuer": issuer.url, "client_id": CLIENT_ID, "audiences": [CLIENT_ID]}
    container = make_container(embeddings="off", oidc_providers=tuple(providers_from([written])))
    api = new_tenant(container, create_app(container).test_client())

    def member(role: Role) -> Api:
        member_by_provider(api, issuer, role, f"{role}@example.org")
        return replace(api, key=issuer.token())

    return member


def save(api: Api, name: str, status: int = 201, **fields: Any) -> dict[str, Any]:
    saved: dict[str, Any] = api.post("/views", {"name": name, "query": {"text": "rewe"}, **fields}, status)
    return saved


def names(api: Api) -> list[str]:
    return [view["name"] for view in api.get("/views")["items"]]


def test_a_view_keeps_the_filters_as_the_list_takes_them(api: Api) -> None:
    query = {
        "status": ["needs_review", "processed"],
        "category_id": str(uuid4()),
        "connection_id": str(uuid4()),
        "since": "2026-01-01",
        "min_amount": "-12.50",
        "currency": "EUR",
        "text": "rewe",
    }
    answer = api.call("POST", "/views", {"name": " Large  ones ", "query": query, "shared": True})
    assert answer.status_code == 201, answer.text
    view = answer.json
    assert (view["name"], view["query"], view["shared"], view["version"]) == ("Large ones", query, True, 1)
    assert api.call("GET", answer.headers["Location"].removeprefix("/api/v1")).json == view
    assert api.get("/views")["items"] == [view]
    pairs = [(n, v) for name, value in view["query"].items() for n, v in _pairs(name, value)]
    assert api.call("GET", "/records", query_string=pairs).json == {"items": [], "next": None}


def _pairs(name: str, value: Any) -> list[tuple[str, str]]:
    return [(name, one) for one in value] if isinstance(value, list) else [(name, value)]


def test_a_view_whose_category_is_gone_stays_readable(api: Api) -> None:
    category = api.post("/categories", {"name": "Short lived"}, 201)
    view = save(api, "Old", query={"category_id": category["id"]}, shared=True)
    assert api.call("DELETE", f"/categories/{category['id']}").status_code == 204
    assert api.get(f"/views/{view['id']}") == view
    renamed = api.call("PATCH", f"/views/{view['id']}", {"name": "Older"}).json
    assert renamed["query"] == {"category_id": category["id"]}


@pytest.mark.parametrize(
    "body",
    [
        {"name": "x", "query": {"nothing": 1}, "shared": True},
        {"name": "x", "query": {"currency": "euro"}, "shared": True},
        {"name": " ", "query": {}, "shared": True},
        {"name": "x" * 81, "query": {}, "shared": True},
        {"name": "x", "shared": True},
        {"name": "x", "query": {}},
    ],
    ids=str,
)
def test_what_is_no_view_is_refused(api: Api, body: dict[str, Any]) -> None:
    """The last is a key's own, and keys have none."""
    assert api.post("/views", body, 422)["errors"]
    assert names(api) == []


def test_a_viewer_keeps_their_own_and_others_share(people: Callable[[Role], Api]) -> None:
    viewer, reviewer = people(Role.VIEWER), people(Role.REVIEWER)
    own = save(viewer, "Mine")
    assert (own["shared"], save(viewer, "Mine", 409)["code"]) == (False, "conflict")
    assert save(viewer, "For all", 403, shared=True)["code"] == "forbidden"
    theirs = save(reviewer, "Mine")
    everybodys = save(reviewer, "For all", shared=True)
    assert (names(viewer), names(reviewer)) == (["For all", "Mine"], ["For all", "Mine"])
    assert viewer.get(f"/views/{theirs['id']}", 404)["code"] == "not_found"
    assert viewer.call("PATCH", f"/views/{theirs['id']}", {"name": "x"}).status_code == 404
    assert viewer.call("DELETE", f"/views/{theirs['id']}").status_code == 404
    for method, body in (("PATCH", {"name": "x"}), ("DELETE", None)):
        assert viewer.call(method, f"/views/{everybodys['id']}", body).status_code == 403
    assert viewer.call("PATCH", f"/views/{own['id']}", {"shared": True}).status_code == 403
    shared = reviewer.call("PATCH", f"/views/{theirs['id']}", {"shared": True}, headers={"If-Match": '"1"'})
    assert (shared.status_code, shared.json["shared"], shared.json["version"]) == (200, True, 2)
    assert names(viewer) == ["For all", "Mine", "Mine"]
    stale = reviewer.call("DELETE", f"/views/{theirs['id']}", headers={"If-Match": '"1"'})
    assert (stale.status_code, stale.json["code"]) == (412, "version_mismatch")
    assert reviewer.call("PATCH", f"/views/{theirs['id']}", {"shared": False}).json["shared"] is False
    assert reviewer.call("DELETE", f"/views/{everybodys['id']}").status_code == 204
    assert viewer.call("DELETE", f"/views/{own['id']}").status_code == 204
    assert (names(viewer), names(reviewer)) == ([], ["Mine"])


def test_there_is_room_for_so_many_views(api: Api) -> None:
    with api.container.uow().begin(api.actor) as tx:
        for n in range(MAX_VIEWS):
            tx.views.add(a_view(api.container.ids().new(), api.actor, name=f"{n}"))
        tx.commit()
    assert save(api, "One more", 409, shared=True)["code"] == "conflict"
