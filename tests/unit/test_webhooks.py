"""Whether a delivery comes from the connection's source, by what the schemes' own libraries sign."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import time
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import stripe
from hypothesis import given
from hypothesis import strategies as st
from standardwebhooks.webhooks import Webhook as StandardWebhook

from core.domain.plugins import Webhook, WebhookScheme
from core.domain.webhooks import Outcome, kept_headers, verify
from core.errors import WebhookRefused

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
SECRET = f"whsec_{base64.b64encode(b'0123456789abcdefghijklmn').decode()}"
OTHER = f"whsec_{base64.b64encode(b'another-secret-of-24-byt').decode()}"
STANDARD = Webhook(scheme=WebhookScheme.STANDARD)
STRIPE = Webhook(scheme=WebhookScheme.STRIPE)
GITHUB = Webhook(scheme=WebhookScheme.GITHUB)
HMAC = Webhook(scheme=WebhookScheme.HMAC, signature_header="X-Signature", id_header="X-Event")
UNSIGNED = Webhook(scheme=WebhookScheme.UNSIGNED)
BODY = b'{"id": "evt_1", "object": "event", "amount": "12.50"}'
BODY_DIGEST = hashlib.sha256(BODY).hexdigest()[:32]


def standard(body: bytes, *, id: str = "msg_1", at: datetime = NOW, secret: str = SECRET) -> dict[str, str]:
    signature = StandardWebhook(secret).sign(id, at, body.decode())
    return {"webhook-id": id, "webhook-timestamp": str(int(at.timestamp())), "webhook-signature": signature}


def stripes(body: bytes, *, at: datetime = NOW, secret: str = SECRET) -> dict[str, str]:
    stamp = int(at.timestamp())
    signature = stripe.WebhookSignature._compute_signature(f"{stamp}.{body.decode()}", secret)
    return {"stripe-signature": f"t={stamp},v1={signature},v0=6ffbb59b2300aae63f272406069a9788598b792a"}


def digest(body: bytes, secret: str = SECRET) -> str:
    return hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()


def github(body: bytes, secret: str = SECRET) -> dict[str, str]:
    return {"x-hub-signature-256": f"sha256={digest(body, secret)}", "x-github-delivery": "72d3162e-cc78-11e3"}


SIGNED = [
    (STANDARD, standard(BODY), "msg_1"),
    (STRIPE, stripes(BODY), "evt_1"),
    (GITHUB, github(BODY), f"72d3162e-cc78-11e3:{BODY_DIGEST}"),
    (HMAC, {"x-signature": digest(BODY), "x-event": "e-7"}, f"e-7:{BODY_DIGEST}"),
    (HMAC, {"x-signature": f"sha256={digest(BODY).upper()}", "x-event": "e-7"}, f"e-7:{BODY_DIGEST}"),
]
SCHEMES = pytest.mark.parametrize(("webhook", "headers", "id"), SIGNED)


def refused(webhook: Webhook, config: Mapping[str, Any], headers: Mapping[str, str], body: bytes = BODY) -> Outcome:
    with pytest.raises(WebhookRefused) as refusal:
        verify(webhook, config, headers, body, NOW)
    assert str(refusal.value) == WebhookRefused.__doc__  # whoever calls learns no more
    return Outcome(refusal.value.details["outcome"])


@SCHEMES
def test_what_the_source_signed_is_taken(webhook: Webhook, headers: dict[str, str], id: str) -> None:
    assert verify(webhook, {"webhook_secret": SECRET}, headers, BODY, NOW) == id


@SCHEMES
def test_while_secrets_change_each_of_them_signs(webhook: Webhook, headers: dict[str, str], id: str) -> None:
    for secrets in ([OTHER, SECRET], [SECRET, OTHER], [f" {SECRET}\n"]):
        assert verify(webhook, {"webhook_secret": secrets}, headers, BODY, NOW) == id
    for config in ({"webhook_secret": OTHER}, {"webhook_secret": ""}, {"webhook_secret": []}, {}):
        assert refused(webhook, config, headers) is Outcome.FORGED


@SCHEMES
def test_another_body_or_signature_is_a_forgery(webhook: Webhook, headers: dict[str, str], id: str) -> None:
    config = {"webhook_secret": SECRET}
    assert refused(webhook, config, headers, BODY + b" ") is Outcome.FORGED
    name = next(name for name in headers if "signature" in name)
    for value in ("v1,AAAA", "t=1,v1=00", "sha256=00", "00", "v1,é", "sha256=zz", "t=1772366400,v1=٣"):
        assert refused(webhook, config, {**headers, name: value}) in (Outcome.FORGED, Outcome.UNSIGNED)
    assert refused(webhook, config, {n: v for n, v in headers.items() if n != name}) is Outcome.UNSIGNED


@pytest.mark.parametrize("seconds", [-301, 301, 86_400])
def test_what_is_too_old_or_from_the_future_is_refused(seconds: int) -> None:
    at = NOW + timedelta(seconds=seconds)
    assert refused(STANDARD, {"webhook_secret": SECRET}, standard(BODY, at=at)) is Outcome.STALE
    assert refused(STRIPE, {"webhook_secret": SECRET}, stripes(BODY, at=at)) is Outcome.STALE
    forged = {**standard(BODY, at=at), "webhook-signature": "v1,AAAA"}
    assert refused(STANDARD, {"webhook_secret": SECRET}, forged) is Outcome.FORGED


@pytest.mark.parametrize("seconds", [-299, 0, 299])
def test_clocks_may_differ_a_little(seconds: int) -> None:
    at = NOW + timedelta(seconds=seconds)
    assert verify(STANDARD, {"webhook_secret": SECRET}, standard(BODY, at=at), BODY, NOW) == "msg_1"
    assert verify(STRIPE, {"webhook_secret": SECRET}, stripes(BODY, at=at), BODY, NOW) == "evt_1"


def test_the_time_and_the_id_are_signed_too() -> None:
    headers, config = standard(BODY), {"webhook_secret": SECRET}
    later = str(int(NOW.timestamp()) + 60)
    assert refused(STANDARD, config, {**headers, "webhook-timestamp": later}) is Outcome.FORGED
    assert refused(STANDARD, config, {**headers, "webhook-id": "msg_2"}) is Outcome.FORGED
    moved = stripes(BODY)["stripe-signature"].replace("t=", "t=1").replace("t=11", "t=1")
    assert refused(STRIPE, config, {"stripe-signature": f"t={later},{moved.partition(',')[2]}"}) is Outcome.FORGED


def test_of_several_signatures_one_is_enough() -> None:
    rotated = standard(BODY, secret=OTHER)["webhook-signature"] + " v1a,ignored " + standard(BODY)["webhook-signature"]
    headers = {**standard(BODY), "webhook-signature": rotated}
    assert verify(STANDARD, {"webhook_secret": SECRET}, headers, BODY, NOW) == "msg_1"
    assert refused(STANDARD, {"webhook_secret": SECRET}, {**headers, "webhook-signature": "v2,x v1a,y"})


def test_what_is_not_signed_is_taken_where_the_owner_says_so_alone() -> None:
    for config in ({}, {"accept_unsigned": "yes"}, {"accept_unsigned": False}, {"webhook_secret": SECRET}):
        assert refused(UNSIGNED, config, {}) is Outcome.UNSIGNED
    assert verify(UNSIGNED, {"accept_unsigned": True}, {}, BODY, NOW).startswith("sha256:")


def test_equal_bodies_are_one_event_where_none_has_an_id() -> None:
    plain, config = Webhook(scheme=WebhookScheme.HMAC, signature_header="X-Signature"), {"webhook_secret": SECRET}
    first = verify(plain, config, {"x-signature": digest(BODY)}, BODY, NOW)
    assert first == f"sha256:{hashlib.sha256(BODY).hexdigest()}"
    other = BODY + b"\n"
    assert verify(plain, config, {"x-signature": digest(other)}, other, NOW) != first
    for body in (b'{"id": 7}', b"[1]", b"\xff", b'{"id": "a\\u0000b"}', b"[" * 100_000):
        headers = {"stripe-signature": f"t={int(NOW.timestamp())},v1=" + digest(b"%d." % NOW.timestamp() + body)}
        assert verify(STRIPE, config, headers, body, NOW).startswith("sha256:")


def test_an_id_of_any_length_has_its_place() -> None:
    headers = {"x-signature": digest(BODY), "x-event": "x" * 10_000}
    assert len(verify(HMAC, {"webhook_secret": SECRET}, headers, BODY, NOW)) == 71


def test_the_libraries_take_what_we_take() -> None:
    now = datetime.now(UTC)
    body = json.dumps({"id": "evt_1", "object": "event"}).encode()
    ours = stripes(body, at=now)
    assert stripe.Webhook.construct_event(body.decode(), ours["stripe-signature"], SECRET).id == "evt_1"  # type: ignore[no-untyped-call]
    assert verify(STRIPE, {"webhook_secret": SECRET}, ours, body, now) == "evt_1"
    assert StandardWebhook(SECRET).verify(body.decode(), standard(body, at=now))
    assert verify(STANDARD, {"webhook_secret": SECRET}, standard(body, at=now), body, now) == "msg_1"


@given(st.text(min_size=1, max_size=200), st.binary(max_size=64), st.sampled_from([STANDARD, STRIPE, GITHUB, HMAC]))
def test_nothing_but_a_signature_gets_in(signature: str, body: bytes, webhook: Webhook) -> None:
    stamp = str(int(NOW.timestamp()))
    headers = {
        "webhook-id": "1",
        "webhook-timestamp": stamp,
        "webhook-signature": f"v1,{signature}",
        "stripe-signature": f"t={stamp},v1={signature}",
        "x-hub-signature-256": f"sha256={signature}",
        "x-signature": signature,
    }
    assert refused(webhook, {"webhook_secret": [SECRET, OTHER]}, headers, body)


@given(st.binary(max_size=2_000), st.binary(min_size=1, max_size=64))
def test_any_body_and_secret_that_sign_are_taken(body: bytes, key: bytes) -> None:
    secret = base64.b64encode(key).decode()
    content = b"m." + str(int(NOW.timestamp())).encode() + b"." + body
    signature = base64.b64encode(hmac.digest(key, content, "sha256")).decode()
    headers = {
        "webhook-id": "m",
        "webhook-timestamp": str(int(NOW.timestamp())),
        "webhook-signature": f"v1,{signature}",
    }
    assert verify(STANDARD, {"webhook_secret": f"whsec_{secret}"}, headers, body, NOW) == "m"
    hexed = {"x-signature": hmac.digest(secret.encode(), body, "sha256").hex(), "x-event": "e"}
    assert verify(HMAC, {"webhook_secret": secret}, hexed, body, NOW) == f"e:{hashlib.sha256(body).hexdigest()[:32]}"


def test_a_forgery_takes_as_long_however_much_of_it_is_right() -> None:
    right = digest(BODY)
    config = {"webhook_secret": SECRET}

    def fastest(signature: str) -> float:
        times = []
        for _ in range(300):
            began = time.perf_counter()
            with pytest.raises(WebhookRefused):
                verify(HMAC, config, {"x-signature": signature}, BODY, NOW)
            times.append(time.perf_counter() - began)
        return min(times)

    nothing, nearly = fastest("0" * 64), fastest(right[:-1] + ("0" if right[-1] != "0" else "1"))
    assert max(nothing, nearly) < 2 * min(nothing, nearly)


def test_headers_that_let_people_in_are_not_kept() -> None:
    let_in = {"authorization": "Bearer x", "cookie": "y", "x-signature": "s", "webhook-signature": "v1,s"}
    assert kept_headers(HMAC, {**let_in, **stripes(BODY), **github(BODY), "x-event": "e"}) == {
        "x-event": "e",
        "x-github-delivery": "72d3162e-cc78-11e3",
    }


def test_a_former_body_takes_no_event_to_come_its_id() -> None:
    """The header with the id is signed by nobody."""
    former, coming = b'{"n": 1}', b'{"n": 2}'
    config = {"webhook_secret": SECRET}
    sent = [
        verify(HMAC, config, {"x-signature": digest(body), "x-event": "e-8"}, body, NOW) for body in (former, coming)
    ]
    assert len(set(sent)) == 2
    assert verify(HMAC, config, {"x-signature": digest(coming), "x-event": "e-8"}, coming, NOW) == sent[1]
