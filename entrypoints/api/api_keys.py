"""API keys of the tenant."""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from uuid import UUID

from flask import g

from core.domain.permissions import Permission
from core.domain.tenants import ApiKey
from entrypoints.api.auth import needs
from entrypoints.api.blueprint import Blueprint
from entrypoints.api.idempotency import posting
from entrypoints.api.responses import dumps, fields_of, part
from entrypoints.api.schemas.base import WholeListSchema, page_of
from entrypoints.api.schemas.tenants import ApiKeySchema, IssuedKeySchema, KeyRotationSchema, NewApiKeySchema
from entrypoints.api.state import actor, container

blp = Blueprint("api-keys", "Keys of programs that speak for the tenant.", "/api-keys")


@blp.route("")
@needs(Permission.KEYS_READ)
@blp.query(WholeListSchema)
@blp.answer(200, page_of(ApiKeySchema))
def list_api_keys(query: dict[str, Any]) -> dict[str, Any]:
    """All keys, revoked ones too."""
    return part([fields_of(key, "secret_hash") for key in container().list_api_keys(actor())], query)


@blp.route("", "POST")
@needs(Permission.KEYS_WRITE)
@blp.body(NewApiKeySchema)
@blp.answer(201, IssuedKeySchema)
def create_api_key(body: dict[str, Any]) -> dict[str, Any]:
    """Issues a key with at most the caller's own scopes. The secret is shown once."""
    issued = container().create_api_key(
        posting(), name=body["name"], scopes=frozenset(body["scopes"]), expires_at=body["expires_at"]
    )
    g.kept = dumps(IssuedKeySchema().dump(_issued(issued.key, None)))
    return _issued(issued.key, issued.secret)


@blp.route("/<uuid:key_id>/rotate", "POST")
@needs(Permission.KEYS_WRITE)
@blp.body(KeyRotationSchema)
@blp.answer(201, IssuedKeySchema)
def rotate_api_key(body: dict[str, Any], key_id: UUID) -> dict[str, Any]:
    """Issues a key with the same name and scopes; the former one serves on for a while. The secret is shown once."""
    issued = container().rotate_api_key(posting(), key_id, overlap=timedelta(seconds=body["overlap_seconds"]))
    g.kept = dumps(IssuedKeySchema().dump(_issued(issued.key, None)))
    return _issued(issued.key, issued.secret)


@blp.route("/<uuid:key_id>", "DELETE")
@needs(Permission.KEYS_WRITE)
@blp.answer(200, ApiKeySchema)
def revoke_api_key(key_id: UUID) -> ApiKey:
    """Revokes a key: the next request with it is refused. The key stays in the list."""
    return container().revoke_api_key(actor(), key_id)


def _issued(key: ApiKey, secret: str | None) -> dict[str, Any]:
    return fields_of(key, "secret_hash") | {"api_key": secret}
