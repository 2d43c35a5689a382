"""Owners are written when what their tenant may do changes, or its plan is nearly used up; and of other things."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from core.domain.billing import Access, Terms
from core.domain.jobs import NewJob, Stream
from core.domain.permissions import Role
from core.domain.plans import Meter
from ports.clock import Ids
from ports.storage import Transaction

NOTICE = "billing"
"""What `mail:send` calls it."""
_METERS = {Meter.RECORDS: "records", Meter.LLM_SPEND: "US dollars of the LLM"}
_AT_THE_END = {
    Meter.RECORDS: "What comes in beyond what the plan allows is kept, and sorted when there is room again.",
    Meter.LLM_SPEND: "When nothing is left of it, records go to review without being asked about.",
}
_CHANGED = {
    Access.FULL: ("Your plan", "You are on the plan {plan}{until}."),
    Access.GRACE: (
        "A payment is missing",
        "The last payment for the plan {plan} failed. Everything goes on{until}; after that, nothing can be changed"
        " until it is paid. Nothing is deleted.",
    ),
    Access.READ_ONLY: (
        "Read-only until it is paid",
        "The plan {plan} is not paid ({reason}). Everything can be read and exported; nothing can be changed, and what"
        " comes in is kept until it is paid. Nothing is deleted.",
    ),
}


def write_owners(tx: Transaction, notice: Mapping[str, Any], terms: Terms, max_attempts: int, *, ids: Ids) -> None:
    """Queues a mail to each owner, where there is a mail server; `mail` in the notice says what kind, if it is not of
    billing."""
    if not terms.mails:
        return
    owners = [user.id for user, membership in tx.members.list() if membership.role is Role.OWNER]
    mails = [{"mail": NOTICE, "user_id": str(owner), **notice} for owner in owners]
    tx.jobs.add([NewJob(id=ids.new(), stream=Stream.MAIL, payload=mail, max_attempts=max_attempts) for mail in mails])


def notice_words(notice: Mapping[str, Any]) -> tuple[str, str]:
    """The subject and the text of what `write_owners` was given."""
    if notice["notice"] == "usage":
        meter, percent, limit = Meter(notice["meter"]), notice["percent"], notice["limit"]
        used = "All" if percent >= 100 else f"{percent} %"
        text = f"{used} of this month's {limit} {_METERS[meter]} are used. {_AT_THE_END[meter]}"
        return f"{percent} % of the plan is used", text
    subject, text = _CHANGED[Access(notice["access"])]
    until = "" if notice["until"] is None else f" until {datetime.fromisoformat(notice['until']):%d %B %Y}"
    return subject, text.format(plan=notice["plan"], reason=notice["reason"], until=until)
