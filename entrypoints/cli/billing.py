"""`sortation billing`: what is sold, who has what and why, plans that are given, and invoices written by hand."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal, InvalidOperation
from typing import Annotated
from uuid import UUID

import typer

from core.domain.plans import Limit, Meter
from core.usecases.agreements import Agreed
from core.usecases.billing import BillingState
from core.usecases.shared.people import operator
from entrypoints.cli.files import new_table, print_json, quiet_settings, screen
from entrypoints.cli.groups import group
from entrypoints.cli.operating import at_command_line
from entrypoints.cli.tenants import container

EXAMPLES = """Examples:

\b
  sortation billing plans                               what is sold: SORTATION_PLANS
  sortation billing show 0192f0c1-...                   what a tenant may do, and why
  sortation billing comp 0192f0c1-... --plan team --until 2026-12-31 --reason "A pilot"
  sortation billing uncomp 0192f0c1-... --reason "The pilot is over"
  sortation billing refresh 0192f0c1-...                ask the provider now

\b
Where invoices are written by hand:
  sortation billing orders                              what was ordered, and until when it is paid
  sortation billing paid 0192f0c1-... --until 2026-12-31 --number 2026-017 --total 588.00 --currency EUR
  sortation billing end 0192f0c1-... --reason "They left"
"""

app = group("See what tenants pay for and why one is limited, give plans, and note payments.", EXAMPLES)
Tenant = Annotated[UUID, typer.Argument(metavar="TENANT", help="The tenant's id.")]
Reason = Annotated[str, typer.Option("--reason", help="Why: the tenant reads it.")]


def a_day(written: str) -> date:
    try:
        return date.fromisoformat(written)
    except ValueError:
        raise typer.BadParameter(f"{written!r} is no day such as 2026-12-31") from None


def an_amount(written: str) -> Decimal:
    try:
        return Decimal(written)
    except InvalidOperation:
        raise typer.BadParameter(f"{written!r} is no amount such as 588.00") from None


Day = Annotated[
    date, typer.Option("--until", parser=a_day, metavar="DAY", help="The last day, that one included (UTC).")
]
LastDay = Annotated[
    date | None,
    typer.Option("--until", parser=a_day, metavar="DAY", help="The last day, that one included (UTC). Else for good."),
]


@app.command()
def plans() -> None:
    """List all plans in all versions, with what they hold and where they are sold."""
    settings = quiet_settings()
    base = settings.plans.newest(settings.base_plan)
    table = new_table("", "plan", "version", "title", "records", "LLM (USD)", "connections", "seats", "days", "sold")
    for plan in settings.plans.plans:
        table.add_row(
            plan.key + (" (base)" if plan is base else ""),
            str(plan.version),
            plan.title,
            *(_limit(plan.limit(meter)) for meter in Meter),
            *("any" if most is None else f"{most:,}" for most in (plan.connections, plan.seats, plan.retention_days)),
            ", ".join(f"{name} by {' or '.join(sold)}" for name, sold in plan.prices.items() if sold) or "no",
        )
    screen().print(table)


@app.command()
def show(
    tenant: Tenant,
    as_json: Annotated[bool, typer.Option("--json", help="Print what GET /billing answers.")] = False,
) -> None:
    """Say what a tenant may do and why, and what of its plan is taken."""
    state: BillingState = container().show_billing(operator(tenant, at_command_line("billing show")))
    if as_json:
        from entrypoints.api.billing import state_of
        from entrypoints.api.schemas.billing import BillingSchema

        typer.echo(json.dumps(BillingSchema().dump(state_of(state)), ensure_ascii=False, indent=2))
        return
    typer.echo(state.words)
    for name, value in _lines(state):
        typer.echo(f"  {name + ':':<14}{value}")


@app.command()
def comp(
    tenant: Tenant,
    plan: Annotated[str, typer.Option("--plan", help="The key of the plan, of which the newest version is given.")],
    reason: Reason,
    until: LastDay = None,
) -> None:
    """Give a tenant a plan, whatever it pays."""
    ends = None if until is None else datetime.combine(until + timedelta(days=1), time(), UTC)
    here = operator(tenant, at_command_line("billing comp"))
    services = container()
    services.comp_plan(here, plan=plan, until=ends, reason=reason)
    typer.echo(services.show_billing(here).words)


@app.command()
def uncomp(tenant: Tenant, reason: Reason) -> None:
    """Take back the plan that a tenant was given."""
    here = operator(tenant, at_command_line("billing uncomp"))
    services = container()
    services.comp_plan(here, plan=None, reason=reason)
    typer.echo(services.show_billing(here).words)


@app.command()
def orders(
    waiting: Annotated[bool, typer.Option("--waiting", help="Only what waits for a payment.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print a JSON array instead of a table.")] = False,
) -> None:
    """List what tenants ordered to be paid by invoice, and until when it is paid."""
    agreed: Sequence[Agreed] = container().list_agreements()
    rows = [_order(one) for one in agreed if one.waits or not waiting]
    if as_json:
        print_json(rows)
        return
    if not rows:
        typer.echo("nothing waits for a payment" if waiting else "nothing was ordered to be paid by invoice")
        return
    table = new_table("", *(name.replace("_", " ") for name in rows[0]), right=("invoices",))
    for row in rows:
        table.add_row(*("" if value is None else str(value) for value in row.values()))
    screen().print(table)


@app.command()
def paid(
    tenant: Tenant,
    until: Day,
    number: Annotated[str, typer.Option("--number", help="The invoice's.")],
    total: Annotated[Decimal, typer.Option("--total", parser=an_amount, metavar="AMOUNT", help="What was paid.")],
    currency: Annotated[str, typer.Option("--currency", help="Of the total (ISO 4217).")],
) -> None:
    """Note an invoice that a tenant has paid: its plan runs from what was paid before to that day."""
    here = operator(tenant, at_command_line("billing paid"))
    container().note_payment(here, until=until, number=number, total=total, currency=currency)
    typer.echo(f"Noted: paid to the end of {until}. It counts as soon as a worker has looked at it.")


@app.command()
def end(tenant: Tenant, reason: Reason) -> None:
    """End what a tenant ordered to be paid by invoice, with what is paid; at once where nothing is."""
    ends = container().end_agreement(operator(tenant, at_command_line("billing end")), reason=reason)
    typer.echo("The order is taken back." if ends is None else f"It ends {_moment(ends)} UTC.")


@app.command()
def refresh(tenant: Tenant) -> None:
    """Have the provider asked what a tenant pays for."""
    job = container().refresh_billing(operator(tenant, at_command_line("billing refresh")))
    typer.echo(f"Queued: {job.id}")


def _limit(limit: Limit) -> str:
    if limit.soft == limit.hard:
        return "any" if limit.hard is None else f"{limit.hard:,f}"
    return " to ".join("any" if end is None else f"{end:,f}" for end in (limit.soft, limit.hard))


def _lines(state: BillingState) -> Iterator[tuple[str, str]]:
    entitlement, account = state.entitlement, state.account
    subscription, given = account.subscription, account.comp
    yield "plan", f"{entitlement.plan.title} ({entitlement.plan.key}, version {entitlement.plan.version})"
    yield "access", f"{entitlement.access.value}, {entitlement.reason}{_until(entitlement.until)}"
    if subscription is not None:
        bought = "an unknown price" if state.bought is None else f"{state.bought[0].key} by the {state.bought[1].value}"
        runs = f"{_moment(subscription.period_start)} to {_moment(subscription.period_end)}"
        ends = "" if subscription.cancel_at is None else f", ends {_moment(subscription.cancel_at)}"
        yield "subscription", f"{subscription.status.value}, {bought}, {runs}{ends}"
    if given is not None:
        yield "given", f"{given.plan_key}, version {given.plan_version}{_until(given.until)}: {given.reason}"
    for usage in state.usages:
        share = "" if usage.percent is None else f" ({usage.percent:.0f} %)"
        yield usage.meter.value, f"{usage.used:,f} of {_limit(usage.limit)} this month{share}"
    for name, fill in (("connections", state.connections), ("seats", state.seats)):
        yield name, f"{fill.used} of {'any' if fill.limit is None else fill.limit}"
    yield "held", f"{state.held:,}"
    asked = "never asked" if account.fetched_at is None else f"asked {_moment(account.fetched_at)}"
    yield "provider", f"{state.provider}, {asked}"


def _order(one: Agreed) -> Mapping[str, str | int | None]:
    agreement = one.agreement
    return {
        "tenant": str(agreement.tenant_id),
        "plan": agreement.price_id if one.bought is None else one.bought[0].key,
        "by_the": None if one.bought is None else one.bought[1].value,
        "state": "taken back" if one.subscription is None else one.subscription.status.value,
        "ordered": _moment(agreement.ordered_at),
        "runs_until": None if agreement.runs_until is None else _moment(agreement.runs_until),
        "ends": None if agreement.ends_at is None else _moment(agreement.ends_at),
        "invoices": len(agreement.invoices),
    }


def _until(moment: datetime | None) -> str:
    return "" if moment is None else f" until {_moment(moment)}"


def _moment(moment: datetime) -> str:
    return f"{moment.astimezone(UTC):%Y-%m-%d %H:%M}"
