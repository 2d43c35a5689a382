"""Connections at the console: the gallery, forms of schemas, health, and what is done by buttons."""

from __future__ import annotations

import html
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import pytest
from werkzeug.test import TestResponse

from core.domain.permissions import Role
from core.errors import ReauthRequired
from entrypoints.api.app import create_app
from entrypoints.container import Container
from tests.integration.api_support import Api, new_tenant
from tests.integration.console_support import browser_of
from tests.integration.sync_support import SECRET, Shop, run_syncs
from tests.integration.test_console_sign_in import ORIGIN, Browser
from tests.integration.test_oauth import connect as connect_bank
from tests.integration.test_oauth import new_api
from tests.stubs.oauth_server import OAuthServer

pytestmark = pytest.mark.slow

HOSTILE = '<script>alert(1)</script>"><img src=x onerror=alert(1)>'
WEBHOOK_SECRET = "whsec_Y2FuYXJ5Y2FuYXJ5Y2FuYXJ5Y2FuYXJ5"


@pytest.fixture
def api(make_container: Callable[..., Container]) -> Api:
    container = make_container(embeddings="off", public_url=ORIGIN)
    return new_tenant(container, create_app(container).test_client())


@pytest.fixture
def owner(api: Api) -> Browser:
    return browser_of(api, Role.OWNER)


def post(browser: Browser, path: str, fields: Mapping[str, Any], page: str = "/account") -> TestResponse:
    form = {"form_token": browser.token(page), **fields}
    return browser.client.post(path, data=form, base_url=ORIGIN, headers={"Origin": ORIGIN})


def connect(api: Api, connector: str = "csv", name: str = "Ours", **more: Any) -> str:
    made: dict[str, Any] = api.post("/connections", {"connector": connector, "name": name, **more}, 201)
    return str(made["id"])


def version_on(browser: Browser, path: str) -> str:
    found = re.search(r'name="version" value="(\d+)"', browser.open(path).text)
    assert found is not None
    return found.group(1)


def is_escaped(page: str) -> bool:
    return "<script>alert" not in page and "<img src=x" not in page


def test_without_a_connection_the_page_teaches(owner: Browser) -> None:
    page = owner.open("/connections")
    assert (page.status_code, "Nothing is connected yet" in page.text) == (200, True)
    assert 'href="/connections/new"' in page.text


def test_the_gallery_has_every_connector_with_a_form(api: Api, owner: Browser) -> None:
    page = owner.open("/connections/new").text
    connectors = api.get("/connectors")["items"]
    assert len(connectors) > 10
    for one in connectors:
        assert f'href="/connections/new/{one["key"]}"' in page
        form = owner.open(f"/connections/new/{one['key']}")
        assert form.status_code == 200, one["key"]
        for name in one["config_schema"].get("properties", {}):
            assert f'name="config.{name}' in form.text, (one["key"], name)
        for secret in one["secrets"]:
            assert re.search(rf'name="config\.{secret}" type="password"', form.text), (one["key"], secret)
    assert owner.open("/connections/new/nothing").status_code == 404


def test_a_connection_is_made_by_its_form_and_its_secret_is_never_shown(api: Api, owner: Browser) -> None:
    answer = post(owner, "/connections/new/webhook", {"name": "The till", "config.webhook_secret": WEBHOOK_SECRET})
    assert answer.status_code == 303, answer.text
    page = owner.open(answer.headers["Location"])
    assert "“The till” is connected." in html.unescape(page.text)
    [made] = api.get("/connections")["items"]
    assert (made["name"], made["secrets"]) == ("The till", ["webhook_secret"])
    assert f"{ORIGIN}/api/v1/webhooks/{made['id']}" in page.text
    for path in ("", "/settings", "/log", "/deliveries", "/imports", "/state"):
        shown = owner.open(f"/connections/{made['id']}{path}")
        assert (shown.status_code, WEBHOOK_SECRET in shown.text) == (200, False), path


