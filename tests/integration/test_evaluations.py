"""Evaluations over the API: a tenant's own history, tried through the whole pipeline, of which nothing else is left."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import psycopg
import pytest
from flask.testing import FlaskClient
from psycopg import sql
from structlog.testing import capture_logs

from core.domain.decisions import Stage
from core.domain.evaluations import FEWEST, Trial, Tried
from core.domain.jobs import Stream
from core.domain.permissions import Permission
from core.errors import LeaseLost
from entrypoints.api.app import create_app
from entrypoints.container import Container
from entrypoints.worker.runner import run_job
from ports.embedder import Embedder
from tests.integration.api_support import Api, lease_runs_out, new_tenant
from tests.integration.rule_support import SHOPS, rule, save

TRUTH = dict(zip(SHOPS, ("food.groceries", "housing.rent", "transport.fuel", "food.restaurants"), strict=True))
HEADER = "Date;Description;Amount;Currency;Category\n"
ITS_OWN = ("evaluations", "jobs", "event", "idempotency_keys", "api_keys")
"""How the names of tables begin in which an evaluation leaves something: itself, its job, and that it was done."""


class Killed(BaseException):
    """As a kill: nothing is caught, nothing is noted."""


class TrialsStub:
    """Decides everything alone, as the first category; calls `on_tell` before it says how far it got."""

    def __init__(self, on_tell: Callable[[], None] | None = None) -> None:
        self.on_tell = on_tell
        self.trials: list[Trial] = []

    def run(self, trial: Trial, tell: Callable[[int], None]) -> Sequence[Tried]:
        self.trials.append(trial)
        tell(1)
        if self.on_tell is not None:
            self.on_tell()
        tell(2)
        return [Tried(category=trial.categories[0].id, stage=Stage.SIMILARITY) for _ in trial.asked]


class Counting:
    """An embedder that remembers what it embedded."""

    def __init__(self, embedder: Embedder) -> None:
        self._embedder = embedder
        self.embedded: list[str] = []

    @property
    def model(self) -> str:
        return self._embedder.model

    @property
    def dimensions(self) -> int:
        return self._embedder.dimensions

    def of(self, model: str) -> Embedder | None:
        return self if model == self.model else self._embedder.of(model)

    def embed(self, texts: Sequence[str]) -> list[Sequence[float]]:
        self.embedded += texts
        return self._embedder.embed(texts)


@pytest.fixture
def container(make_container: Callable[..., Container]) -> Container:
    return make_container(refit_delay_seconds=0.0, rule_proposals="off", job_backoff_seconds=0.01, job_max_attempts=2)


@pytest.fixture
def sorted_api(api: Api) -> Api:
    bring_history(api, 400)
    return api


def bring_history(api: Api, count: int, truth: dict[str, str] | None = None, month: int = 3) -> None:
    """Purchases of a month that people sorted, the newest first, as banks write them."""
    chance = random.Random(count + month)
    rows = []
    for n in range(count):
        shop = chance.choice(SHOPS)
        day = 28 - n * 28 // count
        rows.append(f"2026-{month:02}-{day:02};{shop} {n % 15:03};-{n % 90 + 1}.50;EUR;{(truth or TRUTH)[shop]}\n")
    answer = api.call("POST", "/imports?filename=history.csv&approved=true", data=(HEADER + "".join(rows)).encode())
    assert answer.status_code == 202, answer.text
    api.drain()


def evaluate(api: Api, **asked: Any) -> dict[str, Any]:
    """An evaluation, done."""
    started = api.post("/evaluations", asked, 202)
    assert (started["status"], started["report"]) == ("queued", None)
    api.drain()
    done: dict[str, Any] = api.get(f"/evaluations/{started['id']}")
    return done


def stored(superuser: psycopg.Connection) -> dict[str, list[Any]]:
    """All rows of all tables but those in which an evaluation leaves something."""
    tables = [
        name
        for (name,) in superuser.execute(
            "SELECT tablename FROM pg_tables WHERE schemaname = 'public' ORDER BY tablename"
        )
        if not name.startswith(ITS_OWN)
    ]
    return {
        name: sorted(superuser.execute(sql.SQL("SELECT t::text FROM {} t").format(sql.Identifier(name))).fetchall())
        for name in tables
    }


def test_an_evaluation_tells_what_would_be_decided_alone_and_leaves_nothing_else(
    sorted_api: Api, superuser: psycopg.Connection
) -> None:
    before = stored(superuser)
    assert before["records"], "there is something to lose"
    answer = sorted_api.call("POST", "/evaluations", {"promise": 0.8})
    assert answer.status_code == 202
    started = answer.json
    assert answer.headers["Location"] == f"/api/v1/evaluations/{started['id']}"
    assert sorted_api.get(f"/jobs/{started['job_id']}")["stream"] == "evaluations:run"
    sorted_api.drain()
    assert stored(superuser) == before

    done = sorted_api.get(f"/evaluations/{started['id']}")
    assert (done["status"], done["failure"], done["promise"], done["requested_by"]) == (
        "done",
        None,
        0.8,
        started["requested_by"],
    )
    report = done["report"]
    assert (report["train"], report["test"], report["unasked"]) == (320, 80, 0)
    assert (report["history"], report["most"], report["test_since"]) == (400, 10_000, "2026-03-23")
    assert report["promise"] == 0.8
    assert report["accuracy"] > 0.95
    assert report["coverage"] > 0.5
    assert report["precision"] >= 0.9
    low, high = report["interval"]
    assert low < report["precision"] <= high
    assert report["by_stage"] == {
        "similarity": {"decided": round(report["coverage"] * 80), "precision": report["precision"]}
    }
    assert report["seconds"] > 0
    assert sorted_api.get(f"/jobs/{started['job_id']}")["status"] == "done"
    assert sorted_api.get("/evaluations")["items"] == [done]
    [event] = sorted_api.get("/events?type=EVALUATION_DONE")["items"]
    assert event["subject_id"] == done["id"]
    assert event["payload"] == {name: report[name] for name in ("promise", "coverage", "precision", "train", "test")}


@pytest.mark.slow
def test_the_promise_is_the_tenants_unless_another_is_asked_for(sorted_api: Api) -> None:
    done = evaluate(sorted_api, test=40)
    assert (done["promise"], done["report"]["test"], done["report"]["train"]) == (0.95, 40, 360)
    strict = evaluate(sorted_api, promise=1.0)
    assert (strict["report"]["coverage"], strict["report"]["precision"]) == (0, None)
    assert [one["id"] for one in sorted_api.get("/evaluations?limit=1")["items"]] == [strict["id"]]
    page = sorted_api.get(f"/evaluations?before={strict['id']}")
    assert [one["id"] for one in page["items"]] == [done["id"]]


def test_what_was_taught_is_older_than_what_is_asked_about(api: Api) -> None:
    """In May all was sorted otherwise than in March, and May came in first."""
    shifted = dict(zip(TRUTH, [*TRUTH.values()][1:] + [*TRUTH.values()][:1], strict=True))
    bring_history(api, 100, shifted, month=5)
    bring_history(api, 300)
    report = evaluate(api, promise=0.8, test=100)["report"]
    assert report["test_since"] == "2026-05-01"
    assert report["accuracy"] < 0.05
    assert {one["key"] for one in report["worst_categories"]} == set(TRUTH.values())
    assert all(one["accuracy"] < 0.05 for one in report["worst_categories"])


@pytest.mark.slow
def test_rules_act_where_that_is_asked_for(sorted_api: Api) -> None:
    save(sorted_api, rule(sorted_api, "VUMBA", "housing.rent"))
    without = evaluate(sorted_api, promise=0.8)["report"]
    assert without["by_stage"].keys() == {"similarity"}
    report = evaluate(sorted_api, promise=0.8, with_rules=True)["report"]
    assert report["by_stage"]["rules"]["precision"] == 1
    assert 10 < report["by_stage"]["rules"]["decided"] < 30
    assert sorted_api.get("/rules?limit=1")["items"][0]["hits"] == 0, "nobody's rule was hit"


def test_what_was_embedded_of_the_history_is_not_embedded_again(
    make_container: Callable[..., Container],
) -> None:
    container = make_container(refit_delay_seconds=0.0, rule_proposals="off")
    counting = Counting(container.embedder())
    container.embedder.override(counting)
    api = new_tenant(container, create_app(container).test_client())
    bring_history(api, FEWEST)
    assert counting.embedded
    counting.embedded.clear()
    assert evaluate(api)["status"] == "done"
    assert counting.embedded == []


def test_too_little_history_is_refused(api: Api) -> None:
    refused = api.post("/evaluations", {}, 422)
    assert refused["code"] == "too_little_history"
    assert refused["detail"] == f"people decided 0 records so far; this takes {FEWEST}"
    bring_history(api, FEWEST)
    assert api.post("/evaluations", {"test": 150}, 422)["detail"].endswith("this takes 300")
    assert api.get("/evaluations")["items"] == []
    assert evaluate(api)["status"] == "done"


@pytest.mark.parametrize(
    "body",
    [
        {"promise": 1.1},
        {"promise": "high"},
        {"test": 19},
        {"test": 5_001},
        {"test_share": 0.6},
        {"test_share": 0},
        {"test": 40, "test_share": 0.2},
        {"with_rules": "yes"},
        {"records": 5},
    ],
    ids=str,
)
def test_what_cannot_be_asked_for_is_said(api: Api, body: dict[str, Any]) -> None:
    assert api.post("/evaluations", body, 422)["code"] == "invalid"


@pytest.mark.slow
def test_one_evaluation_at_a_time(sorted_api: Api) -> None:
    first = sorted_api.post("/evaluations", {}, 202, **{"Idempotency-Key": "once"})
    assert sorted_api.post("/evaluations", {}, 202, **{"Idempotency-Key": "once"}) == first
    assert sorted_api.post("/evaluations", {}, 409)["code"] == "conflict"
    sorted_api.drain()
    assert evaluate(sorted_api)["status"] == "done"


def test_another_tenant_sees_nothing_of_it(sorted_api: Api, client: FlaskClient) -> None:
    done = evaluate(sorted_api)
    other = new_tenant(sorted_api.container, client, "Another")
    assert other.get("/evaluations")["items"] == []
    assert other.get(f"/evaluations/{done['id']}", 404)["code"] == "not_found"
    assert other.post("/evaluations", {}, 422)["code"] == "too_little_history"


def test_who_may_read_the_tenant_sees_reports_and_who_may_write_rules_asks_for_them(sorted_api: Api) -> None:
    done = evaluate(sorted_api)
    key = sorted_api.container.create_api_key(
        sorted_api.actor, name="reader", scopes=frozenset({Permission.TENANT_READ})
    )
    reader = replace(sorted_api, key=key.secret)
    assert reader.get(f"/evaluations/{done['id']}") == done
    assert "rules:write" in reader.post("/evaluations", {}, 403)["detail"]


def begin(api: Api, trials: TrialsStub) -> dict[str, Any]:
    """An evaluation whose job was published, and whose trial will be this one."""
    api.container.trials.override(trials)
    started: dict[str, Any] = api.post("/evaluations", {}, 202)
    with api.container.system().take_due(share=10, limit=10) as due:
        assert [stream for *_, stream, _ in due] == [Stream.EVALUATE.value]
    return started


def test_a_killed_evaluation_begins_anew(sorted_api: Api) -> None:
    def kill() -> None:
        raise Killed

    trials = TrialsStub(kill)
    started = begin(sorted_api, trials)
    with pytest.raises(Killed):
        run_job(sorted_api.container, sorted_api.tenant_id, started["job_id"])
    assert sorted_api.get(f"/evaluations/{started['id']}")["status"] == "running"
    job = sorted_api.get(f"/jobs/{started['job_id']}")
    assert (job["status"], job["progress"]) == ("running", {"asked": 1, "of": 80})
    lease_runs_out(sorted_api)
    trials.on_tell = None
    sorted_api.drain()
    done = sorted_api.get(f"/evaluations/{started['id']}")
    assert (done["status"], done["report"]["test"], len(trials.trials)) == ("done", 80, 2)
    assert sorted_api.get(f"/jobs/{started['job_id']}")["attempts"] == 2


def test_who_lost_the_job_stops_and_reports_nothing(sorted_api: Api) -> None:
    lost: list[Exception] = []

    class Watching(TrialsStub):
        def run(self, trial: Trial, tell: Callable[[int], None]) -> Sequence[Tried]:
            try:
                return super().run(trial, tell)
            except LeaseLost as error:
                lost.append(error)
                raise

    started = begin(sorted_api, Watching(lambda: lease_runs_out(sorted_api)))
    run_job(sorted_api.container, sorted_api.tenant_id, started["job_id"])
    assert len(lost) == 1
    shown = sorted_api.get(f"/evaluations/{started['id']}")
    assert (shown["status"], shown["report"]) == ("running", None), "the next worker's"
    sorted_api.container.trials.override(TrialsStub())
    sorted_api.drain()
    assert sorted_api.get(f"/evaluations/{started['id']}")["status"] == "done"


def test_an_evaluation_whose_job_is_dead_failed_and_comes_back_with_its_replay(sorted_api: Api) -> None:
    def break_down() -> None:
        raise RuntimeError("out of luck")

    trials = TrialsStub(break_down)
    sorted_api.container.trials.override(trials)
    with capture_logs() as logs:
        failed = evaluate(sorted_api)
    assert [one["status"] for one in logs if one["event"] == "job failed"] == ["queued", "dead"]
    assert (failed["status"], failed["failure"], failed["report"]) == ("failed", "RuntimeError: out of luck", None)
    assert len(trials.trials) == 2, "as often as jobs are tried"
    trials.on_tell = None
    sorted_api.post("/jobs/replay", {"ids": [failed["job_id"]]})
    sorted_api.drain()
    done = sorted_api.get(f"/evaluations/{failed['id']}")
    assert (done["status"], done["failure"]) == ("done", None)


@pytest.mark.slow
def test_history_that_went_meanwhile_ends_it_at_once(sorted_api: Api) -> None:
    started = sorted_api.post("/evaluations", {}, 202)
    for record in sorted_api.get("/records?limit=201")["items"]:
        assert sorted_api.call("DELETE", f"/records/{record['id']}").status_code == 204
    with capture_logs():
        sorted_api.drain()
    failed = sorted_api.get(f"/evaluations/{started['id']}")
    assert failed["status"] == "failed"
    assert failed["failure"] == "TooLittleHistory: people decided 199 records so far; this takes 200"
    assert sorted_api.get(f"/jobs/{started['job_id']}")["attempts"] == 1
