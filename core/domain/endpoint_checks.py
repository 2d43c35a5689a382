"""What an endpoint may be: its name, its address, its secrets."""

from __future__ import annotations

import base64
from collections.abc import Iterable
from urllib.parse import urlsplit

from core.domain.notifications import Topic
from core.domain.tenants import one_line
from core.errors import Invalid

MAX_NAME = 200
MAX_URL = 2_000
MOST_ENDPOINTS = 50
WHSEC = "whsec_"
SECRET_BYTES = 32
"""Of 24 to 64 that Standard Webhooks allow."""


def check_endpoint_name(name: str) -> str:
    """On one line. Raises `Invalid`."""
    cleaned = one_line(name, MAX_NAME + 1)
    if not 0 < len(cleaned) <= MAX_NAME:
        raise Invalid(f"a name has 1 to {MAX_NAME} characters")
    return cleaned


def check_url(url: str) -> str:
    """Raises `Invalid` for what no webhook can be sent to. Whether its address may be asked is seen when it is."""
    try:
        parts = urlsplit(url)
        usable = parts.scheme in ("https", "http") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        usable = False
    if not usable or not url.isascii() or not url.isprintable() or " " in url:
        raise Invalid("a webhook's URL begins with https:// and a host", fields={"url": ["Not a URL of a webhook."]})
    if len(url) > MAX_URL:
        raise Invalid(f"a URL has at most {MAX_URL} characters", fields={"url": ["Too long."]})
    if parts.username is not None or parts.password is not None or parts.fragment:
        raise Invalid(
            "a webhook's URL holds no user name, no password and no fragment",
            fields={"url": ["Not a URL of a webhook."]},
        )
    return url


def check_topics(topics: Iterable[Topic]) -> tuple[Topic, ...]:
    """Each once, in the order in which they are listed. Raises `Invalid` for none."""
    wanted = set(topics)
    if not wanted:
        raise Invalid("an endpoint has one topic at least")
    return tuple(topic for topic in Topic if topic in wanted)


def new_secret(random: bytes) -> str:
    """Of `SECRET_BYTES` random bytes, as Standard Webhooks write it."""
    return WHSEC + base64.b64encode(random).decode()
