"""Where the tenant is told of what happened: all endpoints, a new one, and what one is."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any
from uuid import UUID, uuid4

from flask import Blueprint, Response, request
from werkzeug.wrappers import Response as AnyResponse

from core.domain.endpoint_checks import MAX_NAME, MOST_ENDPOINTS, check_endpoint_name, check_url
from core.domain.notifications import Digest, Endpoint, EndpointKind, Topic
from core.domain.permissions import Permission
from core.domain.tenants import Actor, Idempotency, Tenant, User
from core.errors import Conflict, IdempotencyReplay, Invalid, NotFound, SortationError, VersionMismatch
from entrypoints.api.state import container
from entrypoints.console.asked import asked_id, following
from entrypoints.console.fields import STALE, sent_version
from entrypoints.console.guard import me, page_for
from entrypoints.console.settings.endpoint_words import DIGESTS, TOPICS, place_of, standing, told_when
from entrypoints.console.settings.sections import PATH, show_section
from entrypoints.console.settings.typed import Typed, status_of, wrong_of
from entrypoints.console.shell import done
from entrypoints.console.words import as_sentence

blp = Blueprint("settings_endpoints", __name__)
HERE = f"{PATH}/notifications"
SHOWN = 25


@blp.get(HERE)
@page_for(Permission.NOTIFICATIONS_READ)
def endpoints() -> Response:
    every: Sequence[Endpoint] = container().list_endpoints(me())
    after = asked_id("after")
    rest = [one for one in every if after is None or one.id > after]
    shown = rest[:SHOWN]
    tenant: Tenant = container().get_tenant(me())
    return show_section(
        "settings/endpoints.html",
        endpoints=[(one, standing(one), told_when(one, tenant.time_zone), place_of(one)) for one in shown],
        people=people(),
        topics=TOPICS,
        full=len(every) >= MOST_ENDPOINTS,
        most=MOST_ENDPOINTS,
        more=following(HERE, shown[-1].id) if len(rest) > SHOWN else None,
    )


@blp.get(f"{HERE}/new/<kind>")
@page_for(Permission.NOTIFICATIONS_WRITE)
def new(kind: str) -> Response:
    return _form(_kind(kind), None)


@blp.post(f"{HERE}/new/<kind>")
@page_for(Permission.NOTIFICATIONS_WRITE)
def create(kind: str) -> AnyResponse:
    """The secret is on the page that answers, and on no other one: what is sent twice is refused the second time."""
    wanted, typed = _kind(kind), Typed()
    try:
        fields = _read(typed, wanted)
        if wanted is EndpointKind.MAIL:
            fields["user_id"] = _person(typed)
        typed.check()
        endpoint, secret = container().create_endpoint(_once(), kind=wanted, **fields)
    except IdempotencyReplay:
        return done(HERE, "This was sent already: see below. If you lost its secret, make another one.", "info")
    except (Invalid, Conflict) as error:
        return _form(wanted, None, error)
    if secret is None:
        return done(f"{HERE}/{endpoint.id}", f"“{endpoint.name}” is told from now on.")
    return show_section("settings/endpoint_secret.html", endpoint=endpoint, secret=secret, made=True, until=None)


@blp.get(f"{HERE}/<uuid:endpoint_id>/change")
@page_for(Permission.NOTIFICATIONS_WRITE)
def edit(endpoint_id: UUID) -> Response:
    endpoint: Endpoint = container().get_endpoint(me(), endpoint_id)
    return _form(endpoint.kind, endpoint)


@blp.post(f"{HERE}/<uuid:endpoint_id>/change")
@page_for(Permission.NOTIFICATIONS_WRITE)
def change(endpoint_id: UUID) -> AnyResponse:
    endpoint: Endpoint = container().get_endpoint(me(), endpoint_id)
    typed = Typed()
    try:
        version, given = sent_version(), _read(typed, endpoint.kind)
        typed.check()
        changes = {name: value for name, value in given.items() if value != getattr(endpoint, name)}
        if not changes:
            return done(f"{HERE}/{endpoint_id}", "Nothing was changed.", "info")
        container().change_endpoint(me(), endpoint_id, changes, version=version)
    except (Invalid, VersionMismatch) as error:
        return _form(endpoint.kind, endpoint, error)
    return done(f"{HERE}/{endpoint_id}", "Saved.")


def people() -> Mapping[UUID, User]:
    """The members, by id."""
    return {user.id: user for user, _ in container().list_members(me())}


def _form(kind: EndpointKind, endpoint: Endpoint | None, error: SortationError | None = None) -> Response:
    """Empty, filled with what there is, or with what was typed and what is wrong with it."""
    typed = _filled(endpoint) if error is None else _sent()
    version: Any = endpoint.version if endpoint is not None else ""
    return show_section(
        "settings/endpoint_form.html",
        status_of(error),
        kind=kind,
        endpoint=endpoint,
        typed=typed,
        version=version if error is None else request.form.get("version", ""),
        once=uuid4() if error is None else request.form.get("once", ""),
        people=people(),
        topics=TOPICS,
        digests=DIGESTS,
        tenant=container().get_tenant(me()),
        mails=container().mailer() is not None,
        problem=STALE if isinstance(error, VersionMismatch) else "" if error is None else str(error),
        wrong=wrong_of(error),
    )


def _read(typed: Typed, kind: EndpointKind) -> dict[str, Any]:
    """What both a new endpoint and a changed one have."""
    name, hour = typed.text("name"), typed.whole("digest_hour", 0, 23)
    try:
        name = check_endpoint_name(name)
    except Invalid:
        typed.refuse("name", f"A name has 1 to {MAX_NAME} characters.")
    ticked = set(request.form.getlist("topics"))
    topics = tuple(topic for topic in Topic if topic.value in ticked)
    if not topics:
        typed.refuse("topics", "Choose one at least: it would be told nothing.")
    digest = request.form.get("digest", Digest.NONE.value)
    if digest not in {one.value for one in Digest}:
        typed.refuse("digest", "Choose one of the list.")
        digest = Digest.NONE.value
    fields: dict[str, Any] = {"name": name, "topics": topics, "digest": Digest(digest), "digest_hour": hour or 0}
    if kind is EndpointKind.WEBHOOK:
        fields["url"] = typed.text("url")
        try:
            check_url(fields["url"])
        except Invalid as error:
            typed.refuse("url", as_sentence(error))
    return fields


def _person(typed: Typed) -> UUID | None:
    try:
        person = UUID(typed.text("user_id"))
    except ValueError:
        person = None
    if person not in people():
        typed.refuse("user_id", "Choose one of the members.")
    return person


def _once() -> Actor:
    """The actor of a form that is carried out once, however often it is sent."""
    given = request.form.get("once", "")
    digest = hashlib.sha256(repr(sorted(request.form.items(multi=True))).encode()).hexdigest()
    return replace(me(), idempotency=Idempotency(key=f"form-{given}", request_digest=digest)) if given else me()


def _kind(given: str) -> EndpointKind:
    try:
        return EndpointKind(given)
    except ValueError:
        raise NotFound("there are webhooks and mail") from None


def _filled(endpoint: Endpoint | None) -> Mapping[str, Any]:
    if endpoint is None:
        failures = [Topic.FAILURES.value, Topic.REAUTH.value, Topic.PROMISE.value]
        return {"name": "", "url": "", "user_id": "", "topics": failures, "digest": "none", "digest_hour": "8"}
    return {
        "name": endpoint.name,
        "url": endpoint.url or "",
        "user_id": str(endpoint.user_id or ""),
        "topics": [topic.value for topic in endpoint.topics],
        "digest": endpoint.digest.value,
        "digest_hour": str(endpoint.digest_hour),
    }


def _sent() -> Mapping[str, Any]:
    return {**request.form.to_dict(), "topics": request.form.getlist("topics")}
