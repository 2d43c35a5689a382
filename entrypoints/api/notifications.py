"""Where the tenant is told of what happened, and what it was told."""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from uuid import UUID

from flask import g

from core.domain.notifications import Endpoint, Notification
from core.domain.permissions import Permission
from entrypoints.api.auth import needs
from entrypoints.api.blueprint import Blueprint, conditional
from entrypoints.api.idempotency import posting
from entrypoints.api.limits import Kind, limited
from entrypoints.api.responses import dumps, fields_of, if_match, page, part, versioned
from entrypoints.api.schemas.base import WholeListSchema, page_of
from entrypoints.api.schemas.notifications import (
    EndpointChangeSchema,
    EndpointSchema,
    EndpointSecretSchema,
    IssuedEndpointSchema,
    NewEndpointSchema,
    NotificationSchema,
    NotificationsQuerySchema,
    RedeliveredSchema,
    RedeliverySchema,
    RotatedEndpointSchema,
)
from entrypoints.api.state import actor, container

blp = Blueprint("notifications", "Webhooks and mails that tell of what happened.", "/notifications/endpoints")


@blp.route("")
@needs(Permission.NOTIFICATIONS_READ)
@blp.query(WholeListSchema)
@blp.answer(200, page_of(EndpointSchema))
def list_endpoints(query: dict[str, Any]) -> dict[str, Any]:
    """All endpoints."""
    return part([_shown(endpoint) for endpoint in container().list_endpoints(actor())], query)


@blp.route("", "POST")
@needs(Permission.NOTIFICATIONS_WRITE)
@blp.body(NewEndpointSchema)
@blp.answer(201, IssuedEndpointSchema)
def create_endpoint(body: dict[str, Any]) -> tuple[dict[str, Any], dict[str, str]]:
    """Adds a webhook (`url`), or the mail address of a member (`user_id`). It is told of what happens from now on. A
    webhook's secret is shown once."""
    endpoint, secret = container().create_endpoint(posting(), **body)
    g.kept = dumps(IssuedEndpointSchema().dump(_shown(endpoint) | {"secret": None}))
    versioned(endpoint.version)
    location = {"Location": f"/api/v1/notifications/endpoints/{endpoint.id}"}
    return _shown(endpoint) | {"secret": secret}, location


@blp.route("/<uuid:endpoint_id>")
@needs(Permission.NOTIFICATIONS_READ)
@blp.answer(200, EndpointSchema)
def get_endpoint(endpoint_id: UUID) -> dict[str, Any]:
    """An endpoint, and how it is."""
    endpoint = container().get_endpoint(actor(), endpoint_id)
    versioned(endpoint.version)  # how it is shows too, which the version does not cover
    return _shown(endpoint)


@blp.route("/<uuid:endpoint_id>", "PATCH")
@needs(Permission.NOTIFICATIONS_WRITE)
@conditional
@blp.body(EndpointChangeSchema)
@blp.answer(200, EndpointSchema)
def change_endpoint(changes: dict[str, Any], endpoint_id: UUID) -> dict[str, Any]:
    """Renames an endpoint, or gives it another address, other topics or another digest."""
    endpoint = container().change_endpoint(actor(), endpoint_id, changes, version=if_match())
    versioned(endpoint.version)
    return _shown(endpoint)


@blp.route("/<uuid:endpoint_id>", "DELETE")
@needs(Permission.NOTIFICATIONS_WRITE)
@conditional
@blp.answer(204)
def delete_endpoint(endpoint_id: UUID) -> None:
    """Removes an endpoint with its log, and what was still to be sent."""
    container().delete_endpoint(actor(), endpoint_id, version=if_match())


