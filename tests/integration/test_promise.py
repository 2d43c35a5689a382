"""What is promised and how it is kept, over the API."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from core.domain.decisions import Stage
from core.domain.tenants import TenantSettings
from tests.integration.api_support import Api
from tests.integration.rule_support import bring, everything, items, rule, save


@pytest.fixture
def checked(api: Api) -> Api:
    """A rule decides, and every second of its records is checked."""
    settings = TenantSettings(spot_check_share=0.5, promise=0.9)
    api.container.change_tenant(api.actor, version=None, settings=settings)
    save(api, rule(api, "ZQX", "food.groceries"))
    return api


def answer(api: Api, n: int, *, wrong: int = 0) -> list[dict[str, Any]]:
    """Answers `n` open spot checks of the rule's records, the first `wrong` of them against it."""
    rent = api.category("housing.rent")
    open_ones = [item for item in items(api).values() if item["suggested_id"]][:n]
    assert len(open_ones) == n
    for place, item in enumerate(open_ones):
        override = {"verdict": "override", "category_id": rent}
        api.post(f"/approvals/{item['id']}", override if place < wrong else {"verdict": "approve"})
    return open_ones


def promise(api: Api, **query: Any) -> dict[str, Any]:
    asked = "&".join(f"{name}={value}" for name, value in query.items())
    shown: dict[str, Any] = api.get(f"/dashboard/promise?{asked}")
    return shown


def stage(api: Api, name: str = "rules") -> dict[str, Any]:
    return next(s for s in promise(api)["stages"] if s["stage"] == name)


def told(api: Api, type: str) -> list[dict[str, Any]]:
    api.drain()
    return [event["payload"] for event in api.get(f"/events?type={type}")["items"]]


def test_nothing_is_known_of_a_tenant_without_records(api: Api) -> None:
    shown = promise(api)
    assert shown["overall"] == {
        "decided": 0,
        "automated": 0,
        "automation": None,
        "checked": 0,
        "precision": None,
        "interval": None,
        "status": "unknown",
        "words": "Unknown yet: nothing that was decided alone has been checked.",
        "to_tell": {"checks": 73, "days": None},
    }
    assert (shown["promised"], shown["months"]) == (0.95, [])
    assert [(s["stage"], s["strictness"], s["wanted"]) for s in shown["stages"]] == [
        ("rules", 0, 0.95),
        ("similarity", 0, 0.95),
        ("llm", 0, 0.95),
    ]


def test_what_was_decided_alone_is_measured_by_spot_checks(checked: Api) -> None:
    bring(checked, [*[f"ZQX QORBEL {n}" for n in range(60)], *[f"VUMBA {n}" for n in range(20)]])
    answer(checked, 20, wrong=1)
    shown = promise(checked, months=1)
    overall = shown["overall"]
    assert (overall["decided"], overall["automated"], overall["automation"]) == (80, 60, 0.75)
    assert (overall["checked"], overall["precision"]) == (20, pytest.approx(0.95))
    assert overall["interval"] == pytest.approx([0.764, 0.991], abs=0.001)
    assert overall["status"] == "unknown"
    assert overall["to_tell"]["checks"] > 50
    assert overall["to_tell"]["days"] >= overall["to_tell"]["checks"], "20 in 28 days"
    [month] = shown["months"]
    assert {name: month[name] for name in overall} == overall
    assert month["month"] == shown["since"][:7]
    rules, similarity, llm = shown["stages"]
    assert (rules["checked"], rules["automated"], rules["decided"]) == (20, 60, 80)
    assert (similarity["automated"], similarity["automation"], llm["precision"]) == (0, 0.0, None)


