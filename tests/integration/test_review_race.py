"""Two reviewers and an agent race on the same open records over HTTP: each record ends with one decision, and every
loser is told."""

from __future__ import annotations

import random
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from threading import Barrier
from typing import Any

import httpx
import psycopg
import pytest

from core.domain.identity import providers_from
from core.domain.permissions import Role
from entrypoints.api.app import create_app
from entrypoints.container import Container
from tests.integration.api_support import Api, member_by_provider, new_tenant
from tests.integration.fuzz_support import served
from tests.integration.rule_support import bring, rule, save
from tests.stubs.issuer import CLIENT_ID, IssuerStub

AGENT = "sorter"
GROUPS = [first + last for first in ("QOR", "VUM", "PLI", "ZEN", "KAL") for last in ("BEL", "DRA", "TOX", "SKA")]
AT_ONCE = 7
"""Answers of a bulk."""


@dataclass(kw_only=True)
class Racer:
    """Who answers, always with the same category; what they `won` by approval, and all that they were answered."""

    url: str
    token: str
    category: str
    headers: Mapping[str, str] = field(default_factory=dict)
    won: list[str] = field(default_factory=list)
    lost: list[str] = field(default_factory=list)
    answers: Counter[tuple[str, int, str]] = field(default_factory=Counter)

    def post(self, client: httpx.Client, how: str, path: str, body: Mapping[str, Any]) -> Any:
        headers = {"Authorization": f"Bearer {self.token}", **self.headers}
        answer = client.post(f"{self.url}/api/v1/approvals{path}", json=body, headers=headers, timeout=60)
        told = answer.json()
        self.answers[how, answer.status_code, told.get("code", "")] += 1
        return told if answer.status_code == 200 else None

    @property
    def answer(self) -> dict[str, str]:
        return {"verdict": "override", "category_id": self.category}

    def singly(self, client: httpx.Client, ids: Sequence[str]) -> None:
        for id in ids:
            told = self.post(client, "one", f"/{id}", self.answer)
            (self.lost if told is None else self.won).append(id)

    def in_bulk(self, client: httpx.Client, ids: Sequence[str]) -> None:
        """One by one what was not done together, as somebody was quicker with a part of it."""
        for start in range(0, len(ids), AT_ONCE):
            some = ids[start : start + AT_ONCE]
            told = self.post(client, "bulk", "/bulk", {"answers": [{**self.answer, "approval_id": id} for id in some]})
            if told is None:
                self.singly(client, some)
            else:
                self.won += told["approval_ids"]

    def by_groups(self, client: httpx.Client, keys: Sequence[str]) -> None:
        """Each again until nothing of it waits."""
        for key in keys:
            while True:
                before = self.answers["group", 409, "already_decided"]
                told = self.post(client, "group", f"/groups/{key}", self.answer)
                if told is not None:
                    self.won += told["approval_ids"]
                if told is None and self.answers["group", 409, "already_decided"] == before:
                    break


@pytest.fixture(scope="module")
def issuer() -> Iterator[IssuerStub]:
    with IssuerStub() as stub:
        yield stub


@pytest.fixture
def race(
    make_container: Callable[..., Container], issuer: IssuerStub, superuser: psycopg.Connection
) -> Callable[[int], None]:
    """Held over so many open records, which a rule asked about."""
    written = {"key": "acme", "issuer": issuer.url, "client_id": CLIENT_ID, "audiences": [CLIENT_ID]}
    # With so many threads that none of what they ask for finds the server busy, however long one waits for another.
    container = make_container(
        embeddings="off", oidc_providers=tuple(providers_from([written])), rule_proposals="off", api_threads=32
    )
    app = create_app(container)
    api = new_tenant(container, app.test_client())
    tokens = []
    for name in ("ada", "ben"):
        member_by_provider(api, issuer, Role.REVIEWER, f"{name}@example.org")
        tokens.append(issuer.token(exp=int(time.time()) + 3_600))

    def held(records: int) -> None:
        asking = rule(api, " no ", "food.groceries")
        asking["then"]["review"] = True
        made = save(api, asking)
        bring(api, [f"{GROUPS[n % len(GROUPS)]} no {n}" for n in range(records)])
        with served(app) as url:
            run(api, url, tokens, records, made["id"], superuser)

    return held