def test_what_does_not_hold_stands_beside_its_field_and_nothing_typed_is_lost(api: Api, owner: Browser) -> None:
    typed = {
        "name": "Odd",
        "config.delimiter": ";;",
        "config.skip_rows": "many",
        "config.currency": "euro",
        "config.mapping.date": HOSTILE,
        "config.mapping.text": "One\nTwo",
    }
    answer = post(owner, "/connections/new/csv", typed)
    assert answer.status_code == 422
    assert is_escaped(answer.text)
    text = html.unescape(answer.text)
    for value in typed.values():
        assert value in text, value
    assert text.count("invalid-note") == 3
    assert "'many' is not of type 'integer'." in text
    assert api.get("/connections")["items"] == []


def test_a_refused_form_keeps_no_secret(owner: Browser) -> None:
    answer = post(owner, "/connections/new/stripe", {"name": "", "config.api_key": SECRET, "config.account": "x y"})
    assert answer.status_code == 422
    assert SECRET not in answer.text
    assert 'value="x y"' in answer.text


def test_lists_of_things_grow_and_shrink_without_a_script(owner: Browser) -> None:
    sent = {"name": "A", "config.base_url": "https://a.example", "config.streams!item": ["0"]}
    grown = post(owner, "/connections/new/rest", {**sent, "do": "add:config.streams"})
    assert grown.status_code == 200
    assert grown.text.count('name="config.streams!item"') == 2
    assert 'value="https://a.example"' in grown.text
    shrunk = post(owner, "/connections/new/rest", {**sent, "do": "remove:config.streams.0"})
    assert 'name="config.streams!item"' not in shrunk.text


def test_a_taken_name_is_told_on_the_form(api: Api, owner: Browser) -> None:
    connect(api)
    answer = post(owner, "/connections/new/csv", {"name": "Ours", "config.encoding": "utf-8"})
    assert answer.status_code == 409
    assert 'value="utf-8"' in answer.text


def test_settings_are_changed_but_not_over_somebody_elses_change(api: Api, owner: Browser) -> None:
    id = connect(api, config={"delimiter": ";"})
    path = f"/connections/{id}/settings"
    version = version_on(owner, path)
    same = post(owner, path, {"version": version, "name": "Ours", "config.delimiter": ";"})
    assert same.status_code == 303
    assert "Nothing was changed" in owner.open(same.headers["Location"]).text
    changed = post(owner, path, {"version": version, "name": "Yours", "config.delimiter": "|"})
    assert changed.status_code == 303
    now = api.get(f"/connections/{id}")
    assert (now["name"], now["config"]) == ("Yours", {"delimiter": "|"})
    late = post(owner, path, {"version": version, "name": "Theirs", "config.delimiter": ","})
    assert late.status_code == 409
    assert "Somebody changed this meanwhile" in late.text
    assert 'value="Theirs"' in late.text
    assert api.get(f"/connections/{id}")["name"] == "Yours"


def test_a_secret_stays_where_its_field_is_left_empty_and_goes_by_its_box(api: Api, owner: Browser) -> None:
    id = connect(api, "stripe", config={"api_key": SECRET, "webhook_secret": "canary-1"})
    path = f"/connections/{id}/settings"
    page = owner.open(path).text
    assert SECRET not in page
    assert page.count("It is set, and never shown.") == 2
    kept = {"version": version_on(owner, path), "name": "Renamed"}
    assert post(owner, path, kept).status_code == 303
    assert api.get(f"/connections/{id}")["secrets"] == ["api_key", "webhook_secret"]
    gone = {"version": version_on(owner, path), "name": "Renamed", "remove": "webhook_secret"}
    assert post(owner, path, gone).status_code == 303
    assert api.get(f"/connections/{id}")["secrets"] == ["api_key"]
    elsewhere = {"version": version_on(owner, path), "name": "Renamed", "config.base_url": "https://evil.example"}
    refused = post(owner, path, elsewhere)
    assert refused.status_code == 422
    assert "Send it again with this change." in refused.text