def test_an_answer_that_is_withdrawn_counts_no_longer(checked: Api) -> None:
    bring(checked, [f"ZQX QORBEL {n}" for n in range(30)])
    wrong, right = answer(checked, 2, wrong=1)
    assert stage(checked)["precision"] == pytest.approx(0.5)
    checked.post(f"/approvals/{wrong['id']}/withdraw")
    assert (stage(checked)["checked"], stage(checked)["precision"]) == (1, 1.0)
    again = items(checked)[wrong["record"]["id"]]
    checked.post(f"/approvals/{again['id']}", {"verdict": "approve"})
    assert (stage(checked)["checked"], stage(checked)["precision"]) == (2, 1.0)
    # Nor in the running test: it is as if both had been right from the start.
    with checked.container.uow().begin(checked.actor) as tx:
        [watch] = tx.promises.hold([Stage.RULES], 0.9).values()
    assert (watch.checks.checked, watch.checks.wrong) == (2, 0.0)
    assert right["id"] != again["id"]


def test_a_change_of_a_spot_checked_record_answers_its_check(checked: Api) -> None:
    bring(checked, [f"ZQX QORBEL {n}" for n in range(20)])
    waiting = items(checked)
    unasked = next(id for id in everything(checked) if id not in waiting)
    for id in (unasked, next(iter(waiting))):
        body = {"category_id": checked.category("housing.rent")}
        assert checked.call("PATCH", f"/records/{id}", body).status_code == 200
    assert (stage(checked)["checked"], stage(checked)["precision"]) == (1, 0.0), "corrections out of turn are no sample"
    assert stage(checked)["automated"] == 20


def test_a_stage_that_breaks_its_promise_is_tightened_once_with_its_evidence(checked: Api) -> None:
    bring(checked, [f"ZQX QORBEL {n}" for n in range(60)])
    answer(checked, 12, wrong=12)
    [event] = told(checked, "PROMISE_AT_RISK")
    assert (event["stage"], event["was"], event["strictness"], event["promise"]) == ("rules", 0, 1, 0.9)
    assert (event["precision"], event["since"]) == (0.0, None)
    assert event["checked"] < 12
    assert event["interval"][1] < 0.9
    tight = stage(checked)
    assert (tight["strictness"], tight["wanted"], tight["status"]) == (1, pytest.approx(0.95), "at_risk")
    assert "decide more strictly" in tight["words"]
    answer(checked, 5, wrong=5)
    assert len(told(checked, "PROMISE_AT_RISK")) == 1, "what was decided before says nothing of the stricter stage"


@pytest.mark.slow
def test_a_tightened_stage_is_eased_by_good_checks(checked: Api) -> None:
    with checked.container.uow().begin(checked.actor) as tx:
        [watch] = tx.promises.hold([Stage.RULES], 0.9).values()
        tx.promises.put([replace(watch, strictness=2, in_favour=480.0)])
        tx.commit()
    bring(checked, [f"ZQX QORBEL {n}" for n in range(40)])
    answer(checked, 1)
    assert stage(checked)["strictness"] == 2
    answer(checked, 1)
    [event] = told(checked, "PROMISE_KEPT")
    assert (event["stage"], event["was"], event["strictness"]) == ("rules", 2, 1)
    assert stage(checked)["strictness"] == 1


@pytest.mark.slow
def test_a_person_resets_a_stage(checked: Api) -> None:
    bring(checked, [f"ZQX QORBEL {n}" for n in range(60)])
    answer(checked, 12, wrong=12)
    assert checked.post("/dashboard/promise/rules/reset") == {"stage": "rules", "strictness": 0, "wanted": 0.9}
    [event] = told(checked, "PROMISE_RESET")
    assert (event["was"], event["strictness"]) == (1, 0)
    assert stage(checked)["strictness"] == 0
    assert stage(checked)["status"] == "at_risk", "by the interval still"
    for unknown in ("human", "nonsense"):
        assert checked.post(f"/dashboard/promise/{unknown}/reset", status=404)["code"] == "not_found"


def test_queries_are_checked(api: Api) -> None:
    for query in ("months=0", "months=37", "months=x", "month=1"):
        assert api.get(f"/dashboard/promise?{query}", 422)["code"] == "invalid"
