"""The caller, their tenant, and, for the operator, all tenants."""

from __future__ import annotations

from dataclasses import replace
from typing import Any
from uuid import UUID

from flask import g

from core.domain.permissions import Permission
from core.domain.tenants import Actor, Tenant, TenantSettings
from core.errors import Invalid
from entrypoints.api import idempotency
from entrypoints.api.auth import caller, needs
from entrypoints.api.blueprint import Blueprint, conditional, keyless
from entrypoints.api.responses import if_match, page, tagged
from entrypoints.api.schemas.base import AfterSchema, page_of
from entrypoints.api.schemas.tenants import (
    IssuedTenantSchema,
    MeSchema,
    NewTenantSchema,
    TenantChangeSchema,
    TenantSchema,
)
from entrypoints.api.state import actor, container

blp = Blueprint("tenants", "The caller and their tenant; all tenants, for the operator.", "")


@blp.route("/me")
@needs()
@blp.answer(200, MeSchema)
def me() -> dict[str, Any]:
    """Who the key speaks for, and what it may do."""
    here = actor()
    return {
        "tenant": container().get_tenant(here),
        "name": here.name,
        "api_key_id": here.api_key_id,
        "scopes": sorted(here.permissions),
        "source_agent": here.source_agent,
    }


@blp.route("/tenant")
@needs(Permission.TENANT_READ)
@conditional
@blp.answer(200, TenantSchema)
def get_own_tenant() -> Tenant:
    """The caller's tenant."""
    tenant = container().get_tenant(actor())
    tagged(tenant.version)
    return tenant


@blp.route("/tenant", "PATCH")
@needs(Permission.TENANT_WRITE)
@conditional
@blp.body(TenantChangeSchema)
@blp.answer(200, TenantSchema)
def change_own_tenant(changes: dict[str, Any]) -> Tenant:
    """Changes the caller's tenant."""
    version, settings = if_match(), None
    if "settings" in changes:
        present = container().get_tenant(actor())
        settings = replace(present.settings, **_settings(changes["settings"]))
        # The settings that stay were read at this version: a change in between must not be undone.
        version = present.version if version is None else version
    tenant = container().change_tenant(
        actor(), version=version, name=changes.get("name"), time_zone=changes.get("time_zone"), settings=settings
    )
    tagged(tenant.version)
    return tenant


@blp.route("/tenants")
@needs(Permission.OPERATOR)
@blp.query(AfterSchema)
@blp.answer(200, page_of(TenantSchema))
def list_tenants(query: dict[str, Any]) -> dict[str, Any]:
    """All tenants, oldest first."""
    tenants = container().list_tenants(after=query["after"], limit=query["limit"] + 1)
    return page(tenants, query["limit"], lambda tenant: str(tenant.id))


@blp.route("/tenants", "POST")
@needs(Permission.OPERATOR)
@keyless
@blp.body(NewTenantSchema)
@blp.answer(201, IssuedTenantSchema)
def create_tenant(body: dict[str, Any]) -> tuple[dict[str, Any], dict[str, str]]:
    """Adds a tenant with default categories, starter rules, and a first key, which is shown once."""
    if idempotency.key() is not None:
        raise Invalid("Idempotency-Key is kept by tenant: there is none yet, so it can't be honoured here")
    settings = TenantSettings(**_settings(body.pop("settings", {})))
    tenant, issued = container().create_tenant(**body, settings=settings, caller=caller())
    tagged(tenant.version)
    answer = {"tenant": tenant, "key": issued.key, "api_key": issued.secret}
    return answer, {"Location": f"/api/v1/tenants/{tenant.id}"}


@blp.route("/tenants/<uuid:tenant_id>")
@needs(Permission.OPERATOR)
@conditional
@blp.answer(200, TenantSchema)
def get_tenant(tenant_id: UUID) -> Tenant:
    """A tenant."""
    tenant = container().get_tenant(Actor(tenant_id=tenant_id, name="operator", request_id=g.request_id))
    tagged(tenant.version)
    return tenant


def _settings(given: dict[str, Any]) -> dict[str, Any]:
    return {name: tuple(value) if isinstance(value, list) else value for name, value in given.items()}
