"""A call of the LLM within the tenant's means, and accounted whatever becomes of the job that made it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import date, timedelta
from decimal import Decimal
from uuid import UUID

from core.domain.llm import LlmAnswer, LlmQuestion
from core.domain.llm_questions import merged
from core.domain.llm_spending import LlmSpend, month_of, spend_of
from core.domain.tenants import Actor, Tenant
from core.errors import LlmCapReached, LlmRefused, LlmUnavailable
from ports.clock import Clock, Ids
from ports.llm import Llm
from ports.storage import Transaction, UnitOfWork

Note = Callable[[Transaction, date, Decimal, Decimal], None]
"""Told a month, and its cost before and after a call."""
KEPT = timedelta(days=90)
"""How long an answer is kept and given again: models change behind their names."""


def why_no_call(cap: Decimal | None, llm: Llm) -> str | None:
    """Why a tenant with this cap is never asked about anything; None if they are, as far as the cap allows."""
    if cap is None or llm.priced:
        return None
    return "a monthly LLM cap is set, but no prices are configured here, so it could not be kept"


def call(
    questions: Mapping[bytes, LlmQuestion],
    actor: Actor,
    tenant: Tenant,
    *,
    llm: Llm,
    note: Note,
    uow: UnitOfWork,
    clock: Clock,
    ids: Ids,
) -> dict[bytes, LlmAnswer]:
    """The answers to questions, by their keys, out of one request.

    Before it, what it may cost is set aside, so that calls at once can't exceed the cap together. After it, what it
    took and what it brought is stored in a transaction of its own, in which `note` is called: a job that then fails, or
    loses its lease, has lost no spending, and its next attempt finds the answers. Where the worker itself is lost in
    between, what was set aside stays so for the month. Raises `LlmCapReached` (nothing was sent), `LlmUnavailable` or
    `LlmRefused`.
    """
    request, now = merged(list(questions.values())), clock.now()
    reservation = _reserve(llm.estimate(request).at_most, actor, tenant, llm=llm, uow=uow, clock=clock, ids=ids)
    try:
        reply = llm.classify(request)
    except (LlmUnavailable, LlmRefused) as error:
        usage = error.details.get("usage")
        if usage is not None:
            with uow.begin(actor) as tx:
                _settle(tx, reservation, month_of(now), spend_of(usage, 0), note)
                tx.commit()
        raise
    answers = dict(zip(questions, reply.answers, strict=True))
    with uow.begin(actor) as tx:
        tx.llm_answers.put({key: answer for key, answer in answers.items() if not answer.fault})
        tx.llm_answers.forget(now - KEPT)
        _settle(tx, reservation, month_of(now), spend_of(reply.usage, len(answers)), note)
        tx.commit()
    return answers


def _settle(tx: Transaction, reservation: UUID | None, month: date, spend: LlmSpend, note: Note) -> None:
    tx.llm_usages.settle(reservation, month, spend)
    after = tx.llm_usages.since(month)[-1].spend.cost
    note(tx, month, after - spend.cost, after)


def _reserve(
    cost: Decimal | None, actor: Actor, tenant: Tenant, *, llm: Llm, uow: UnitOfWork, clock: Clock, ids: Ids
) -> UUID | None:
    cap = tenant.settings.llm_monthly_cap
    if (reason := why_no_call(cap, llm)) is not None:
        raise LlmCapReached(reason)
    if cost is None:
        return None
    reservation = ids.new()
    with uow.begin(actor) as tx:
        if not tx.llm_usages.reserve(reservation, month_of(clock.now()), cost, cap):
            raise LlmCapReached(f"the monthly LLM cap of {cap:f} USD is reached")
        tx.commit()
    return reservation
