"""Members and invitations by the API: how people come in, who may leave, and invitations that are sent anew."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from uuid import UUID

import pytest

from core.domain.identity import providers_from
from core.domain.permissions import ROLE_PERMISSIONS, Role
from entrypoints.api.app import create_app
from entrypoints.container import Container
from tests.integration.api_support import Api, member_by_provider, new_tenant
from tests.integration.test_console_sign_in import ORIGIN, OWNER, PASSWORD, Browser
from tests.stubs.issuer import CLIENT_ID, IssuerStub

ADA, BEN = "ada@example.org", "ben@example.org"


@pytest.fixture(scope="module")
def issuer() -> Iterator[IssuerStub]:
    with IssuerStub() as stub:
        yield stub


@pytest.fixture
def api(make_container: Callable[..., Container], issuer: IssuerStub) -> Api:
    written = {"key": "acme", "issuer": issuer.url, "client_id": CLIENT_ID, "audiences": [CLIENT_ID]}
    container = make_container(embeddings="off", public_url=ORIGIN, oidc_providers=tuple(providers_from([written])))
    return new_tenant(container, create_app(container).test_client())


def invited(api: Api, email: str) -> dict[str, str]:
    made: dict[str, str] = api.post("/invitations", {"email": email, "role": "viewer"}, 201)
    return made


def test_how_members_come_in_is_for_who_manages_them(api: Api, issuer: IssuerStub) -> None:
    ada = member_by_provider(api, issuer, Role.REVIEWER)
    browser = Browser(api.client.application)
    browser.send(invited(api, BEN)["url"].removeprefix(ORIGIN), {"name": "Ben", "password": PASSWORD})
    told = {one["email"]: one for one in api.get("/members")["items"]}
    nothing = {"password": False, "second_factor": False, "issuers": [], "seen_at": None}
    assert told[OWNER]["ways_in"] == nothing
    assert told[ADA]["ways_in"] == nothing | {"issuers": [issuer.url]}
    seen_at = told[BEN]["ways_in"].pop("seen_at")
    assert told[BEN]["ways_in"] == {"password": True, "second_factor": False, "issuers": []}
    assert seen_at is not None
    assert told[BEN]["granted_by"] is None
    changed = api.call("PATCH", f"/members/{ada}", {"role": "viewer"}).json
    assert (changed["role"], changed["ways_in"]["issuers"]) == ("viewer", [issuer.url])
    narrow = api.container.create_api_key(api.actor, name="narrow", scopes=ROLE_PERMISSIONS[Role.VIEWER])
    seen = api.get("/members", Authorization=f"Bearer {narrow.secret}")["items"]
    assert [(one["email"], one["ways_in"]) for one in seen] == [(ADA, None), (BEN, None), (OWNER, None)]


def test_everybody_may_leave_and_no_more(api: Api, issuer: IssuerStub) -> None:
    ben = member_by_provider(api, issuer, Role.VIEWER, BEN)
    ada = member_by_provider(api, issuer, Role.VIEWER)
    hers = {"Authorization": f"Bearer {issuer.token()}"}
    refused = api.call("DELETE", f"/members/{ben}", headers=hers)
    assert (refused.status_code, "members:write" in refused.json["detail"]) == (403, True)
    assert api.call("DELETE", f"/members/{ada}", headers=hers).status_code == 204
    assert api.call("GET", "/members", headers=hers).status_code in (401, 403)
    assert [UUID(one["user_id"]) for one in api.get("/members")["items"] if one["email"] != OWNER] == [ben]


def test_an_invitation_is_sent_anew(api: Api) -> None:
    former = invited(api, ADA)
    anew = api.post(f"/invitations/{former['id']}/renew", None, 201)
    assert (anew["email"], anew["role"], anew["id"] != former["id"]) == (ADA, "viewer", True)
    assert [one["id"] for one in api.get("/invitations")["items"]] == [anew["id"]]
    pages = [Browser(api.client.application).open(url.removeprefix(ORIGIN)) for url in (former["url"], anew["url"])]
    assert [page.status_code for page in pages] == [422, 200]
    again = api.call("POST", f"/invitations/{former['id']}/renew")
    assert (again.status_code, again.json["code"]) == (409, "conflict")
    once = {"Idempotency-Key": "one"}
    first, second = (api.call("POST", f"/invitations/{anew['id']}/renew", headers=once) for _ in range(2))
    assert (first.json["url"] is None, second.json) == (False, first.json | {"url": None}), "a link is shown once"
