"""The workspace, its promise and its privacy at the console."""

from __future__ import annotations

import html
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest
from dependency_injector import providers
from werkzeug.test import TestResponse

from core.domain.decisions import Stage
from core.domain.evaluations import EvaluationStatus
from core.domain.permissions import Role
from core.domain.tenants import TenantSettings
from entrypoints.api.app import create_app
from entrypoints.console.settings.evidence import at_most_wrong
from entrypoints.container import Container
from tests.integration.api_support import Api, new_tenant
from tests.integration.console_support import HOSTILE, IMAGE, SCRIPT, browser_of, is_harmless, send, version_on
from tests.integration.test_console_sign_in import ORIGIN, Browser
from tests.integration.test_evaluations import TrialsStub, bring_history

pytestmark = pytest.mark.slow

WORKSPACE, PROMISE, PRIVACY = "/settings", "/settings/promise", "/settings/privacy"


@pytest.fixture
def api(make_container: Callable[..., Container]) -> Api:
    container = make_container(embeddings="off", public_url=ORIGIN)
    return new_tenant(container, create_app(container).test_client())


@pytest.fixture
def owner(api: Api) -> Browser:
    return browser_of(api, Role.OWNER)


def form(**changed: Any) -> dict[str, Any]:
    """The form of the workspace as it stands on the page, but for what is changed."""
    return {
        "name": "A tenant",
        "time_zone": "Europe/Berlin",
        "default_currency": "EUR",
        "promise": "95",
        "spot_check_share": "0",
        "alone": ["rules", "similarity", "llm"],
        "similarity_threshold": "",
        "llm_threshold": "",
        "pack": "bank",
        "queue_limit": "",
        "llm_monthly_cap": "",
        **changed,
    }


def settings(api: Api) -> TenantSettings:
    found: TenantSettings = api.container.get_tenant(api.actor).settings
    return found


def patch(api: Api, changes: dict[str, Any]) -> None:
    assert api.call("PATCH", "/tenant", changes).status_code == 200


def text(page: TestResponse) -> str:
    return html.unescape(page.text)


def test_the_workspace_shows_how_it_is_set_and_what_a_promise_means(owner: Browser) -> None:
    page = owner.open(WORKSPACE)
    assert page.status_code == 200
    said = text(page)
    assert "Of 100 records that are sorted automatically, at most 5 may be wrong." in said
    assert "nothing that was decided alone has been checked" in said
    assert "Off: no LLM is configured" in said
    assert "216 rules" in said
    assert "Nobody has checked any of them yet" in said
    assert '<option value="Europe/Berlin">' in said
    assert page.headers["Cache-Control"] == "no-store"


@pytest.mark.parametrize(
    ("promise", "said"),
    [
        (0.95, "Of 100 records that are sorted automatically, at most 5 may be wrong."),
        (0.975, "Of 1,000 records that are sorted automatically, at most 25 may be wrong."),
        (0.9995, "Of 10,000 records that are sorted automatically, at most 5 may be wrong."),
        (0.99999, "Of 10,000 records that are sorted automatically, at most 0.1 may be wrong."),
        (0.0, "Of 100 records that are sorted automatically, at most 100 may be wrong."),
    ],
)
def test_a_promise_is_told_in_whole_records(promise: float, said: str) -> None:
    assert at_most_wrong(promise) == said


def test_a_promise_that_nothing_can_keep_says_so() -> None:
    assert "nearly everything goes to a person" in at_most_wrong(1.0)


def test_everything_of_the_workspace_is_changed_by_one_form(api: Api, owner: Browser) -> None:
    kept = settings(api)
    changed = form(
        name="Harbour Books",
        time_zone="Asia/Tokyo",
        default_currency="jpy",
        promise="97.5 %",
        spot_check_share="3",
        alone=["rules"],
        similarity_threshold="99",
        trusted_packs=["bank"],
        queue_limit="1,200",
        llm_monthly_cap="12.50",
    )
    answer = send(owner, WORKSPACE, changed, WORKSPACE)
    assert (answer.status_code, answer.headers["Location"]) == (303, WORKSPACE)
    tenant = api.container.get_tenant(api.actor)
    assert (tenant.name, tenant.time_zone) == ("Harbour Books", "Asia/Tokyo")
    assert tenant.settings == TenantSettings(
        default_currency="JPY",
        promise=0.975,
        spot_check_share=0.03,
        alone=("rules",),
        similarity_threshold=0.99,
        trusted_packs=("bank",),
        queue_limit=1_200,
        llm_monthly_cap=Decimal("12.50"),
        log_retention_days=kept.log_retention_days,
    )
    page = text(owner.open(WORKSPACE))
    assert "Saved." in page
    assert 'value="97.5"' in page
    assert "at most 25 may be wrong" in page


