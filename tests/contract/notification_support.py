"""Endpoints and what they are told, for contract tests."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from core.domain.notifications import Endpoint, EndpointKind, Notification, NotificationStatus, Topic
from core.domain.tenants import Actor
from tests.contract.storage import START


def an_endpoint(id: UUID, actor: Actor, **fields: Any) -> Endpoint:
    standard: dict[str, Any] = {
        "kind": EndpointKind.WEBHOOK,
        "name": "Pager",
        "url": "https://hooks.example/in",
        "topics": (Topic.FAILURES,),
        "sealed": b"\x00sealed\xff",
        "told_seq": 0,
        "created_at": START,
        "version": 1,
    }
    return Endpoint(id=id, tenant_id=actor.tenant_id, **{**standard, **fields})


def a_mail_endpoint(id: UUID, actor: Actor, user_id: UUID, **fields: Any) -> Endpoint:
    mail = {"kind": EndpointKind.MAIL, "url": None, "sealed": None, "user_id": user_id}
    return an_endpoint(id, actor, **{**mail, **fields})


def a_notification(id: UUID, actor: Actor, endpoint_id: UUID, seq: int | None = 1, **fields: Any) -> Notification:
    standard: dict[str, Any] = {
        "type": "import.failed",
        "data": {"tenant_id": str(actor.tenant_id), "seq": seq},
        "occurred_at": START,
        "status": NotificationStatus.PENDING,
        "created_at": START,
    }
    return Notification(id=id, tenant_id=actor.tenant_id, endpoint_id=endpoint_id, seq=seq, **{**standard, **fields})
