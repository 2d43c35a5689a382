"""Endpoints at the console: made, tried out, changed, and what they were told."""

from __future__ import annotations

import html
import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import pytest
from dependency_injector import providers
from werkzeug.test import TestResponse

from core.domain.events import EventType
from core.domain.notifications import DisabledReason
from core.domain.permissions import Role
from entrypoints.api.app import create_app
from entrypoints.container import Container
from tests.integration.api_support import Api, new_tenant
from tests.integration.console_support import HOSTILE, IMAGE, SCRIPT, browser_of, is_harmless, version_on
from tests.integration.test_console_sign_in import ORIGIN, Browser
from tests.integration.test_notifications import IN, deliveries, endpoint, happens, send, verified
from tests.stubs.scripted_http import Answer, ScriptedServer

pytestmark = pytest.mark.slow

HERE = "/settings/notifications"
URL = "https://hooks.example.com/services/canary"


@pytest.fixture
def receiver() -> Iterator[ScriptedServer]:
    with ScriptedServer() as server:
        yield server.script("POST", IN, Answer(status=204))


@pytest.fixture
def api(make_container: Callable[..., Container]) -> Api:
    container = make_container(embeddings="off", public_url=ORIGIN, http_allow=("127.0.0.1",))
    return new_tenant(container, create_app(container).test_client())


@pytest.fixture
def admin(api: Api) -> Browser:
    return browser_of(api, Role.ADMIN)


def form(**changed: Any) -> dict[str, Any]:
    typed = {"name": "Pager", "url": URL, "topics": ["failures", "queue"], "digest": "none", "digest_hour": "8"}
    return {**typed, **changed}


def listed(api: Api) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = api.get("/notifications/endpoints")["items"]
    return found


def text(page: TestResponse) -> str:
    return html.unescape(page.text)


def secret_on(page: TestResponse) -> str:
    found = re.search(r">(whsec_[A-Za-z0-9+/=]{40,})<", page.text)
    assert found is not None, page.text
    return found[1]


def changed_to(api: Api, id: str, **fields: Any) -> None:
    """As time and the receiver made it."""
    with api.container.uow().begin(api.actor) as tx:
        tx.endpoints.note(replace(tx.endpoints.get(UUID(id), lock=True), **fields))
        tx.commit()


def test_without_an_endpoint_the_page_teaches(admin: Browser) -> None:
    page = admin.open(HERE)
    assert (page.status_code, "Nobody is told of anything" in page.text) == (200, True)
    assert f'href="{HERE}/new/webhook"' in page.text


def test_a_webhook_is_made_its_secret_shown_once_and_it_signs(
    api: Api, admin: Browser, receiver: ScriptedServer
) -> None:
    new = admin.open(f"{HERE}/new/webhook")
    once = re.search(r'name="once" value="([0-9a-f-]{36})"', new.text)
    assert once is not None
    assert "No limit of the queue is set" in new.text
    sent = form(url=receiver.url + IN, once=once[1])
    page = admin.send(f"{HERE}/new/webhook", sent)
    assert (page.status_code, page.headers["Cache-Control"]) == (200, "no-store")
    secret = secret_on(page)
    [made] = listed(api)
    assert (made["name"], made["topics"], made["digest"]) == ("Pager", ["failures", "queue"], "none")
    again = admin.send(f"{HERE}/new/webhook", sent)
    assert (again.status_code, len(listed(api))) == (303, 1), "a form that is sent twice makes one"
    happens(api)
    assert send(api) == 1
    assert verified(receiver.asked(IN)[0], secret)["type"] == "import.failed"
    here = f"{HERE}/{made['id']}"
    for path in (HERE, here, f"{here}/change", f"{here}/state", "/events"):
        assert secret not in admin.open(path).text, path
    shown = text(admin.open(here))
    assert "An import failed" in shown
    assert "204: it was taken" in shown
    assert "Works" in shown


def test_what_does_not_hold_is_told_beside_its_field_and_nothing_typed_is_lost(api: Api, admin: Browser) -> None:
    for url in ("ftp://example.org", "https://", "https://ada:canary@example.org/", f"https://x/{IMAGE}"):
        wrong = admin.send(f"{HERE}/new/webhook", form(url=url, topics=["reports"]))
        assert (wrong.status_code, 'id="url-error"' in wrong.text) == (422, True), url
        assert html.escape(url).replace("&#x27;", "&#39;").replace("&quot;", "&#34;") in wrong.text
    bad = {"name": "x" * 201, "url": SCRIPT, "digest": IMAGE, "digest_hour": "24", "topics": [SCRIPT]}
    wrong = admin.send(f"{HERE}/new/webhook", bad)
    assert wrong.status_code == 422
    assert is_harmless(wrong)
    for name in ("name", "url", "topics", "digest", "digest_hour"):
        assert f'id="{name}-error"' in wrong.text, name
    assert listed(api) == []
    assert admin.open(f"{HERE}/new/pigeon").status_code == 404


