"""Ordering a plan, and looking after its payment: at the pages of who takes the payments, where it has some."""

from __future__ import annotations

from urllib.parse import urlencode

from flask import Blueprint, Response, make_response, render_template, request
from werkzeug.wrappers import Response as AnyResponse

from core.domain.payments import Purpose
from core.domain.permissions import Permission
from core.domain.plans import Interval
from core.errors import Invalid
from entrypoints.api.limits import Kind, limited
from entrypoints.api.state import container
from entrypoints.api.waiting import takes_turn
from entrypoints.console.billing.overview import billing_page
from entrypoints.console.billing.parts import REFUSALS, asking, here
from entrypoints.console.billing.plans import plans_page
from entrypoints.console.billing.words import PROVIDERS
from entrypoints.console.guard import me, page_for
from entrypoints.console.shell import done
from ports.payments import HostedPage

blp = Blueprint("billing_acts", __name__)


@blp.post("/billing/checkout")
@takes_turn
@limited(Kind.COSTLY)
@page_for(Permission.BILLING_WRITE)
def order() -> AnyResponse:
    """Leads to where the order is confirmed and paid, and from there back to `/billing/back`."""
    plan, asked = request.form.get("plan", ""), request.form.get("interval", Interval.MONTH.value)
    try:
        if asked not in set(Interval):
            raise Invalid("a plan is paid by the month or by the year")
        came_from = urlencode({"from": "checkout", "plan": plan, "interval": asked})
        with asking():
            page: HostedPage = container().order_plan(
                me(),
                plan=plan,
                interval=Interval(asked),
                success_url=here(f"/billing/back?{came_from}"),
                cancel_url=here("/billing/plans?canceled"),
            )
    except REFUSALS as error:
        return plans_page(error)
    if page.url is not None:
        return _go_on(page.url)
    if plan == container().terms().base:
        return done("/billing", page.words)
    return done("/billing/back?from=order", page.words)


@blp.post("/billing/portal")
@takes_turn
@limited(Kind.COSTLY)
@page_for(Permission.BILLING_WRITE)
def look_after() -> AnyResponse:
    """Leads to where the payments are looked after; what is canceled by hand is so at once."""
    asked = request.form.get("purpose", "")
    try:
        if asked not in set(Purpose):
            raise Invalid("say what you want to do about the payments, by one of the buttons")
        with asking():
            page: HostedPage = container().open_portal(
                me(), purpose=Purpose(asked), return_url=here(f"/billing/back?from={asked}")
            )
    except REFUSALS as error:
        return billing_page(error)
    if page.url is not None:
        return _go_on(page.url)
    return done(f"/billing/back?from={asked}", page.words)


@blp.post("/billing/refresh")
@limited(Kind.COSTLY)
@page_for(Permission.BILLING_WRITE)
def refresh() -> AnyResponse:
    """Has who takes the payments asked what is paid, in the background."""
    container().refresh_billing(me())
    return done("/billing", "It is asked what is paid: this page tells it in some seconds.", "info")


def _go_on(url: str) -> Response:
    """A page that goes on by itself, since browsers hold `form-action` against redirects, too."""
    name = container().payments().name
    return make_response(render_template("billing/going_on.html", title=PROVIDERS.get(name, name), url=url))
