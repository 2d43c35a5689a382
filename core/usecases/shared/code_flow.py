"""The code flow of OpenID Connect: begun in a browser, and answered to that one alone."""

from __future__ import annotations

import hmac
from collections.abc import Mapping
from dataclasses import dataclass

from core.domain.identity import SIGN_IN_TIME, Claims
from core.domain.oauth import url_safe
from core.errors import LinkInvalid
from core.usecases.shared.links import read_link, write_link
from ports.clock import Clock, Ids
from ports.identity import IdentityProviders
from ports.secrets import SecretBox

SIGN_IN, LINKING = "oidc", "oidc/link"
"""What it is begun for: one is never taken for the other."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Begun:
    """Where the person is to go, and what their browser keeps until they come back."""

    url: str
    kept: str


def begin_flow(
    purpose: str,
    key: str,
    redirect_uri: str,
    more: Mapping[str, str],
    *,
    identities: IdentityProviders,
    secrets: SecretBox,
    clock: Clock,
    ids: Ids,
) -> Begun:
    """Sends a person to the provider; `more` is told again when they come back. Raises `NotFound` or `Transient`."""
    provider = identities.get(key)
    state, nonce, verifier = (url_safe(ids.entropy(n)) for n in (32, 32, 48))
    url = identities.sign_in_url(provider, redirect_uri=redirect_uri, state=state, nonce=nonce, verifier=verifier)
    says = {"key": key, "state": state, "nonce": nonce, "verifier": verifier, "redirect_uri": redirect_uri, **more}
    return Begun(url=url, kept=write_link(purpose, says, clock.now() + SIGN_IN_TIME, secrets))


def begun_flow(purpose: str, key: str, kept: str, *, state: str, secrets: SecretBox, clock: Clock) -> Mapping[str, str]:
    """What this browser keeps of what the provider answers. Raises `LinkInvalid` where it began no such thing."""
    says = read_link(purpose, kept, clock.now(), secrets)
    if says["key"] != key or not hmac.compare_digest(says["state"].encode(), state.encode()):
        raise LinkInvalid
    return says


def exchange_code(says: Mapping[str, str], code: str, *, identities: IdentityProviders) -> Claims:
    """Who signed in there. Raises `Unauthenticated` where the provider's word does not hold, or `Transient`."""
    return identities.exchange(
        identities.get(says["key"]),
        code=code,
        redirect_uri=says["redirect_uri"],
        nonce=says["nonce"],
        verifier=says["verifier"],
    )