def test_a_webhook_secret_is_made_and_shown_once(api: Api, owner: Browser) -> None:
    id = connect(api, "webhook", config={"webhook_secret": WEBHOOK_SECRET})
    answer = post(owner, f"/connections/{id}/webhook-secret", {"secret": "", "overlap": "86400"})
    assert answer.status_code == 200
    found = re.search(r">(whsec_[A-Za-z0-9+/=]{20,})<", answer.text)
    assert found is not None
    assert found.group(1) != WEBHOOK_SECRET
    assert "serves on until" in answer.text
    assert found.group(1) not in owner.open(f"/connections/{id}").text
    bad = post(owner, f"/connections/{id}/webhook-secret", {"secret": "not base64!", "overlap": "0"})
    assert (bad.status_code, "Base64" in bad.text) == (422, True)
    assert post(owner, f"/connections/{id}/webhook-secret", {"overlap": "17"}).status_code == 422
    stripe = connect(api, "stripe", config={"api_key": SECRET, "webhook_secret": "canary-1"})
    made_there = post(owner, f"/connections/{stripe}/webhook-secret", {"secret": "", "overlap": "0"})
    assert (made_there.status_code, "the source makes this secret" in made_there.text) == (422, True)


def test_a_connection_is_disabled_resumed_and_deleted(api: Api, owner: Browser) -> None:
    id = connect(api)
    assert post(owner, f"/connections/{id}/disable", {}).status_code == 303
    page = owner.open(f"/connections/{id}").text
    assert "Disabled" in page
    assert "Sync now" not in page
    assert post(owner, f"/connections/{id}/resume", {}).status_code == 303
    assert api.get(f"/connections/{id}")["disabled_at"] is None
    stale = post(owner, f"/connections/{id}/delete", {"version": "1"})
    assert stale.status_code == 412
    answer = post(owner, f"/connections/{id}/delete", {"version": str(api.get(f"/connections/{id}")["version"])})
    assert (answer.status_code, answer.headers["Location"]) == (303, "/connections")
    assert api.get("/connections")["items"] == []


def test_imports_of_a_connection_are_listed_and_undone(api: Api, owner: Browser) -> None:
    imported = api.upload()
    id = api.get("/connections")["items"][0]["id"]
    page = owner.open(f"/connections/{id}").text
    assert "statement.csv" in page
    assert f'action="/connections/{id}/delete"' not in page
    path = f"/connections/{id}/imports/{imported['id']}/undo"
    assert post(owner, path, {}).status_code == 303
    assert api.get(f"/imports/{imported['id']}")["status"] == "undone"
    assert post(owner, path, {}).status_code == 409
    other = connect(api, name="Another")
    assert post(owner, f"/connections/{other}/imports/{imported['id']}/undo", {}).status_code == 404


def test_another_tenants_connection_is_not_there(api: Api, owner: Browser) -> None:
    other = new_tenant(api.container, api.client, "Another tenant")
    id = connect(other)
    for path in ("", "/settings", "/streams", "/log", "/deliveries", "/imports", "/state"):
        assert owner.open(f"/connections/{id}{path}").status_code == 404, path
    for act in ("sync", "check", "resume", "disable", "delete", "sign-in", "webhook-secret", "settings", "streams"):
        assert post(owner, f"/connections/{id}/{act}", {"version": "1"}).status_code == 404, act
    assert other.get(f"/connections/{id}")["disabled_at"] is None


def test_who_may_only_look_sees_no_button_and_is_refused(api: Api) -> None:
    viewer = browser_of(api, Role.VIEWER)
    id = connect(api)
    assert "/connections/new" not in viewer.open("/connections").text
    page = viewer.open(f"/connections/{id}").text
    assert f'action="/connections/{id}' not in page
    assert f"/connections/{id}/settings" not in page
    for path in ("/connections/new", "/connections/new/csv", f"/connections/{id}/settings"):
        assert viewer.open(path).status_code == 403, path
    assert post(viewer, f"/connections/{id}/disable", {}).status_code == 403


