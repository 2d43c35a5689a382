"""The workspace: what it is called, what is decided alone and how well, and what the LLM may cost."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from decimal import Decimal
from typing import Any
from zoneinfo import available_timezones

from flask import Blueprint, request
from werkzeug.wrappers import Response

from core.domain.permissions import Permission
from core.domain.tenants import CAP_DECIMALS, MAX_CAP, MOST_QUEUED, STAGES, Tenant, TenantSettings, check_tenant
from core.errors import Invalid, SortationError, VersionMismatch
from entrypoints.api.state import container
from entrypoints.console.fields import STALE, sent_version
from entrypoints.console.guard import me, page_for
from entrypoints.console.rules.wording import category_names, packs_of
from entrypoints.console.settings.evidence import MONTHS, at_most_wrong, by_category, tried_promises
from entrypoints.console.settings.sections import PATH, show_section
from entrypoints.console.settings.typed import Typed, hundredths, status_of, wrong_of
from entrypoints.console.shell import done

blp = Blueprint("settings_workspace", __name__)
ALONE = {
    "rules": ("Rules", "Your own, and those of packs that you trust or that proved themselves."),
    "similarity": ("Similarity", "To what your people decided."),
    "llm": ("Language model", "Asked last, if one is set up here."),
}
ZONES = tuple(sorted(zone for zone in available_timezones() if "/" in zone or zone == "UTC"))


@blp.get(PATH)
@page_for(Permission.TENANT_READ)
def workspace() -> Response:
    return workspace_page()


@blp.post(PATH)
@page_for(Permission.TENANT_WRITE)
def change() -> Response:
    tenant: Tenant = container().get_tenant(me())
    try:
        version, typed = sent_version(), Typed()
        name, zone, settings = _read(typed, tenant)
        typed.check()
        if (name, zone, settings) == (tenant.name, tenant.time_zone, tenant.settings):
            return done(PATH, "Nothing was changed.", "info")
        container().change_tenant(me(), version=version, name=name, time_zone=zone, settings=settings)
    except (Invalid, VersionMismatch) as error:
        return workspace_page(error)
    return done(PATH, "Saved. It holds for what is decided from now on.")


def workspace_page(error: SortationError | None = None) -> Response:
    """With what was typed and what is wrong with it, where a form was sent."""
    services, actor = container(), me()
    tenant: Tenant = services.get_tenant(actor)
    means, months = services.llm_usage(actor, months=1)
    rules = services.list_rules(actor)
    return show_section(
        "settings/workspace.html",
        status_of(error),
        tenant=tenant,
        typed=_filled(tenant) if error is None else _sent(),
        version=tenant.version if error is None else request.form.get("version", ""),
        problem=STALE if isinstance(error, VersionMismatch) else "" if error is None else str(error),
        wrong=wrong_of(error),
        there=services.clock().now().astimezone(tenant.zone),
        zones=ZONES,
        stages=ALONE,
        at_most=at_most_wrong(tenant.settings.promise),
        packs=packs_of(rules, tenant.settings.trusted_packs),
        held=by_category(rules, category_names()),
        promise=services.show_promise(actor, months=MONTHS),
        tried=tried_promises(services.list_evaluations(actor, before=None, limit=50)),
        means=means,
        month=months[0],
    )


def _read(typed: Typed, tenant: Tenant) -> tuple[str, str, TenantSettings]:
    """The name, the time zone and the settings; what other pages change stays as it is."""
    present = tenant.settings
    name, zone = typed.text("name"), typed.text("time_zone")
    for field, asked, said in (
        ("name", (name, "UTC"), "A name has 1 to 200 characters, on one line."),
        ("time_zone", ("x", zone), "This is no time zone: choose one of the list, as Europe/Berlin."),
    ):
        try:
            check_tenant(*asked)
        except Invalid:
            typed.refuse(field, said)
    currency = typed.text("default_currency").upper()
    if not (len(currency) == 3 and currency.isascii() and currency.isalpha()):
        typed.refuse("default_currency", "A currency has three letters, as EUR.")
    settings = replace(
        present,
        default_currency=currency,
        promise=_share(typed, "promise", present.promise),
        spot_check_share=_share(typed, "spot_check_share", present.spot_check_share),
        alone=tuple(stage for stage in STAGES if stage in request.form.getlist("alone")),
        similarity_threshold=typed.percent("similarity_threshold", present.similarity_threshold, optional=True),
        llm_threshold=typed.percent("llm_threshold", present.llm_threshold, optional=True),
        trusted_packs=_packs(present),
        queue_limit=typed.whole("queue_limit", 1, MOST_QUEUED),
        llm_monthly_cap=_cap(typed, present.llm_monthly_cap),
    )
    return name, zone, settings


def _share(typed: Typed, name: str, present: float) -> float:
    share = typed.percent(name, present)
    return present if share is None else share


def _packs(present: TenantSettings) -> tuple[str, ...]:
    """Those that were ticked; what was trusted and has no rules here, so that the form does not show it, stays."""
    shown = set(request.form.getlist("pack"))
    ticked = [name for name in request.form.getlist("trusted_packs") if name in shown]
    kept = [name for name in present.trusted_packs if name not in shown or name in ticked]
    return (*kept, *(name for name in ticked if name not in kept))


def _cap(typed: Typed, present: Decimal | None) -> Decimal | None:
    cap = typed.amount("llm_monthly_cap", MAX_CAP, CAP_DECIMALS)
    return present if cap is not None and cap == present else cap


def _filled(tenant: Tenant) -> Mapping[str, Any]:
    settings = tenant.settings
    return {
        "name": tenant.name,
        "time_zone": tenant.time_zone,
        "default_currency": settings.default_currency,
        "promise": hundredths(settings.promise),
        "spot_check_share": hundredths(settings.spot_check_share),
        "similarity_threshold": hundredths(settings.similarity_threshold),
        "llm_threshold": hundredths(settings.llm_threshold),
        "queue_limit": "" if settings.queue_limit is None else str(settings.queue_limit),
        "llm_monthly_cap": "" if settings.llm_monthly_cap is None else f"{settings.llm_monthly_cap:f}",
        "alone": settings.alone,
        "trusted_packs": settings.trusted_packs,
    }


def _sent() -> Mapping[str, Any]:
    """As it was typed."""
    lists = {name: request.form.getlist(name) for name in ("alone", "trusted_packs")}
    return {**request.form.to_dict(), **lists}
