"""Who may call what: each view is declared by `@needs(...)` or `@public`, and nothing else answers."""

from __future__ import annotations

import hmac
import re
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any, TypeVar
from uuid import UUID

import structlog
from flask import Flask, current_app, g, request

from core.domain.permissions import PAID_FOR, Permission
from core.domain.tenants import DEFAULT_SOURCE_AGENT, OPERATOR, Actor
from core.errors import Forbidden, Invalid, NotFound, Transient, Unauthenticated
from core.usecases.shared.people import Caller
from entrypoints.api.access import Access, access_of, bearer_token
from entrypoints.api.denials import note
from entrypoints.api.limits import count_caller
from entrypoints.api.state import container

View = TypeVar("View", bound=Callable[..., Any])
DEVICE_COOKIE = "__Host-sortation-device"
"""By which a browser is known that somebody signed in with, so that strangers do not lock them out there. It proves
nobody: who counts wrong passwords and codes looks at it, and nothing else does."""
TOUCH_SECONDS = 60
MAX_USER_AGENT = 300
_MOST_TOUCHED = 10_000
_READING = frozenset({"GET", "HEAD", "OPTIONS"})
_AGENT = re.compile(r"[a-z0-9_.-]{1,64}")
log = structlog.get_logger("sortation.api")


def needs(permission: Permission | None = None, *, operator: bool = False) -> Callable[[View], View]:
    def declare(view: View) -> View:
        granted = operator or permission is Permission.OPERATOR
        view.access = Access(permission=permission, operator=granted)  # type: ignore[attr-defined]
        return view

    return declare


def public(view: View) -> View:
    view.access = Access(public=True)  # type: ignore[attr-defined]
    return view


def page(view: View) -> View:
    """A page of the console: neither API keys nor the operator's key open it, and sessions open nothing else. Query
    parameters that it does not know are none of its business: people come from anywhere."""
    view.foreign_query = True  # type: ignore[attr-defined]
    view.access = Access(console=True)  # type: ignore[attr-defined]
    return view


def check_declared(app: Flask) -> None:
    """Raises `RuntimeError` as `access_of` does, for any view."""
    for rule in app.url_map.iter_rules():
        access_of(app, rule.endpoint)


def authorise() -> None:
    """Before each request. Raises `Unauthenticated`, `Forbidden`, or `NotFound` for what only the operator has."""
    if request.endpoint is None:
        return
    access = access_of(current_app, request.endpoint)
    if not access.by_token:
        return
    token = bearer()
    if hmac.compare_digest(token.encode(), container().settings().operator_key.encode()):
        if not access.operator:
            raise Forbidden("the operator's key opens the operator's routes only: use an API key of a tenant")
        _source_agent()
        g.operator = True
        return
    try:
        actor = _person(token) if token.count(".") == 2 else _program(token)
    except (Unauthenticated, Forbidden) as error:
        note(error, "credential refused")
        raise
    if access.permission is Permission.OPERATOR:
        raise NotFound
    structlog.contextvars.bind_contextvars(tenant_id=str(actor.tenant_id))
    g.tenant_id, g.actor = str(actor.tenant_id), actor
    if access.permission is not None:
        actor.require(access.permission)
    if access.permission in PAID_FOR and request.method not in _READING:
        container().check_may_work(actor)
    if actor.api_key_id is not None:
        _touch(actor, actor.api_key_id)


def caller() -> Caller:
    """From where the request comes."""
    agent = request.headers.get("User-Agent", "")[:MAX_USER_AGENT]
    device = request.cookies.get(DEVICE_COOKIE)
    return Caller(address=request.remote_addr or "", user_agent=agent, request_id=g.request_id, device=device)


def _program(token: str) -> Actor:
    key, here = container().authenticate(token), caller()
    count_caller("key", key.id)
    return Actor(
        tenant_id=key.tenant_id,
        name=OPERATOR if key.operators else f"key {key.name}",
        permissions=key.scopes,
        api_key_id=key.id,
        source_agent=_source_agent(),
        request_id=here.request_id,
        address=here.address,
        user_agent=here.user_agent,
    )


def _person(token: str) -> Actor:
    """Whose bearer token an identity provider made, in the tenant that they name."""
    named = request.headers.get("X-Tenant-Id")
    try:
        tenant_id = None if named is None else UUID(named)
    except ValueError:
        raise Invalid("X-Tenant-Id is a tenant's id") from None
    actor = container().authenticate_token(token, tenant_id, caller())
    if actor.user_id is not None:
        count_caller("person", actor.user_id)
    return replace(actor, source_agent=_source_agent())


def bearer() -> str:
    """The token that the request carries. Raises `Unauthenticated`."""
    token = bearer_token()
    if not token:
        raise Unauthenticated
    return token


def _source_agent() -> str:
    given = request.headers.get("X-Source-Agent")
    if given is not None and not _AGENT.fullmatch(given):
        raise Invalid("X-Source-Agent has 1 to 64 characters of a-z, 0-9, '_', '.' and '-'")
    return given or DEFAULT_SOURCE_AGENT


def _touch(actor: Actor, key_id: UUID) -> None:
    """Notes the use of the key, once in a while: reading must not cost a write."""
    touched: dict[UUID, float] = current_app.extensions["sortation.touched"]
    now = time.monotonic()
    if now - touched.get(key_id, -TOUCH_SECONDS) < TOUCH_SECONDS:
        return
    if len(touched) >= _MOST_TOUCHED:
        touched.clear()
    touched[key_id] = now
    try:
        container().touch_key(actor)
    except Transient as error:
        log.warning("use of a key not noted", error=str(error))