def test_hostile_texts_are_escaped_on_every_page(api: Api, owner: Browser) -> None:
    id = connect(api, name=HOSTILE, config={"mapping": {"date": HOSTILE}})
    api.call("POST", f"/imports?connection_id={id}&filename={HOSTILE}.csv", data=f"{HOSTILE}\n".encode())
    api.drain()
    for path in ("/connections", *(f"/connections/{id}{end}" for end in ("", "/settings", "/log", "/imports"))):
        page = owner.open(path)
        assert page.status_code == 200, path
        assert is_escaped(page.text), path
    assert "alert(1)" in html.unescape(owner.open("/connections").text)


def test_lists_are_filtered_and_paged(api: Api, owner: Browser) -> None:
    for n in range(26):
        connect(api, name=f"Number {n:02}")
    first = owner.open("/connections").text
    assert ("Number 24" in first, "Number 25" in first) == (True, False)
    following = re.search(r'href="(/connections\?after=[^"]+)" rel="next"', first)
    assert following is not None
    assert "Number 25" in owner.open(html.unescape(following.group(1))).text
    assert "Number 07" in owner.open("/connections?name=number+07").text
    assert "No connection fits" in owner.open("/connections?health=paused").text
    assert owner.open("/connections?after=x").status_code == 422


class TestOfAShop:
    """Of a source that is asked."""

    @pytest.fixture
    def api(self, make_shop_api: Callable[..., Api]) -> Api:
        return make_shop_api(public_url=ORIGIN)

    def test_it_is_checked_before_it_is_kept_and_streams_are_chosen(self, api: Api, owner: Browser) -> None:
        sent: dict[str, Any] = {"name": "Shop", "config.api_key": SECRET, "config.account": "a"}
        checked = post(owner, "/connections/new/shop/check", sent)
        assert checked.status_code == 200, checked.text
        assert "It can be read." in checked.text
        assert SECRET not in checked.text
        assert api.get("/connections")["items"] == []
        names = re.findall(r'name="known" value="([^"]+)"', checked.text)
        assert names
        none = post(owner, "/connections/new/shop", {**sent, "streams": "some", "known": names})
        assert (none.status_code, "Choose one at least" in none.text) == (422, True)
        made = post(owner, "/connections/new/shop", {**sent, "streams": "some", "known": names, "stream": names[:1]})
        assert made.status_code == 303
        [connection] = api.get("/connections")["items"]
        assert (connection["streams"], connection["schedule_seconds"]) == (names[:1], None)

    def test_it_is_synced_with_its_progress_and_its_cursor_shows(self, api: Api, owner: Browser) -> None:
        id = connect(api, "shop", config={"api_key": SECRET})
        assert post(owner, f"/connections/{id}/sync", {}).status_code == 303
        state = owner.open(f"/connections/{id}/state")
        assert state.json["sync"]["said"] == "waits"
        assert "data-syncing" in owner.open(f"/connections/{id}").text
        again = post(owner, f"/connections/{id}/sync", {})
        assert (again.status_code, "under way" in again.text) == (409, True)
        run_syncs(api)
        assert owner.open(f"/connections/{id}/state").json == {"health": "Works", "sync": None}
        page = owner.open(f"/connections/{id}").text
        assert "read before" in page
        assert "data-syncing" not in page
        cursors = api.get(f"/connections/{id}/health")["cursors"]
        assert cursors
        assert {"stream", "cursor", "state_version"} == set(cursors[0])
        assert (
            owner.client.get(
                f"/connections/{id}/state", base_url=ORIGIN, headers={"If-None-Match": state.headers["ETag"]}
            ).status_code
            == 200
        )

    def test_streams_are_chosen_later_too(self, api: Api, owner: Browser) -> None:
        id = connect(api, "shop", config={"api_key": SECRET})
        path = f"/connections/{id}/streams"
        page = owner.open(path).text
        names = re.findall(r'name="known" value="([^"]+)"', page)
        assert names
        chosen = {"streams": "some", "known": names, "stream": names[:1], "version": version_on(owner, path)}
        assert post(owner, path, chosen).status_code == 303
        assert api.get(f"/connections/{id}")["streams"] == names[:1]
        assert post(owner, path, chosen).status_code == 409
        every = {"streams": "all", "version": version_on(owner, path)}
        assert post(owner, path, every).status_code == 303
        assert api.get(f"/connections/{id}")["streams"] is None

    def test_what_is_wrong_and_what_to_do_stand_first(self, api: Api, owner: Browser, shop: Shop) -> None:
        shop.faults["charges", 1] = [ReauthRequired(f"401 {HOSTILE} for {SECRET}")]
        id = connect(api, "shop", config={"api_key": SECRET}, schedule_seconds=3600)
        post(owner, f"/connections/{id}/sync", {})
        run_syncs(api)
        for path in ("/connections", f"/connections/{id}"):
            page = owner.open(path).text
            assert "Waits to be connected again" in page
            assert "Connect it again, with credentials that the source accepts." in page
            assert is_escaped(page)
            assert SECRET not in page


