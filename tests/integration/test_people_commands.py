"""`sortation people`: each command as the operator gives it, and what becomes of the person."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from typer.testing import CliRunner

from core.errors import Conflict, NotFound
from entrypoints.api.app import create_app
from entrypoints.cli import people
from entrypoints.container import Container
from tests.integration.api_support import Api, new_tenant
from tests.integration.test_console_second_factor import enrol
from tests.integration.test_console_sign_in import ORIGIN, OWNER, PASSWORD, Browser

ISSUER = "https://id.example"
Give = Callable[..., str]


@pytest.fixture
def api(make_container: Callable[..., Container], monkeypatch: pytest.MonkeyPatch) -> Api:
    container = make_container(embeddings="off", public_url=ORIGIN)
    monkeypatch.setattr(people, "container", lambda: container)
    return new_tenant(container, create_app(container).test_client())


@pytest.fixture
def give(api: Api) -> Give:
    def give(*arguments: str) -> str:
        done = CliRunner().invoke(people.app, arguments, catch_exceptions=False)
        assert done.exit_code == 0, done.output
        return done.output.strip()

    return give


def told(api: Api, type: str) -> list[dict[str, Any]]:
    api.container.seal_events()
    found: list[dict[str, Any]] = api.get(f"/events?type={type}")["items"]
    return found


def let_in(api: Api, give: Give) -> Browser:
    """The owner, who came by the link that sets their password."""
    browser = Browser(api.client.application)
    link = give("password", OWNER)
    assert link.startswith(f"{ORIGIN}/password/")
    assert browser.send(link.removeprefix(ORIGIN), {"password": PASSWORD}).status_code == 303
    return browser


def test_a_link_sets_a_password_and_is_told(api: Api, give: Give) -> None:
    assert let_in(api, give).open("/account").status_code == 200
    [event] = told(api, "PASSWORD_LINK_MADE")
    assert event["actor"] == "operator"
    assert event["user_agent"].startswith("sortation people password (")


def test_somebody_is_invited_and_becomes_what_was_said(api: Api, give: Give) -> None:
    link = give("invite", "ben@example.org", "--tenant", str(api.tenant_id), "--role", "reviewer")
    new = {"name": "Ben", "password": PASSWORD}
    assert Browser(api.client.application).send(link.removeprefix(ORIGIN), new).status_code == 303
    roles = {member["email"]: member["role"] for member in api.get("/members")["items"]}
    assert roles == {OWNER: "owner", "ben@example.org": "reviewer"}


def test_who_is_signed_out_is_so_everywhere(api: Api, give: Give) -> None:
    browser = let_in(api, give)
    assert give("sign-out", " Owner@Example.com ") == "Ended 1 session."
    assert browser.open("/account").status_code == 303
    assert give("sign-out", OWNER) == "Ended 0 sessions."
    assert [event["actor"] for event in told(api, "SESSION_ENDED")] == ["operator"]


def test_what_was_linked_is_unlinked(api: Api, give: Give) -> None:
    storage, now = api.container.people(), api.container.clock().now()
    user = api.container.list_members(api.actor)[0][0]
    storage.add_identity(ISSUER, "sub-1", user.id, now)
    assert give("unlink", OWNER) == f"Unlinked: {ISSUER}."
    assert storage.user_of_identity(ISSUER, "sub-1") is None
    assert give("unlink", OWNER) == "Nothing was linked."
    assert [event["payload"] for event in told(api, "IDENTITY_UNLINKED")] == [{"via": ISSUER}]


def test_a_lost_second_factor_is_removed(api: Api, give: Give) -> None:
    browser = let_in(api, give)
    assert give("second-factor", OWNER) == "off"
    enrol(browser)
    assert give("second-factor", OWNER) == "on"
    assert give("second-factor", OWNER, "--remove").startswith("Removed")
    assert give("second-factor", OWNER) == "off"
    assert browser.open("/account").status_code == 303
    assert browser.sign_in().headers["Location"] == "/account"


def test_what_is_known_of_somebody_is_given_out_and_erased(api: Api, give: Give) -> None:
    let_in(api, give)
    kinds = {json.loads(line)["kind"] for line in give("export", OWNER).splitlines()}
    assert {"users", "memberships", "local_accounts", "sessions", "known_devices"} <= kinds
    with pytest.raises(Conflict, match="the only owner"):
        give("erase", OWNER)
    link = give("invite", "ben@example.org", "--tenant", str(api.tenant_id))
    new = {"name": "Ben", "password": PASSWORD}
    Browser(api.client.application).send(link.removeprefix(ORIGIN), new)
    assert give("erase", OWNER) == "Erased."
    assert [member["email"] for member in api.get("/members")["items"]] == ["ben@example.org"]


@pytest.mark.parametrize("command", ["password", "sign-out", "unlink", "export", "erase"])
def test_of_nobody_there_is_nothing_to_do(give: Give, command: str) -> None:
    with pytest.raises(NotFound, match="nobody has this e-mail address"):
        give(command, "nobody@example.org")