def test_what_does_not_hold_is_told_beside_its_field_and_nothing_typed_is_lost(api: Api, owner: Browser) -> None:
    typed = form(
        name=HOSTILE + "\x07",
        time_zone="Atlantis/" + IMAGE,
        default_currency="12" + SCRIPT,
        promise="101",
        spot_check_share="many",
        similarity_threshold="-1",
        llm_threshold="NaN",
        queue_limit="0",
        llm_monthly_cap="1e99",
    )
    answer = send(owner, WORKSPACE, typed, WORKSPACE)
    assert answer.status_code == 422
    assert is_harmless(answer)
    said = text(answer)
    for name in ("promise", "queue_limit", "llm_monthly_cap", "time_zone", "default_currency", "similarity_threshold"):
        assert f'id="{name}-error"' in said, name
        assert typed[name] in said, name
    assert answer.text.count("invalid-note") == 9
    assert settings(api) == TenantSettings(spot_check_share=0.0)


def test_a_cap_is_an_amount_that_can_be_kept(owner: Browser) -> None:
    for cap in ("0.123456789", "-1", "1000000000", "ten", "9" * 50):
        answer = send(owner, WORKSPACE, form(llm_monthly_cap=cap), WORKSPACE)
        assert (answer.status_code, 'id="llm_monthly_cap-error"' in answer.text) == (422, True), cap


def test_a_comma_groups_thousands_and_is_no_point(api: Api, owner: Browser) -> None:
    for name, wrong in (
        ("llm_monthly_cap", ("12,50", "0,500", "1,2345", "1,00,000", "12.500,00", "1000,000", ",5", "5,")),
        ("queue_limit", ("12,50", "0,500", "1000,000", "1,000,", "1,000.5")),
        ("promise", ("97,5", "0,975")),
        ("spot_check_share", ("2,5",)),
    ):
        for given in wrong:
            answer = send(owner, WORKSPACE, form(**{name: given}), WORKSPACE)
            assert (answer.status_code, f'id="{name}-error"' in answer.text) == (422, True), (name, given)
            assert f'value="{given}"' in answer.text
    assert settings(api) == TenantSettings(spot_check_share=0.0)
    grouped = form(llm_monthly_cap="1,250.50", queue_limit="12,500")
    assert send(owner, WORKSPACE, grouped, WORKSPACE).status_code == 303
    assert (settings(api).llm_monthly_cap, settings(api).queue_limit) == (Decimal("1250.50"), 12_500)


def test_saving_rounds_nothing_that_was_not_touched(api: Api, owner: Browser) -> None:
    patch(api, {"settings": {"promise": 0.951234567891234, "trusted_packs": ["another"]}})
    version = version_on(owner.open(WORKSPACE))
    shown = form(promise="95.12345679", name="Other", version=version)
    assert owner.send(WORKSPACE, shown).status_code == 303
    assert settings(api).promise == 0.951234567891234
    assert settings(api).trusted_packs == ("another",), "what has no rules here is not on the form, and stays"


def test_nothing_is_written_where_nothing_was_changed(api: Api, owner: Browser) -> None:
    before = api.container.get_tenant(api.actor).version
    answer = send(owner, WORKSPACE, form(), WORKSPACE)
    assert answer.status_code == 303
    assert api.container.get_tenant(api.actor).version == before
    assert "Nothing was changed." in owner.open(WORKSPACE).text


def test_two_people_do_not_write_over_each_other(api: Api, owner: Browser) -> None:
    stale = version_on(owner.open(WORKSPACE))
    patch(api, {"name": "Early"})
    for path, typed in ((WORKSPACE, form(name="Late")), (PRIVACY, {"record_retention_days": "7"})):
        answer = owner.send(path, {**typed, "version": stale})
        assert answer.status_code == 409
        assert "Somebody changed this meanwhile" in answer.text
        assert 'value="Late"' in answer.text or 'value="7"' in answer.text
        tenant = api.container.get_tenant(api.actor)
        assert (tenant.name, tenant.settings.record_retention_days) == ("Early", None)
        assert owner.send(path, {**typed, "version": "none"}).status_code == 422


def test_who_may_not_change_it_reads_it_without_a_form(api: Api, owner: Browser) -> None:
    for role in (Role.VIEWER, Role.ADMIN):
        browser = browser_of(api, role)
        for path in (WORKSPACE, PRIVACY):
            page = browser.open(path)
            assert page.status_code == 200
            assert 'type="submit">Save' not in page.text
            assert browser.send("/account", form(version="1"), path).status_code == 403
    assert "Owners change it" in text(browser_of(api, Role.REVIEWER).open(WORKSPACE))