class TestSigningIn:
    """At a source's provider, from the console and back."""

    @pytest.fixture
    def provider(self) -> Iterator[OAuthServer]:
        with OAuthServer() as provider:
            yield provider

    @pytest.fixture
    def api(self, make_container: Callable[..., Container]) -> Api:
        return new_api(make_container)

    def begun(self, api: Api, owner: Browser, provider: OAuthServer) -> tuple[str, str]:
        """The connection, and where its person was sent."""
        id = connect_bank(api, provider)
        answer = post(owner, f"/connections/{id}/sign-in", {})
        assert answer.status_code == 200
        found = re.search(r'href="([^"]+/authorize[^"]+)"', answer.text)
        assert found is not None
        return id, html.unescape(found.group(1))

    def come_back(self, owner: Browser, **query: str) -> TestResponse:
        return owner.client.get(
            "/api/v1/oauth/callback",
            query_string=query,
            base_url=ORIGIN,
            headers={"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "document"},
        )

    def test_who_comes_back_is_led_to_the_connection(self, api: Api, owner: Browser, provider: OAuthServer) -> None:
        id, url = self.begun(api, owner, provider)
        page = self.come_back(owner, **provider.sign_in(url))
        assert page.status_code == 200
        assert f'href="/connections/{id}"' in page.text
        assert page.headers["Referrer-Policy"] == "no-referrer"
        shown = owner.open(f"/connections/{id}")
        assert "is signed in." in shown.text
        assert "You may close this page" not in shown.text
        assert is_escaped(shown.text)
        assert "is signed in." not in owner.open(f"/connections/{id}").text, "it is said once"

    def test_what_went_wrong_is_said_there_too(self, api: Api, owner: Browser, provider: OAuthServer) -> None:
        id, url = self.begun(api, owner, provider)
        state = provider.sign_in(url)["state"]
        page = self.come_back(owner, state=state, error="access_denied")
        assert f'href="/connections/{id}"' in page.text
        assert "did not let you sign in" in owner.open(f"/connections/{id}").text

    def test_who_began_elsewhere_gets_the_plain_page(self, api: Api, owner: Browser, provider: OAuthServer) -> None:
        id = connect_bank(api, provider)
        url = api.post(f"/connections/{id}/oauth/start")["url"]
        page = self.come_back(owner, **provider.sign_in(url))
        assert "You may close this page" in page.text
        owner.client.set_cookie("__Host-sortation-connecting", "//evil.example", domain="sort.example", secure=True)
        odd = self.come_back(owner, state="x", code="y")
        assert "evil" not in odd.text
        assert odd.status_code == 422

    def test_a_connection_that_nobody_signs_in_for_says_so(
        self, api: Api, owner: Browser, provider: OAuthServer
    ) -> None:
        id = connect_bank(api, provider, "plain")
        refused = post(owner, f"/connections/{id}/sign-in", {})
        assert (refused.status_code, "nobody signs in" in refused.text) == (409, True)
        bare = connect_bank(api, provider, name="Bare", client_id="")
        lacking = post(owner, f"/connections/{bare}/sign-in", {})
        assert (lacking.status_code, "client_id is missing" in lacking.text) == (422, True)
