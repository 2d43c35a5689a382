"""An endpoint: how it is, what it was told, and what is done to it by its buttons."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from uuid import UUID

from flask import Blueprint, Response, request
from werkzeug.wrappers import Response as AnyResponse

from core.domain.notifications import Endpoint, Notification
from core.domain.permissions import Permission
from core.domain.tenants import Tenant
from core.errors import Conflict, Invalid, SecretUnreadable, SortationError, VersionMismatch
from entrypoints.api.limits import Kind, limited
from entrypoints.api.responses import json_response, polled
from entrypoints.api.state import container
from entrypoints.console.asked import asked_id, day_in, following
from entrypoints.console.fields import CHANGED, sent_version
from entrypoints.console.guard import me, page_for
from entrypoints.console.settings.endpoint_words import (
    OVERLAPS,
    TOPICS,
    goes_on,
    result,
    sent,
    standing,
    told_when,
)
from entrypoints.console.settings.endpoints import HERE, people
from entrypoints.console.settings.sections import show_section
from entrypoints.console.settings.typed import status_of
from entrypoints.console.shell import done

blp = Blueprint("settings_endpoint", __name__)
SHOWN = 25
_REFUSALS = (Conflict, Invalid, SecretUnreadable, VersionMismatch)


@blp.get(f"{HERE}/<uuid:endpoint_id>")
@page_for(Permission.NOTIFICATIONS_READ)
def endpoint(endpoint_id: UUID) -> Response:
    return endpoint_page(endpoint_id)


@blp.get(f"{HERE}/<uuid:endpoint_id>/state")
@page_for(Permission.NOTIFICATIONS_READ)
def endpoint_state(endpoint_id: UUID) -> Response:
    """What becomes of the newest deliveries, for the page that is open: `now` changes with any of them."""
    polled()
    found: Sequence[Notification] = container().list_notifications(me(), endpoint_id, before=None, limit=SHOWN)
    return json_response({"now": _now(found), "goes_on": goes_on(found, container().clock().now())})


@blp.post(f"{HERE}/<uuid:endpoint_id>/test")
@limited(Kind.COSTLY)
@page_for(Permission.NOTIFICATIONS_WRITE)
def test(endpoint_id: UUID) -> AnyResponse:
    told: Notification = container().test_endpoint(me(), endpoint_id)
    return done(f"{HERE}/{endpoint_id}?sent={told.id}#deliveries", "A test is on its way.", "info")


@blp.post(f"{HERE}/<uuid:endpoint_id>/enable")
@page_for(Permission.NOTIFICATIONS_WRITE)
def enable(endpoint_id: UUID) -> AnyResponse:
    container().enable_endpoint(me(), endpoint_id)
    return done(f"{HERE}/{endpoint_id}", "It is told of what happens from now on.")


@blp.post(f"{HERE}/<uuid:endpoint_id>/disable")
@page_for(Permission.NOTIFICATIONS_WRITE)
def disable(endpoint_id: UUID) -> AnyResponse:
    container().disable_endpoint(me(), endpoint_id)
    return done(f"{HERE}/{endpoint_id}", "It is told nothing until it is enabled again.")


@blp.post(f"{HERE}/<uuid:endpoint_id>/delete")
@page_for(Permission.NOTIFICATIONS_WRITE)
def delete(endpoint_id: UUID) -> AnyResponse:
    try:
        container().delete_endpoint(me(), endpoint_id, version=sent_version())
    except (Invalid, VersionMismatch) as error:
        return endpoint_page(endpoint_id, error)
    return done(HERE, "The endpoint is deleted, with its log.")


@blp.post(f"{HERE}/<uuid:endpoint_id>/rotate")
@page_for(Permission.NOTIFICATIONS_WRITE)
def rotate(endpoint_id: UUID) -> AnyResponse:
    """The new secret is on the page that answers, and on no other one."""
    overlap = request.form.get("overlap", "")
    try:
        if overlap not in OVERLAPS:
            raise Invalid("say how long the former secret signs beside it, by the list")
        changed, secret, until = container().rotate_endpoint_secret(
            me(), endpoint_id, overlap=timedelta(seconds=int(overlap))
        )
    except _REFUSALS as error:
        return endpoint_page(endpoint_id, error)
    return show_section("settings/endpoint_secret.html", endpoint=changed, secret=secret, made=False, until=until)


@blp.post(f"{HERE}/<uuid:endpoint_id>/deliveries/<uuid:delivery_id>/redeliver")
@limited(Kind.COSTLY)
@page_for(Permission.NOTIFICATIONS_WRITE)
def redeliver(endpoint_id: UUID, delivery_id: UUID) -> AnyResponse:
    try:
        container().redeliver(me(), endpoint_id, delivery_id)
    except Conflict as error:
        return endpoint_page(endpoint_id, error)
    return done(f"{HERE}/{endpoint_id}?sent={delivery_id}#deliveries", "It is sent again.", "info")


@blp.post(f"{HERE}/<uuid:endpoint_id>/redeliver")
@limited(Kind.COSTLY)
@page_for(Permission.NOTIFICATIONS_WRITE)
def redeliver_failed(endpoint_id: UUID) -> AnyResponse:
    tenant: Tenant = container().get_tenant(me())
    try:
        since = _day(tenant)
        count = container().redeliver_failed(me(), endpoint_id, since)
    except (Conflict, Invalid) as error:
        return endpoint_page(endpoint_id, error)
    said = f"{count:,} that failed are sent again." if count else "Nothing has failed since then."
    return done(f"{HERE}/{endpoint_id}#deliveries", said, "info")


def endpoint_page(endpoint_id: UUID, error: SortationError | None = None) -> Response:
    """With what went wrong at one of its buttons."""
    actor, services = me(), container()
    one: Endpoint = services.get_endpoint(actor, endpoint_id)
    tenant: Tenant = services.get_tenant(actor)
    before, told = asked_id("after"), asked_id("sent")
    found: Sequence[Notification] = services.list_notifications(actor, endpoint_id, before=before, limit=SHOWN + 1)
    shown, now = found[:SHOWN], services.clock().now()
    here = f"{HERE}/{endpoint_id}"
    watched = next((delivery for delivery in shown if delivery.id == told), None)
    return show_section(
        "settings/endpoint.html",
        status_of(error),
        here=here,
        endpoint=one,
        how=standing(one),
        told_when=told_when(one, tenant.time_zone),
        person=people().get(one.user_id) if one.user_id else None,
        topics=TOPICS,
        overlaps=OVERLAPS,
        deliveries=[sent(delivery, one.disabled_at is not None) for delivery in shown],
        watched=watched,
        result="" if watched is None else result(watched),
        first=before is None,
        now=_now(shown),
        goes_on=before is None and goes_on(shown, now),
        day=(now - timedelta(days=3)).astimezone(tenant.zone).date(),
        problem=CHANGED if isinstance(error, VersionMismatch) else "" if error is None else str(error),
        more=following(here, found[SHOWN - 1].id) if len(found) > SHOWN else None,
    )


def _now(deliveries: Sequence[Notification]) -> str:
    """A text that changes with what becomes of them."""
    return " ".join(f"{one.id}:{one.status.value}:{len(one.attempts)}:{one.tries}" for one in deliveries)


def _day(tenant: Tenant) -> datetime:
    """When the day of the form begins in the tenant's time zone. Raises `Invalid`."""
    try:
        return day_in(request.form.get("since", ""), tenant.zone).astimezone(UTC)
    except (ValueError, OverflowError):
        raise Invalid("say from which day on, as 2026-05-31") from None
