"""docs/billing.md tells the plans, states and events that the code has."""

from __future__ import annotations

import json
import re
from datetime import timedelta

import pytest

from core.domain.billing import PLAN_SETTLES, SubscriptionStatus
from core.domain.plans import MOST_KEPT_DAYS, MOST_TRIAL_DAYS, Feature, Interval, Meter, catalog_from
from core.usecases import payment_events, usage_reports
from core.usecases.shared.admitting import ASKED_EVERY
from entrypoints.settings import load_settings
from entrypoints.worker.relay import BILLING_SECONDS
from tests.architecture.test_imports import ROOT

PAGE = (ROOT / "docs" / "billing.md").read_text()
AUDIT = (ROOT / "docs" / "audit.md").read_text()
EXAMPLE = re.search(r"```json\n(.*?)```", PAGE, re.DOTALL)
HOUR, MINUTE, DAY = timedelta(hours=1), timedelta(minutes=1), timedelta(days=1)


def part(heading: str) -> str:
    found = re.search(rf"^#+ {heading}\n(.*?)(?=^#)", PAGE + "\n#", re.DOTALL | re.MULTILINE)
    assert found is not None, heading
    return found[1]


def test_the_example_is_a_list_of_plans() -> None:
    assert EXAMPLE is not None
    catalog = catalog_from(json.loads(EXAMPLE[1]))
    free, team, _ = catalog.offered()
    assert (free.key, free.seats, free.features) == ("free", 2, frozenset())
    assert team.limit(Meter.RECORDS).hard == 60_000
    assert team.features == frozenset(Feature)
    assert catalog.of_price("price_1C...") == (team, Interval.MONTH)
    assert team.meters == {Meter.RECORDS: "sortation_records"}


def test_every_status_has_its_access() -> None:
    table = part("From payment to access")
    assert [status for status in SubscriptionStatus if f"`{status}`" not in table] == []


def test_every_event_of_payments_is_explained() -> None:
    [row] = re.findall(r"^\| payments and plans \| (.*)$", AUDIT, re.MULTILINE)
    assert set(re.findall(r"`([A-Z_]+)`", row)) == set(re.findall(r"`([A-Z_]{6,})`", part("What is told"))) - {
        "SORTATION_WORKER_STREAMS"
    }


@pytest.mark.parametrize(
    "told",
    [
        f"`SORTATION_GRACE_DAYS` ({load_settings({}).grace_days:g})",
        f"up to {MOST_TRIAL_DAYS}",
        f"1 to {MOST_KEPT_DAYS:,}",
        f"has had that plan for {PLAN_SETTLES // DAY} days",
        f"looks every {BILLING_SECONDS:g} seconds",
        f"{payment_events.KEPT_DAYS:g} days",
        f"again for {usage_reports.RETRIED_FOR // HOUR} hours",
    ],
)
def test_the_page_tells(told: str) -> None:
    assert told in " ".join(PAGE.split())


def test_how_often_is_told_in_words() -> None:
    page = " ".join(PAGE.split())
    assert (ASKED_EVERY, "every five minutes at most" in page) == (5 * MINUTE, True)
    assert (payment_events.RECONCILED_EVERY, "asked about once a day" in page) == (DAY.total_seconds(), True)
    assert (payment_events.REPORTED_EVERY, "are sent every hour" in page) == (HOUR.total_seconds(), True)
