"""The console's pages of API keys."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from werkzeug.test import TestResponse

from core.domain.permissions import Role
from entrypoints.api.app import create_app
from entrypoints.container import Container
from tests.integration.api_support import Api, new_tenant
from tests.integration.console_support import HOSTILE, browser_of, is_harmless
from tests.integration.test_console_sign_in import ORIGIN, Browser

KEYS, NEW = "/settings/keys", "/settings/keys/new"


@pytest.fixture
def api(make_container: Callable[..., Container]) -> Api:
    container = make_container(embeddings="off", public_url=ORIGIN)
    return new_tenant(container, create_app(container).test_client())


@pytest.fixture
def admin(api: Api) -> Browser:
    return browser_of(api, Role.ADMIN)


def make(browser: Browser, name: str = "Export", **fields: Any) -> TestResponse:
    return browser.send(NEW, {"name": name, "scopes": ["records:read"], "lasts": "30"} | fields)


def secret_on(page: TestResponse) -> str:
    found = re.search(r"sort_live_\w{12}_\w{38}", page.text)
    assert found is not None, page.text
    return found[0]


def called(api: Api, name: str) -> list[dict[str, Any]]:
    """The keys of that name, the first one first."""
    return [one for one in api.get("/api-keys?limit=500")["items"] if one["name"] == name]


def lets_in(api: Api, secret: str) -> bool:
    return api.call("GET", "/records", headers={"Authorization": f"Bearer {secret}"}).status_code == 200


def test_a_key_is_made_and_its_secret_shown_once(api: Api, admin: Browser) -> None:
    made = make(admin, scopes=["records:read", "jobs:read"])
    assert (made.status_code, made.headers["Cache-Control"]) == (200, "no-store")
    secret = secret_on(made)
    assert lets_in(api, secret)
    [key] = called(api, "Export")
    assert key["scopes"] == ["jobs:read", "records:read"]
    ends = datetime.fromisoformat(key["expires_at"])
    assert timedelta(days=29, hours=23) < ends - datetime.now(UTC) <= timedelta(days=30)
    api.container.seal_events()
    hidden = secret.split("_")[3]
    for path in (KEYS, f"{KEYS}/{key['id']}", "/events", f"/events?subject={key['id']}"):
        page = admin.open(path)
        assert (page.status_code, hidden in page.text) == (200, False), path
    shown = admin.open(KEYS)
    assert f'href="{KEYS}/{key["id"]}">Export</a>' in shown.text
    assert "by Ada</span>" in shown.text
    assert "2 permissions: jobs:read, records:read" in shown.text
    theirs = admin.open(f"{KEYS}/{key['id']}").text
    assert "See records and imports, and how each record was decided" in theirs
    assert "last used" in admin.open(KEYS).text


def test_a_key_may_do_no_more_than_who_makes_it(api: Api, admin: Browser) -> None:
    form = admin.open(NEW).text
    assert ('value="records:read"' in form, 'value="tenant:write"' in form) == (True, False)
    assert 'value="tenant:write"' in browser_of(api, Role.OWNER).open(NEW).text
    refused = make(admin, scopes=["records:read", "tenant:write"])
    assert (refused.status_code, "A key may do no more than who makes it." in refused.text) == (403, True)
    assert 'value="records:read" checked' in refused.text
    assert called(api, "Export") == []


def test_what_does_not_hold_is_told_beside_what_was_typed(api: Api, admin: Browser) -> None:
    name, scopes = "Give it a name of up to 200 characters.", "Choose one thing at least that it may do."
    wrong: list[tuple[dict[str, Any], str]] = [
        ({"name": ""}, name),
        ({"name": "x" * 201}, name),
        ({"scopes": []}, scopes),
        ({"scopes": ["operator"]}, scopes),
        ({"lasts": "31"}, "Choose one of the list."),
        ({"lasts": "day", "day": ""}, "Choose a day."),
        ({"lasts": "day", "day": "9999-12-31"}, "Choose a day."),
        ({"lasts": "day", "day": "2026-02-01"}, "This day is over: choose a later one."),
    ]
    for fields, said in wrong:
        page = make(admin, **{"name": HOSTILE} | fields)
        assert (page.status_code, said in page.text) == (422, True), fields
        assert is_harmless(page) or "name" in fields
        assert ('value="records:read" checked' in page.text) is ("scopes" not in fields)
    assert len(api.get("/api-keys")["items"]) == 1


def test_a_key_ends_with_a_day_of_the_tenants(api: Api, admin: Browser) -> None:
    today = datetime.now(ZoneInfo("Europe/Berlin")).date()
    make(admin, "Today", lasts="day", day=today.isoformat())
    make(admin, "Never", lasts="")
    [key] = called(api, "Today")
    ends = datetime.fromisoformat(key["expires_at"]).astimezone(ZoneInfo("Europe/Berlin"))
    assert (ends.date(), ends.hour) == (today + timedelta(days=1), 0)
    assert called(api, "Never")[0]["expires_at"] is None
    shown = admin.open(KEYS).text
    assert ">ends soon</span>" in shown
    assert "never ends by itself" in shown


def test_a_key_is_replaced_and_the_former_serves_on_for_a_while(api: Api, admin: Browser) -> None:
    first = secret_on(make(admin))
    path = f"{KEYS}/{called(api, 'Export')[0]['id']}"
    replaced = admin.send(path, {"overlap": "3600"}, f"{path}/rotate")
    assert (replaced.status_code, replaced.headers["Cache-Control"]) == (200, "no-store")
    second = secret_on(replaced)
    assert "The former one serves on until" in replaced.text
    assert [lets_in(api, one) for one in (first, second)] == [True, True]
    former, latter = called(api, "Export")
    assert former["expires_at"] < latter["expires_at"]
    path = f"{KEYS}/{latter['id']}"
    replaced = admin.send(path, {"overlap": "0"}, f"{path}/rotate")
    assert "The former one serves no more." in replaced.text
    assert [lets_in(api, one) for one in (second, secret_on(replaced))] == [False, True]
    assert admin.send(KEYS, {"overlap": "7"}, f"{path}/rotate").status_code == 422
    ended = admin.send(KEYS, {"overlap": "0"}, f"{path}/rotate")
    assert (ended.status_code, "This API key has expired or was revoked" in ended.text) == (409, True)


def test_a_key_is_revoked_at_once_and_stays_to_be_read(api: Api, admin: Browser) -> None:
    secret = secret_on(make(admin))
    path = f"{KEYS}/{called(api, 'Export')[0]['id']}"
    assert "Nothing undoes it." in admin.open(path).text
    revoked = admin.send(path, {}, f"{path}/revoke")
    assert (revoked.status_code, revoked.headers["Location"], lets_in(api, secret)) == (303, path, False)
    page = admin.open(path).text
    assert "“Export” is revoked" in page
    assert ("/rotate" in page, f'action="{path}/revoke"' in page) == (False, False)
    assert ">Export</a>" not in admin.open(KEYS).text
    assert ">Export</a>" in admin.open(f"{KEYS}?state=ended").text


def test_a_key_that_may_more_is_revoked_but_not_replaced(api: Api, admin: Browser) -> None:
    [wide] = called(api, "first key")
    path = f"{KEYS}/{wide['id']}"
    page = admin.open(path).text
    assert "It may do more than you (billing:write, tenant:write)" in page
    assert f'action="{path}/rotate"' not in page
    refused = admin.send(path, {"overlap": "0"}, f"{path}/rotate")
    assert (refused.status_code, "This needs the permission" in refused.text) == (403, True)
    assert lets_in(api, api.key)


def test_keys_are_for_admins_and_owners_and_of_one_tenant(api: Api, admin: Browser) -> None:
    reviewer = browser_of(api, Role.REVIEWER)
    [key] = called(api, "first key")
    for path in (KEYS, NEW, f"{KEYS}/{key['id']}"):
        assert reviewer.open(path).status_code == 403, path
    for act in ("rotate", "revoke"):
        assert reviewer.send("/account", {"overlap": "0"}, f"{KEYS}/{key['id']}/{act}").status_code == 403
    other = new_tenant(api.container, api.client, "Quay Books")
    [theirs] = called(other, "first key")
    assert admin.open(f"{KEYS}/{theirs['id']}").status_code == 404
    for act in ("rotate", "revoke"):
        assert admin.send(KEYS, {"overlap": "0"}, f"{KEYS}/{theirs['id']}/{act}").status_code == 404, act
    assert lets_in(api, other.key)


def test_a_long_list_is_shown_in_parts_and_an_empty_one_teaches(
    api: Api, admin: Browser, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert "No key has ended" in admin.open(f"{KEYS}?state=ended").text
    monkeypatch.setattr("entrypoints.console.settings.keys.SHOWN", 2)
    for number in range(4):
        api.container.create_api_key(api.actor, name=f"{HOSTILE} {number}", scopes=frozenset({"records:read"}))
    seen, address = 0, KEYS
    while address:
        page = admin.open(address)
        assert is_harmless(page) or "first key" in page.text
        seen += page.text.count("<li data-row>")
        _, there, rest = page.text.partition('href="/settings/keys?after=')
        address = f"{KEYS}?after={rest.split(chr(34))[0]}" if there else ""
    assert seen == 5
    theirs = admin.open(f"{KEYS}/{called(api, f'{HOSTILE} 0')[0]['id']}")
    assert is_harmless(theirs)
    for key in api.get("/api-keys")["items"][1:]:
        api.container.revoke_api_key(api.actor, key["id"])
    [first] = called(api, "first key")
    api.container.revoke_api_key(api.actor, first["id"])
    assert "No program comes in yet" in admin.open(KEYS).text
