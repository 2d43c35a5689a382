"""What errors of sources mean for a connection, and that secrets show in none of them."""

from __future__ import annotations

import base64
import json
import logging
from dataclasses import asdict
from urllib.parse import quote, quote_plus
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.memory.clock import CountingIds
from adapters.system import SystemIds
from core.domain.connections import check_schedule, check_streams
from core.domain.health import (
    MASK,
    MAX_FAILURES,
    MAX_MESSAGE,
    Health,
    action_after_check,
    blacken,
    diagnose,
    first_line,
    jitter_of,
    secret_words,
    without_middle,
)
from core.errors import (
    ConfigInvalid,
    Invalid,
    PermissionDenied,
    PluginBug,
    PluginUnavailable,
    RateLimited,
    ReauthRequired,
    SchemaChanged,
    SecretUnreadable,
    Transient,
)
from core.usecases.shared.connection_log import GatheredLog

RETRIED = [ConfigInvalid, PermissionDenied, PluginBug, RateLimited, SchemaChanged, Transient]
texts = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00"), min_size=4, max_size=40)


@pytest.mark.parametrize("error", RETRIED)
def test_waits_grow_to_a_limit_until_it_is_paused(error: type[Exception]) -> None:
    code = error.code  # type: ignore[attr-defined]
    waits = []
    for failures in range(MAX_FAILURES - 1):
        means = diagnose(code, failures=failures, jitter=0.5)
        assert (means.health, means.failures) == (Health.DEGRADED, failures + 1)
        assert means.retry_seconds is not None
        waits.append(means.retry_seconds)
    assert waits == sorted(waits)
    assert waits[1] == 2 * waits[0]
    assert waits[-1] <= 86_400
    paused = diagnose(code, failures=MAX_FAILURES - 1, jitter=0.5)
    assert (paused.health, paused.retry_seconds) == (Health.PAUSED, None)
    assert "resume" in paused.action


def test_what_only_a_person_can_mend_is_not_tried_again() -> None:
    means = diagnose(ReauthRequired.code, failures=0, jitter=0.5)
    assert (means.health, means.retry_seconds) == (Health.REAUTH, None)
    assert means.action


@pytest.mark.parametrize(
    ("code", "health"),
    [(PluginUnavailable.code, Health.PLUGIN_MISSING), (SecretUnreadable.code, Health.REAUTH)],
)
def test_a_missing_plugin_or_key_is_looked_for_without_end_and_counts_as_no_failure(code: str, health: Health) -> None:
    means = diagnose(code, failures=MAX_FAILURES + 5, jitter=0.0)
    assert (means.health, means.failures, means.retry_seconds) == (health, MAX_FAILURES + 5, 300.0)


def test_who_declared_what_a_source_answers_mends_that() -> None:
    for declared, says in ((True, "what the configuration says"), (False, "Update the plugin")):
        means = diagnose(SchemaChanged.code, failures=0, jitter=0.0, declared=declared)
        assert says in means.action
        assert says in action_after_check(SchemaChanged.code, declared=declared)


def test_a_check_promises_nothing_by_itself() -> None:
    for error in (*RETRIED, ReauthRequired, SecretUnreadable, PluginUnavailable):
        action = action_after_check(error.code)
        assert action
        assert "by itself" not in action
    assert action_after_check(Transient.code) == "Try again."


@given(jitter=st.floats(0, 1, exclude_max=True), failures=st.integers(0, 8), asked=st.none() | st.floats(0, 10_000))
def test_what_the_source_asks_for_is_honoured(jitter: float, failures: int, asked: float | None) -> None:
    wait = diagnose("rate_limited", failures=failures, jitter=jitter, retry_after=asked).retry_seconds
    assert wait is not None
    assert wait >= max(asked or 0.0, 30.0)
    assert wait <= max(asked or 0.0, 60.0 * 2**failures)


def test_jitter_differs_from_job_to_job_and_not_for_the_same() -> None:
    ids = SystemIds().batch(200)
    drawn = [jitter_of(id) for id in ids]
    assert drawn == [jitter_of(id) for id in ids]
    assert all(0 <= one < 1 for one in drawn)
    assert 0.3 < sum(drawn) / len(drawn) < 0.7
    assert jitter_of(UUID(int=0)) == 0.0


