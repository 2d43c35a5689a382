"""Privacy: how long things are kept, what leaves the installation, and how all of it is given out or erased."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from flask import Blueprint, Response, request
from werkzeug.wrappers import Response as AnyResponse

from adapters.openai.masking import mask
from core.domain.permissions import Permission
from core.domain.tenants import MOST_DAYS, Tenant
from core.errors import Invalid, SortationError, VersionMismatch
from entrypoints.api.state import container
from entrypoints.console.fields import STALE, sent_version
from entrypoints.console.guard import me, page_for
from entrypoints.console.settings.sections import PATH, show_section
from entrypoints.console.settings.typed import Typed, status_of, wrong_of
from entrypoints.console.shell import done

blp = Blueprint("settings_privacy", __name__)
HERE = f"{PATH}/privacy"
DAYS = ("record_retention_days", "payload_retention_days", "log_retention_days")
EXAMPLE = "Rent May, from DE89 3704 0044 0532 0130 00, card 4111 1111 1111 1111, ask@example.org or +49 30 901820"


@blp.get(HERE)
@page_for(Permission.TENANT_READ)
def privacy() -> Response:
    return privacy_page()


@blp.post(HERE)
@page_for(Permission.TENANT_WRITE)
def change() -> AnyResponse:
    tenant: Tenant = container().get_tenant(me())
    try:
        version, typed = sent_version(), Typed()
        given: dict[str, Any] = {name: typed.whole(name, 1, MOST_DAYS) for name in DAYS}
        typed.check()
        settings = replace(tenant.settings, **given)
        if settings == tenant.settings:
            return done(HERE, "Nothing was changed.", "info")
        if version != tenant.version:
            raise VersionMismatch
        shorter = _shorter(tenant, given)
        if shorter and request.form.get("confirm") != _written(shorter):
            return privacy_page(shorter=shorter)
        container().change_tenant(me(), version=version, settings=settings)
    except (Invalid, VersionMismatch) as error:
        return privacy_page(error)
    return done(HERE, "Saved. What is older goes within the hour.")


def privacy_page(error: SortationError | None = None, shorter: Mapping[str, int] | None = None) -> Response:
    """With what was typed, where a form was sent, and what is wrong with it; or what is to be confirmed first, since it
    is kept `shorter`, in days."""
    services, actor = container(), me()
    tenant: Tenant = services.get_tenant(actor)
    means, _ = services.llm_usage(actor, months=1)
    settings, sent = services.settings(), error is not None or shorter is not None
    return show_section(
        "settings/privacy.html",
        409 if shorter else status_of(error),
        tenant=tenant,
        typed=request.form.to_dict() if sent else _filled(tenant),
        version=request.form.get("version", "") if sent else tenant.version,
        shorter=shorter or {},
        confirm=_written(shorter or {}),
        problem=STALE if isinstance(error, VersionMismatch) else "" if error is None else str(error),
        wrong=wrong_of(error),
        means=means,
        embeddings=settings.embeddings,
        payload_days=settings.payload_retention_days,
        job_days=settings.job_retention_days,
        report_days=settings.report_retention_days,
        example=EXAMPLE,
        masked=mask(EXAMPLE),
        quoted_name=shlex.quote(tenant.name),
    )


def _shorter(tenant: Tenant, given: Mapping[str, int | None]) -> Mapping[str, int]:
    """The days that are fewer than they are now, or that are the first to end something: what is older is deleted."""
    found = {}
    for name, days in given.items():
        present = getattr(tenant.settings, name)
        if days is not None and (present is None or days < present):
            found[name] = days
    return found


def _written(days: Mapping[str, int]) -> str:
    """That nothing else is confirmed than what was asked about."""
    return ",".join(f"{name}={number}" for name, number in days.items())


def _filled(tenant: Tenant) -> Mapping[str, str]:
    kept = {name: getattr(tenant.settings, name) for name in DAYS}
    return {name: "" if days is None else str(days) for name, days in kept.items()}