def test_a_member_is_written_to(api: Api, admin: Browser) -> None:
    assert "This installation sends no mail" in admin.open(f"{HERE}/new/mail").text
    [person] = [one for one in api.get("/members")["items"] if one["email"] == "owner@example.com"]
    typed = {
        "name": "Owner",
        "user_id": person["user_id"],
        "topics": ["promise"],
        "digest": "daily",
        "digest_hour": "7",
    }
    refused = admin.send(f"{HERE}/new/webhook", typed, f"{HERE}/new/mail")
    assert (refused.status_code, "This installation sends no mail" in refused.text) == (409, True)
    api.container.mailer.override(providers.Object(object()))
    for stranger in ("", SCRIPT, str(api.tenant_id)):
        wrong = admin.send(f"{HERE}/new/mail", typed | {"user_id": stranger})
        assert (wrong.status_code, 'id="user_id-error"' in wrong.text) == (422, True)
    made = admin.send(f"{HERE}/new/mail", typed)
    assert made.status_code == 303
    page = text(admin.open(made.headers["Location"]))
    assert "owner@example.com" in page
    assert "Once a day, at 7:00 in Europe/Berlin" in page
    assert "Its secret" not in page
    assert "mail to owner@example.com" in text(admin.open(HERE))


def test_an_endpoint_is_changed_but_not_over_somebody_elses_change(
    api: Api, admin: Browser, receiver: ScriptedServer
) -> None:
    id = endpoint(api, receiver)["id"]
    path = f"{HERE}/{id}/change"
    page = admin.open(path)
    version = version_on(page)
    as_it_is = form(url=receiver.url + IN, topics=["failures"], version=version)
    assert admin.send(path, as_it_is).status_code == 303
    assert "Nothing was changed." in admin.open(f"{HERE}/{id}").text
    assert admin.send(path, form(name="Bell", url=URL, version=version)).status_code == 303
    [now] = listed(api)
    assert (now["name"], now["url"], now["topics"]) == ("Bell", URL, ["failures", "queue"])
    late = admin.send(path, form(name="Late", version=version))
    assert (late.status_code, 'value="Late"' in late.text) == (409, True)
    assert "Somebody changed this meanwhile" in late.text
    assert listed(api)[0]["name"] == "Bell"


def test_a_test_is_sent_and_followed(api: Api, admin: Browser, receiver: ScriptedServer) -> None:
    id = endpoint(api, receiver)["id"]
    here = f"{HERE}/{id}"
    sent = admin.send(here, {}, f"{here}/test")
    assert sent.status_code == 303
    watched = sent.headers["Location"].split("#")[0]
    assert "It is on its way" in admin.open(watched).text
    before = admin.open(f"{here}/state")
    assert before.json["goes_on"] is True
    headers = {"If-None-Match": before.headers["ETag"]}
    assert admin.client.get(f"{here}/state", base_url=ORIGIN, headers=headers).status_code == 304
    send(api)
    after = admin.open(f"{here}/state")
    assert (after.json["goes_on"], after.json["now"] != before.json["now"]) == (False, True)
    assert "It arrived: 204: it was taken" in text(admin.open(watched))


def test_a_failure_says_what_came_of_each_try_and_is_sent_again(
    api: Api, admin: Browser, receiver: ScriptedServer
) -> None:
    receiver.script("POST", IN, Answer(status=500), Answer(status=204))
    made = endpoint(api, receiver)
    here = f"{HERE}/{made['id']}"
    happens(api)
    send(api)
    page = text(admin.open(here))
    assert "to be tried again" in page
    assert "500: it was refused" in page
    assert "Failing" in page
    [delivery] = deliveries(api, made)
    assert f'id="delivery-{delivery["id"]}"' in page
    again = admin.send(here, {}, f"{here}/deliveries/{delivery['id']}/redeliver")
    assert (again.status_code, delivery["id"] in again.headers["Location"]) == (303, True)
    send(api)
    assert deliveries(api, made)[0]["status"] == "delivered"
    many = admin.send(here, {"since": "2020-01-01"}, f"{here}/redeliver")
    assert many.status_code == 303
    assert "Nothing has failed since then." in admin.open(here).text
    for day in ("", "soon", "0001-01-01", SCRIPT):
        assert admin.send(here, {"since": day}, f"{here}/redeliver").status_code in (303, 422), day
    assert admin.send(here, {"since": "soon"}, f"{here}/redeliver").status_code == 422