@blp.route("/<uuid:endpoint_id>/rotate", "POST")
@needs(Permission.NOTIFICATIONS_WRITE)
@blp.body(EndpointSecretSchema)
@blp.answer(200, RotatedEndpointSchema)
def rotate_endpoint_secret(body: dict[str, Any], endpoint_id: UUID) -> dict[str, Any]:
    """Makes another secret, shown once. The former one signs beside it for a while, so that the receiver can change it
    in its own time."""
    overlap = timedelta(seconds=body["overlap_seconds"])
    endpoint, secret, until = container().rotate_endpoint_secret(posting(), endpoint_id, overlap=overlap)
    shown = _shown(endpoint) | {"former_until": until}
    g.kept = dumps(RotatedEndpointSchema().dump(shown | {"secret": None}))
    versioned(endpoint.version)
    return shown | {"secret": secret}


@blp.route("/<uuid:endpoint_id>/enable", "POST")
@needs(Permission.NOTIFICATIONS_WRITE)
@blp.answer(200, EndpointSchema)
def enable_endpoint(endpoint_id: UUID) -> dict[str, Any]:
    """Tells an endpoint that was disabled of what happens from now on."""
    endpoint = container().enable_endpoint(posting(), endpoint_id)
    versioned(endpoint.version)
    return _shown(endpoint)


@blp.route("/<uuid:endpoint_id>/disable", "POST")
@needs(Permission.NOTIFICATIONS_WRITE)
@blp.answer(200, EndpointSchema)
def disable_endpoint(endpoint_id: UUID) -> dict[str, Any]:
    """Tells an endpoint nothing until it is enabled again."""
    endpoint = container().disable_endpoint(posting(), endpoint_id)
    versioned(endpoint.version)
    return _shown(endpoint)


@blp.route("/<uuid:endpoint_id>/test", "POST")
@limited(Kind.COSTLY)
@needs(Permission.NOTIFICATIONS_WRITE)
@blp.answer(202, NotificationSchema)
def test_endpoint(endpoint_id: UUID) -> dict[str, Any]:
    """Sends a message of the type `endpoint.test`, once. What became of it stands among its deliveries."""
    return _told(container().test_endpoint(posting(), endpoint_id))


@blp.route("/<uuid:endpoint_id>/deliveries")
@needs(Permission.NOTIFICATIONS_READ)
@blp.query(NotificationsQuerySchema)
@blp.answer(200, page_of(NotificationSchema))
def list_notifications(query: dict[str, Any], endpoint_id: UUID) -> dict[str, Any]:
    """What the endpoint was told, newest first, and each try. Kept for as long as jobs are."""
    found = container().list_notifications(actor(), endpoint_id, before=query["before"], limit=query["limit"] + 1)
    return page([_told(one) for one in found], query["limit"], lambda one: str(one["id"]))


@blp.route("/<uuid:endpoint_id>/deliveries/<uuid:delivery_id>/redeliver", "POST")
@limited(Kind.COSTLY)
@needs(Permission.NOTIFICATIONS_WRITE)
@blp.answer(202, NotificationSchema)
def redeliver(endpoint_id: UUID, delivery_id: UUID) -> dict[str, Any]:
    """Sends it again, with the `webhook-id` that it had, now and by the whole schedule."""
    return _told(container().redeliver(posting(), endpoint_id, delivery_id))


@blp.route("/<uuid:endpoint_id>/redeliver", "POST")
@limited(Kind.COSTLY)
@needs(Permission.NOTIFICATIONS_WRITE)
@blp.body(RedeliverySchema)
@blp.answer(202, RedeliveredSchema)
def redeliver_failed(body: dict[str, Any], endpoint_id: UUID) -> dict[str, Any]:
    """Sends all again that failed since then, but for tests."""
    return {"redelivered": container().redeliver_failed(posting(), endpoint_id, body["since"])}


def _shown(endpoint: Endpoint) -> dict[str, Any]:
    return fields_of(endpoint, "tenant_id", "sealed", "told_seq")


def _told(notification: Notification) -> dict[str, Any]:
    shown = fields_of(notification, "tenant_id", "endpoint_id", "job_id", "attempts")
    return shown | {"attempts": [fields_of(attempt) for attempt in notification.attempts]}