def test_the_promise_is_shown_by_stage_and_month(api: Api, owner: Browser) -> None:
    patch(api, {"settings": {"spot_check_share": 0.02}})
    page = text(owner.open(PROMISE))
    assert "95 % is promised" in page
    assert "Nobody can tell yet" in page
    assert "more checks may tell" in page
    for stage in ("Rules", "Similarity", "Language model"):
        assert f'<th scope="row">{stage}</th>' in page
    assert "It takes 200 records that people decided." in page
    patch(api, {"settings": {"spot_check_share": 0}})
    assert "nobody will ever know" in owner.open(PROMISE).text


def tighten(api: Api, stage: Stage) -> None:
    with api.container.uow().begin(api.actor) as tx:
        watch = tx.promises.hold([stage], 0.95)[stage]
        tx.promises.put([watch.again(datetime.now(UTC), promise=0.95, strictness=3)])
        tx.commit()


def test_an_owner_lets_a_stage_decide_as_before(api: Api, owner: Browser) -> None:
    assert "Decide as before" not in owner.open(PROMISE).text
    tighten(api, Stage.SIMILARITY)
    page = owner.open(PROMISE).text
    assert 'class="words">decides nothing alone' in page
    to = f"{PROMISE}/stages/similarity/reset"
    assert to in page
    assert to not in browser_of(api, Role.ADMIN).open(PROMISE).text
    assert owner.send(PROMISE, {}, to).status_code == 303
    assert 'class="words">decides nothing alone' not in owner.open(PROMISE).text
    for unknown in ("human", "nothing"):
        assert owner.send(PROMISE, {}, f"{PROMISE}/stages/{unknown}/reset").status_code == 404


def test_a_trial_says_what_it_lacks_with_what_was_typed(owner: Browser) -> None:
    answer = owner.send(PROMISE, {"promise": "98.5"}, f"{PROMISE}/trials")
    assert answer.status_code == 422
    assert "People decided 0 records so far; this takes 200." in text(answer)
    assert 'value="98.5"' in answer.text
    wrong = owner.send(PROMISE, {"promise": HOSTILE, "with_rules": "on"}, f"{PROMISE}/trials")
    assert (wrong.status_code, 'id="promise-error"' in wrong.text) == (422, True)
    assert is_harmless(wrong)


def test_a_promise_is_tried_on_what_people_decided(api: Api, owner: Browser) -> None:
    bring_history(api, 200)
    started = owner.send(PROMISE, {"promise": "98", "with_rules": "on"}, f"{PROMISE}/trials")
    assert started.status_code == 303
    here = started.headers["Location"]
    page = owner.open(here)
    assert "A promise of 98.0 %, tried" in page.text
    assert "waits for a worker" in page.text
    state = owner.open(f"{here}/state")
    assert state.json == {"state": "waits for a worker", "asked": 0, "of": 0, "ended": False}
    again = owner.client.get(f"{here}/state", base_url=ORIGIN, headers={"If-None-Match": state.headers["ETag"]})
    assert again.status_code == 304
    assert owner.send(PROMISE, {"promise": "90"}, f"{PROMISE}/trials").status_code == 409, "one at a time"
    api.container.trials.override(providers.Object(TrialsStub()))
    api.drain()
    assert owner.open(f"{here}/state").json["ended"] is True
    done = text(owner.open(here))
    assert "100.0 %" in done
    assert "Most often taken for something else" in done
    assert "Your rules acted, and flatter." in done
    assert f'href="{here}"' in browser_of(api, Role.VIEWER).open(PROMISE).text
    workspace = text(owner.open(WORKSPACE))
    assert "What another promise would mean" in workspace
    assert "98.0 %" in workspace


def test_a_trial_that_failed_says_what_to_do_and_is_no_strangers(api: Api, owner: Browser) -> None:
    bring_history(api, 200)
    here = owner.send(PROMISE, {"promise": "98"}, f"{PROMISE}/trials").headers["Location"]
    found = api.container.get_evaluation(api.actor, UUID(here.rsplit("/", 1)[1]))
    with api.container.uow().begin(api.actor) as tx:
        tx.evaluations.update(replace(found, status=EvaluationStatus.FAILED, failure=HOSTILE))
        tx.commit()
    page = owner.open(here)
    assert is_harmless(page)
    assert f'href="/jobs/{found.job_id}"' in page.text
    assert is_harmless(owner.open(PROMISE))
    stranger = browser_of(new_tenant(api.container, api.client, "Another"), Role.ADMIN)
    for path in (here, f"{here}/state"):
        assert stranger.open(path).status_code == 404