@given(secret=texts.filter(lambda text: bool(text.strip())), before=texts, after=texts)
def test_a_secret_shows_in_none_of_its_forms(secret: str, before: str, after: str) -> None:
    words = secret_words({"key": {"nested": [secret]}})
    for form in (
        secret,
        quote(secret, safe=""),
        quote_plus(secret),
        json.dumps(secret),
        repr(secret),
        base64.b64encode(secret.encode()).decode(),
    ):
        plain = form.strip("\"'") if form.startswith(('"', "'")) else form
        shown = blacken(f"{before}¦{form}¦{after}", words)
        assert MASK in shown
        assert f"¦{plain}¦" not in shown


def test_secrets_of_every_kind_are_covered() -> None:
    pem = "-----BEGIN KEY-----\nMIIEvQIBADANBg\n-----END KEY-----"
    words = secret_words({"a": "short", "b": "short-and-longer", "pin": 4711, "flag": True, "none": None, "pem": pem})
    assert blacken("short-and-longer", words) == MASK, "the longest first"
    assert blacken("pin 4711, True, None", words) == f"pin {MASK}, True, None"
    assert "MIIE" not in blacken("at line MIIEvQIBADANBg of it", words)
    assert secret_words({}) == secret_words({"x": " ", "y": ""}) == ()


def test_a_stored_message_is_one_short_line_that_postgres_takes() -> None:
    assert first_line("\n\n  first \nsecond") == "  first "
    assert first_line("x" * 1_000) == "x" * MAX_MESSAGE
    assert first_line("a\x00b\ud800") == "ab?"
    secret = "canary" * 10
    cut = first_line("x" * (MAX_MESSAGE - 5) + secret, secret_words({"s": secret}))
    assert "canary" not in cut, "masked before it is cut"


@pytest.mark.parametrize("most", [4, 5, 300, 1_000])
def test_a_long_text_keeps_its_beginning_and_most_of_its_end(most: int) -> None:
    text = f"begin{'x' * 5_000}end"
    short = without_middle(text, most)
    head, _, tail = short.partition("…")
    assert len(short) == most
    assert text.startswith(head)
    assert text.endswith(tail)
    assert len(tail) > len(head)
    assert without_middle(text[:most], most) == text[:most]


def test_lines_are_kept_without_secrets_and_only_the_latest() -> None:
    log = GatheredLog(secret_words({"key": "canary-secret"}))
    for n in range(1_500):
        log.logger.info("line %d of canary-secret", n)
    try:
        raise ValueError("x" * 2_000 + " canary-secret")
    except ValueError:
        log.logger.exception("failed")
    log.logger.debug("not kept")
    written: list[str] = []

    class Syncs:
        def log(self, connection_id: UUID, lines: list[object]) -> None:
            written.extend(asdict(line)["text"] for line in lines)  # type: ignore[call-overload]

    class Transaction:
        syncs = Syncs()

    count = log.written(Transaction(), UUID(int=1), CountingIds())  # type: ignore[arg-type]
    assert count == len(written) == 1_000
    assert written[0] == f"line 501 of {MASK}"
    assert written[-1].startswith("failed\nTraceback")
    assert written[-1].endswith(MASK)
    assert len(written[-1]) <= 1_000
    log.forget(count)
    assert log.written(Transaction(), UUID(int=1), CountingIds()) == 0  # type: ignore[arg-type]
    assert "sortation.connection" not in logging.root.manager.loggerDict


@pytest.mark.parametrize("seconds", [0, 59, 31 * 86_400 + 1, -60])
def test_a_schedule_has_bounds(seconds: int) -> None:
    with pytest.raises(Invalid):
        check_schedule(seconds)
    assert check_schedule(None) is None
    assert check_schedule(60) == 60


def test_streams_are_distinct_and_named() -> None:
    assert check_streams(("b", "a", "b")) == ("b", "a")
    assert check_streams(None) is None
    for wrong in ((), ("",), ("x" * 201,), ("\x00",)):
        with pytest.raises(Invalid):
            check_streams(wrong)