def test_why_it_is_disabled_stands_there_in_words(api: Api, admin: Browser, receiver: ScriptedServer) -> None:
    id = endpoint(api, receiver)["id"]
    here, now = f"{HERE}/{id}", datetime.now(UTC)
    for reason, said in (
        (DisabledReason.GONE, "The receiver answered 410"),
        (DisabledReason.FAILING, "Nothing arrived for five days"),
        (DisabledReason.ASKED, "Somebody paused it"),
    ):
        changed_to(api, id, disabled_at=now, disabled_reason=reason)
        for path in (here, HERE):
            assert said in admin.open(path).text, (reason, path)
    assert admin.send(here, {"since": "2026-01-01"}, f"{here}/redeliver").status_code == 409
    assert admin.send(here, {}, f"{here}/enable").status_code == 303
    assert "Pause it" in admin.open(here).text
    assert admin.send(here, {}, f"{here}/disable").status_code == 303
    assert listed(api)[0]["disabled_reason"] == "asked"


def test_another_secret_is_made_and_shown_once(api: Api, admin: Browser, receiver: ScriptedServer) -> None:
    made = endpoint(api, receiver)
    here = f"{HERE}/{made['id']}"
    page = admin.send(here, {"overlap": "3600"}, f"{here}/rotate")
    assert page.status_code == 200
    secret = secret_on(page)
    assert secret != made["secret"]
    assert "signs beside it until" in page.text
    at_once = admin.send(here, {"overlap": "0"}, f"{here}/rotate")
    assert "signs nothing any more" in at_once.text
    assert admin.send(here, {"overlap": "17"}, f"{here}/rotate").status_code == 422


def test_an_endpoint_is_deleted_as_it_was_seen(api: Api, admin: Browser, receiver: ScriptedServer) -> None:
    id = endpoint(api, receiver)["id"]
    here = f"{HERE}/{id}"
    version = version_on(admin.open(here))
    admin.send(f"{here}/change", form(name="Other", version=version))
    assert admin.send(here, {"version": version}, f"{here}/delete").status_code == 409
    gone = admin.send(here, {"version": version_on(admin.open(here))}, f"{here}/delete")
    assert (gone.status_code, gone.headers["Location"]) == (303, HERE)
    assert admin.open(here).status_code == 404


def test_many_endpoints_and_deliveries_are_paged(api: Api, admin: Browser, receiver: ScriptedServer) -> None:
    made = [endpoint(api, receiver, name=f"No {n:02}") for n in range(50)]
    page = admin.open(HERE)
    assert page.text.count("<li data-row") == 25
    assert "There are 50 endpoints" in page.text
    assert f'href="{HERE}/new/webhook"' not in page.text
    following = re.search(r'href="([^"]+)" rel="next"', page.text)
    assert following is not None
    assert admin.open(html.unescape(following[1])).text.count("<li data-row") == 25
    assert admin.send(f"{HERE}/new/webhook", form()).status_code == 409
    here = f"{HERE}/{made[0]['id']}"
    for _ in range(27):
        api.container.test_endpoint(api.actor, UUID(made[0]["id"]))
    page = admin.open(here)
    assert page.text.count("data-row") == 25
    following = re.search(r'href="([^"]+)" rel="next"', page.text)
    assert following is not None
    assert admin.open(html.unescape(following[1])).text.count("data-row") == 2


def test_hostile_names_and_data_stay_text(api: Api, admin: Browser, receiver: ScriptedServer) -> None:
    made = endpoint(api, receiver, name=HOSTILE, url=f"{receiver.url}{IN}?{SCRIPT.replace(' ', '')}")
    happens(api, EventType.PROMISE_AT_RISK, stage=HOSTILE)
    api.call("PATCH", f"/notifications/endpoints/{made['id']}", {"topics": ["promise"]})
    happens(api, EventType.PROMISE_AT_RISK, stage=HOSTILE)
    send(api)
    for path in (HERE, f"{HERE}/{made['id']}", f"{HERE}/{made['id']}/change"):
        assert is_harmless(admin.open(path)), path


def test_others_see_none_of_it(api: Api, receiver: ScriptedServer) -> None:
    id = endpoint(api, receiver)["id"]
    for role in (Role.VIEWER, Role.REVIEWER):
        browser = browser_of(api, role)
        assert browser.open(HERE).status_code == 403
        assert "/settings/notifications" not in browser.open("/settings").text
    stranger = browser_of(new_tenant(api.container, api.client, "Another"), Role.ADMIN)
    assert stranger.open(f"{HERE}/{id}").status_code == 404
    assert stranger.open(f"{HERE}/{id}/state").status_code == 404
    for act in ("test", "enable", "disable", "rotate", "delete", "redeliver", "change"):
        fields = {"version": "1", "overlap": "0", "since": "2026-01-01"}
        assert stranger.send("/account", fields, f"{HERE}/{id}/{act}").status_code == 404, act
    assert listed(api)[0]["disabled_at"] is None
