"""How long refusals take, by what is refused: whoever times them must not learn who has an account here.

`python -m benchmarks.sign_in [--rounds N] [--json]`. Sign-ins of an address that nobody has, beside those of one that
somebody has (with a wrong password, locked, without a password), the same from a browser that another person is known
by, and of links for a forgotten password; then API keys. All kinds are tried in one run, each round in an order by lot,
over real storage that waits for its disk.
"""

from __future__ import annotations

import argparse
import json
import logging
import random
import re
import statistics
import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import structlog
from flask.testing import FlaskClient

from adapters.embedded.postgres import DatabaseUrls, EmbeddedPostgres
from adapters.postgres.migrate import migrate
from core.domain.api_keys import make_key, write_key
from core.domain.permissions import GRANTABLE
from core.domain.tenants import Actor
from entrypoints.api.app import create_app
from entrypoints.console.guard import SESSION_COOKIE
from entrypoints.container import Container
from entrypoints.settings import load_settings
from tests.integration.test_console_sign_in import Browser

WARM_UP = 5
KNOWN, LOCKED, UNARMED, UNKNOWN, VISITOR = (
    f"{name}@example.org" for name in ("known", "locked", "unarmed", "unknown", "visitor")
)
PASSWORD = "correct horse battery"  # noqa: S105 - of nobody
WRONG = "wrong horse battery"
NO_LIMITS = dict.fromkeys(
    ("rate_limit", "costly_limit", "sign_in_limit", "refused_limit", "reset_limit"), "1000000/minute"
)


def container_on(urls: DatabaseUrls) -> Container:
    settings = replace(
        load_settings({"SORTATION_EMBEDDINGS": "off", "SORTATION_SMTP_URL": "smtp://127.0.0.1:1"}),
        public_url="https://sort.example",
        database_url=urls.owner,
        app_database_url=urls.app,
        system_database_url=urls.system,
        broker_url="redis://127.0.0.1:1/0",
        **NO_LIMITS,
    )
    return Container(settings=settings)


def populate(services: Container) -> tuple[Actor, Mapping[str, str]]:
    """A tenant with its people, and API keys by how they are."""
    tenant, issued = services.create_tenant("Harbour Books", owner_email=KNOWN)
    actor = Actor(tenant_id=tenant.id, name="a benchmark", permissions=GRANTABLE)
    for email in (LOCKED, UNARMED, VISITOR):
        services.create_tenant("Quay Books", owner_email=email)
    people, now = services.people(), services.clock().now()
    for email in (KNOWN, LOCKED, VISITOR):
        people.put_password(people.user_of_email(email).id, services.hasher().hash(PASSWORD), now)
    people.lock(people.user_of_email(LOCKED).id, now + timedelta(days=1))
    revoked = services.create_api_key(actor, name="revoked", scopes=frozenset({"records:read"}))
    services.revoke_api_key(actor, revoked.key.id)
    key_id, secret = make_key(bytes(40))
    other = write_key(issued.key.key_id, secret)
    unknown = write_key(key_id, secret)
    return actor, {"malformed": "sort_live_x", "unknown": unknown, "wrong secret": other, "revoked": revoked.secret}


def tried(client: FlaskClient, services: Container, keys: Mapping[str, str]) -> dict[str, Callable[[], int]]:
    """What is tried, by kind; each gives the status of its answer."""
    browser, visited = Browser(client.application), Browser(client.application)
    visited.sign_in(PASSWORD, VISITOR)
    visited.client.delete_cookie(SESSION_COOKIE, domain="sort.example")
    origin = services.settings().public_url

    def form_token(of: Browser) -> str:
        found = re.search(r'name="form_token" value="([0-9a-f]{64})"', of.open("/sign-in").text)
        assert found is not None
        return found.group(1)

    tokens = {id(of): form_token(of) for of in (browser, visited)}

    def send(of: Browser, path: str, **fields: str) -> int:
        form = {"form_token": tokens[id(of)], **fields}
        return of.client.post(path, data=form, base_url=origin).status_code

    def sign_in(email: str, password: str = WRONG, of: Browser = browser) -> Callable[[], int]:
        return lambda: send(of, "/sign-in", email=email, password=password)

    def ask(email: str) -> Callable[[], int]:
        return lambda: send(browser, "/password", email=email)

    def call(key: str) -> Callable[[], int]:
        headers = {"Authorization": f"Bearer {key}"}
        return lambda: client.get("/api/v1/me", headers=headers).status_code

    return {
        "sign-in: unknown": sign_in(UNKNOWN),
        "sign-in: known": sign_in(KNOWN),
        "sign-in: locked": sign_in(LOCKED),
        "sign-in: locked, right password": sign_in(LOCKED, PASSWORD),
        "sign-in: without a password": sign_in(UNARMED),
        "another's browser: unknown": sign_in(UNKNOWN, of=visited),
        "another's browser: known": sign_in(KNOWN, of=visited),
        "another's browser: locked": sign_in(LOCKED, of=visited),
        "another's browser: without a password": sign_in(UNARMED, of=visited),
        "another's browser: its own person": sign_in(VISITOR, of=visited),
        "forgotten: unknown": ask(UNKNOWN),
        "forgotten: known": ask(KNOWN),
        **{f"key: {kind}": call(key) for kind, key in keys.items()},
    }


def measure(services: Container, rounds: int) -> dict[str, tuple[float, float]]:
    """The median and the first decile in milliseconds, by kind: of all, and of those that little else disturbed."""
    _, keys = populate(services)
    client = create_app(services).test_client()
    kinds = tried(client, services, keys)
    known, visitor = (services.people().user_of_email(email).id for email in (KNOWN, VISITOR))
    [device] = services.people().devices(visitor)
    taken: dict[str, list[float]] = {kind: [] for kind in kinds}
    statuses: dict[str, set[int]] = {kind: set() for kind in kinds}
    chance = random.Random(5)
    for turn in range(WARM_UP + rounds):
        for kind, attempt in chance.sample(list(kinds.items()), len(kinds)):
            services.people().forget_failures(known)
            services.people().forget_failures(visitor, device=device.id)
            start = time.perf_counter()
            statuses[kind].add(attempt())
            if turn >= WARM_UP:
                taken[kind].append(time.perf_counter() - start)
    for group in ("sign-in", "another's browser", "forgotten", "key"):
        assert len(set.union(*(seen for kind, seen in statuses.items() if kind.startswith(group)))) == 1, statuses
    deciles = {kind: statistics.quantiles(times, n=10) for kind, times in taken.items()}
    return {kind: (round(1_000 * of[4], 3), round(1_000 * of[0], 3)) for kind, of in deciles.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=60)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    with tempfile.TemporaryDirectory() as folder:
        server = EmbeddedPostgres(Path(folder))
        urls = server.start()
        try:
            migrate(urls.owner, urls.app, urls.system)
            services = container_on(urls)
            found = measure(services, options.rounds)
            for engine in (services.app_engine(), services.system_engine()):
                engine.dispose()
        finally:
            server.stop()
    if options.json:
        print(json.dumps(found))
        return
    print(f"{'':<38} {'median':>8}    {'ratio':>5}   {'1st decile':>10}    {'ratio':>5}")
    for kind, (median, decile) in found.items():
        of_first = next(of for other, of in found.items() if other.startswith(kind.partition(":")[0]))
        told = f"{median:>8.2f} ms {median / of_first[0]:>5.2f}   {decile:>10.2f} ms {decile / of_first[1]:>5.2f}"
        print(f"{kind:<38} {told}")


if __name__ == "__main__":
    main()
