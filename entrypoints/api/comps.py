"""Tenants' plans, for who runs the installation: why one is limited, and a plan that it is given."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from core.domain.permissions import Permission
from core.usecases.shared.people import operator
from entrypoints.api.auth import caller, needs
from entrypoints.api.billing import state_of
from entrypoints.api.blueprint import Blueprint
from entrypoints.api.schemas.billing import BillingSchema, CompReasonSchema, NewCompSchema
from entrypoints.api.state import container

blp = Blueprint("comps", "Tenants' plans, for the operator.", "/tenants")


@blp.route("/<uuid:tenant_id>/billing")
@needs(Permission.OPERATOR)
@blp.answer(200, BillingSchema)
def show_tenant_billing(tenant_id: UUID) -> dict[str, Any]:
    """What a tenant may do now and why, as it sees that itself."""
    return state_of(container().show_billing(operator(tenant_id, caller())))


@blp.route("/<uuid:tenant_id>/comp", "PUT")
@needs(Permission.OPERATOR)
@blp.body(NewCompSchema)
@blp.answer(200, BillingSchema)
def comp_plan(body: dict[str, Any], tenant_id: UUID) -> dict[str, Any]:
    """Gives a tenant a plan, whatever it pays: the newest version of it, in the place of one that it was given."""
    here = operator(tenant_id, caller())
    container().comp_plan(here, **body)
    return state_of(container().show_billing(here))


@blp.route("/<uuid:tenant_id>/comp", "DELETE")
@needs(Permission.OPERATOR)
@blp.query(CompReasonSchema)
@blp.answer(200, BillingSchema)
def uncomp_plan(query: dict[str, Any], tenant_id: UUID) -> dict[str, Any]:
    """Takes back the plan that a tenant was given: what it pays for counts again."""
    here = operator(tenant_id, caller())
    container().comp_plan(here, plan=None, **query)
    return state_of(container().show_billing(here))