def test_retention_is_set_and_taken_back(api: Api, owner: Browser) -> None:
    days = {"record_retention_days": "3,650", "payload_retention_days": "7", "log_retention_days": "365"}
    confirm = "record_retention_days=3650,payload_retention_days=7,log_retention_days=365"
    assert send(owner, PRIVACY, {**days, "confirm": confirm}, PRIVACY).status_code == 303
    found = settings(api)
    assert (found.record_retention_days, found.payload_retention_days, found.log_retention_days) == (3_650, 7, 365)
    page = text(browser_of(api, Role.VIEWER).open(PRIVACY))
    assert "3,650 days" in page
    assert send(owner, PRIVACY, dict.fromkeys(days, ""), PRIVACY).status_code == 303
    assert settings(api).record_retention_days is None
    bad = send(owner, PRIVACY, days | {"record_retention_days": "0", "log_retention_days": SCRIPT}, PRIVACY)
    assert (bad.status_code, bad.text.count("invalid-note")) == (422, 2)
    assert is_harmless(bad)
    assert settings(api).payload_retention_days is None


def test_nothing_is_kept_shorter_before_it_is_confirmed(api: Api, owner: Browser) -> None:
    def save(records: str, log: str, confirm: str = "") -> TestResponse:
        days = {"record_retention_days": records, "payload_retention_days": "", "log_retention_days": log}
        return send(owner, PRIVACY, days | ({"confirm": confirm} if confirm else {}), PRIVACY)

    def kept() -> tuple[int | None, int | None]:
        return settings(api).record_retention_days, settings(api).log_retention_days

    asked = save("365", "")
    assert (asked.status_code, kept()) == (409, (None, None))
    said = text(asked)
    assert "records that occurred more than 365 days ago" in said
    assert "who acted, and from where, in what happened" not in said
    assert ('value="365"' in said, 'value="record_retention_days=365"' in said) == (True, True)
    for confirm in ("record_retention_days=366", "log_retention_days=365", "on"):
        assert (save("365", "", confirm).status_code, kept()) == (409, (None, None)), "another one was confirmed"
    assert (save("365", "", "record_retention_days=365").status_code, kept()) == (303, (365, None))
    assert (save("400", "").status_code, kept()) == (303, (400, None)), "longer: nothing is deleted by it"
    both = save("399", "1")
    assert (both.status_code, kept()) == (409, (400, None))
    assert "in what happened more than 1 day ago" in text(both)
    assert (save("", "").status_code, kept()) == (303, (None, None))


def test_a_form_of_before_is_not_asked_about_but_refused(api: Api, owner: Browser) -> None:
    stale = version_on(owner.open(PRIVACY))
    patch(api, {"settings": {"record_retention_days": 10}})
    answer = owner.send(PRIVACY, {"record_retention_days": "7", "version": stale})
    assert (answer.status_code, "meanwhile" in answer.text, 'name="confirm"' in answer.text) == (409, True, False)


def test_privacy_tells_how_long_sessions_are_kept(make_container: Callable[..., Container]) -> None:
    container = make_container(embeddings="off", public_url=ORIGIN, job_retention_days=7.0)
    owner = browser_of(new_tenant(container, create_app(container).test_client()), Role.OWNER)
    assert "<dt>Sessions that ended</dt><dd>7 days</dd>" in owner.open(PRIVACY).text


def test_privacy_tells_what_leaves_and_how_all_is_given_out(api: Api, owner: Browser) -> None:
    patch(api, {"name": HOSTILE})
    page = owner.open(PRIVACY)
    assert is_harmless(page)
    said = text(page)
    assert "Nothing leaves to a language model" in said
    assert "Rent May, from [IBAN], card [CARD], [EMAIL] or [PHONE]" in said
    assert f"sortation tenants export {api.tenant_id} everything.zip" in said
    assert f"sortation events verify --tenant {api.tenant_id}" in said
    assert f"sortation tenants erase {api.tenant_id}" in said
    assert "tenants erase" not in browser_of(api, Role.ADMIN).open(PRIVACY).text


def test_the_command_to_erase_survives_any_name(api: Api, owner: Browser) -> None:
    patch(api, {"name": 'Ada\'s "$(ls)" & sons'})
    said = text(owner.open(PRIVACY))
    assert """--name 'Ada'"'"'s "$(ls)" & sons'""" in said