def run(api: Api, url: str, tokens: Sequence[str], records: int, rule_id: str, superuser: psycopg.Connection) -> None:
    items: list[dict[str, Any]] = []
    page = api.get("/approvals?limit=500")
    while True:
        items += page["items"]
        if page["next"] is None:
            break
        page = api.get(f"/approvals?limit=500&after={page['next']}")
    assert len(items) == records
    ids, keys = [item["id"] for item in items], sorted({item["group_key"] for item in items})
    chance = random.Random(7)
    rent, fuel, food = (api.category(key) for key in ("housing.rent", "transport.fuel", "food.groceries"))
    ada = Racer(url=url, token=tokens[0], category=rent)
    ben = Racer(url=url, token=tokens[1], category=fuel)
    agent = Racer(url=url, token=api.key, category=food, headers={"X-Source-Agent": AGENT})
    start = Barrier(4)

    def racing(go: Callable[[httpx.Client, Sequence[str]], None], what: Sequence[str]) -> None:
        with httpx.Client() as client:
            start.wait(30)
            go(client, what)

    # One of the people in two windows, from either end; half of the groups, in no order.
    with ThreadPoolExecutor(4) as pool:
        done = [
            pool.submit(racing, ada.singly, ids),
            pool.submit(racing, ben.in_bulk, ids),
            pool.submit(racing, ben.in_bulk, ids[::-1]),
            pool.submit(racing, agent.by_groups, chance.sample(keys, len(keys) // 2)),
        ]
        for one in done:
            one.result()
    check(api, [ada, ben, agent], ids, rule_id, superuser)


def check(api: Api, racers: Sequence[Racer], ids: Sequence[str], rule_id: str, superuser: psycopg.Connection) -> None:
    told = sum((racer.answers for racer in racers), Counter())
    allowed = {("one", 200, ""), ("bulk", 200, ""), ("group", 200, ""), ("group", 404, "not_found")}
    allowed |= {(how, 409, "already_decided") for how in ("one", "bulk", "group")}
    assert set(told) <= allowed, told
    assert told["one", 409, "already_decided"] > 0, "somebody lost"
    won = [id for racer in racers for id in racer.won]
    assert sorted(won) == sorted(ids), "each was won once, and none was left"
    ada, ben, agent = racers
    for person, windows in ((ada, 1), (ben, 2)):
        assert len(person.won) + len(person.lost) == windows * len(ids), "told of each, in each window"
    by = {id: racer for racer in racers for id in racer.won}
    rows = superuser.execute(
        """
        SELECT a.id::text, a.category_id::text, r.category_id::text, e.category_id::text, a.decided_agent,
               a.decided_by_id,
               (SELECT count(*) FROM approvals o WHERE o.record_id = a.record_id),
               (SELECT count(*) FROM events v WHERE v.type = 'TX_APPROVED' AND v.subject_id = a.record_id),
               (SELECT min(payload ->> 'category_id') FROM events v
                WHERE v.type = 'TX_APPROVED' AND v.subject_id = a.record_id),
               r.version - 1
        FROM approvals a JOIN records r ON r.id = a.record_id JOIN examples e ON e.record_id = a.record_id
        WHERE a.verdict IS NOT NULL AND a.withdrawn_at IS NULL
        """
    ).fetchall()
    assert len(rows) == len(ids)
    for id, answered, has, taught, by_agent, by_id, items, events, event, changes in rows:
        winner = by[id]
        assert {answered, has, taught, event} == {winner.category}, "one category wherever it is told"
        assert (by_agent, by_id is None) == ((AGENT, True) if winner is agent else (None, False))
        assert (items, events, changes) == (1, 1, 2), "decided once: brought, asked about, answered"
    told_rule = api.get(f"/rules/{rule_id}")
    assert (told_rule["confirmed"], told_rule["overridden"]) == (len(agent.won), len(ada.won) + len(ben.won))
    assert api.get("/approvals")["items"] == []


def test_everybody_races_and_each_record_has_one_decision(race: Callable[[int], None]) -> None:
    race(30)


@pytest.mark.slow
@pytest.mark.timeout(900)  # some 3,000 requests, which compute: 40 s on two idle cores
def test_two_reviewers_and_an_agent_race_on_1000_records(race: Callable[[int], None]) -> None:
    race(1_000)
