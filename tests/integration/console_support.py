"""People of each role at the console, over real storage."""

from __future__ import annotations

import re
from collections.abc import Mapping

from flask import Flask
from werkzeug.test import TestResponse

from core.domain.permissions import Role
from core.domain.tenants import Membership, User
from tests.integration.api_support import Api
from tests.integration.test_console_sign_in import PASSWORD, Browser

SCRIPT, IMAGE = "<script>alert(1)</script>", '"><img src=x onerror=alert(1)>'
HOSTILE = f"{SCRIPT} {IMAGE}"


def browser_of(api: Api, role: Role) -> Browser:
    """That of somebody who has the role, signed in."""
    container, now = api.container, api.container.clock().now()
    user = User(id=container.ids().new(), email=f"{role}@example.org", name="Ada", created_at=now)
    with container.uow().begin(api.actor) as tx:
        tx.members.add(user, Membership(tenant_id=api.tenant_id, user_id=user.id, role=role))
        tx.commit()
    container.people().put_password(user.id, container.hasher().hash(PASSWORD), now)
    app: Flask = api.client.application
    browser = Browser(app)
    browser.sign_in(email=user.email)
    return browser


def version_on(page: TestResponse) -> str:
    """That which the page's forms were made of."""
    found = re.search(r'name="version" value="(\d+)"', page.text)
    assert found is not None
    return found[1]


def send(browser: Browser, page: str, fields: Mapping[str, str], to: str) -> TestResponse:
    """The form as it stands on the page now, with its version."""
    return browser.send(page, {"version": version_on(browser.open(page)), **fields}, to)


def is_harmless(page: TestResponse) -> bool:
    """Whether hostile texts stand in the page as what they are: text."""
    return SCRIPT not in page.text and "<img src=x" not in page.text and "&lt;script&gt;alert(1)" in page.text
