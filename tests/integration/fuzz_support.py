"""Schemathesis over the whole API: a tenant with one of everything, and what its engine finds."""

from __future__ import annotations

import random
import re
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import psycopg
import schemathesis
from flask import Flask
from psycopg import sql
from schemathesis.config._checks import NEGATIVE_DATA_REJECTION_EXPECTED_STATUSES as NEGATIVE_STATUSES
from schemathesis.config._checks import POSITIVE_DATA_ACCEPTANCE_EXPECTED_STATUSES as POSITIVE_STATUSES
from schemathesis.core.failures import AcceptedNegativeData, Failure
from schemathesis.core.parameters import ParameterLocation
from schemathesis.engine import events, from_schema
from schemathesis.hooks import unregister
from schemathesis.openapi.checks import RejectedPositiveData
from werkzeug.serving import WSGIRequestHandler, make_server

from entrypoints.api.schemas.events import MAX_WAIT
from tests.integration.api_support import HEADER, Api, add_rule
from tests.integration.rule_support import SHOPS, bring
from tests.receipt_files import a_pdf

STEPS = 6
"""Requests that follow from each other."""
IF_MATCH = r'"[^"]*"|[*]'
"""As the document has it."""
NOBODY = "01890000-0000-7000-8000-000000000000"
SPARED = 5
"""So many of a kind stay, or what needs them would meet nothing any more."""
BRIEFLY = 0.01
"""Seconds that are waited for events, whatever was asked for."""
HITS = 0.5
"""How often an id that was made up is exchanged for one that there is."""
TABLES = {
    "approval_id": "approvals",
    "category_id": "categories",
    "connection_id": "connections",
    "delivery_id": "notifications",
    "endpoint_id": "notification_endpoints",
    "evaluation_id": "evaluations",
    "import_id": "imports",
    "into": "categories",
    "invitation_id": "invitations",
    "job_id": "jobs",
    "key_id": "api_keys",
    "parent_id": "categories",
    "proposal_id": "rule_proposals",
    "receipt_id": "receipts",
    "record_id": "records",
    "report_definition_id": "report_definitions",
    "definition_id": "report_definitions",
    "report_id": "report_runs",
    "rule_id": "rules",
    "run_id": "rule_runs",
    "tenant_id": "tenants",
    "user_id": "memberships",
    "view_id": "saved_views",
}
"""What parameters and fields name."""
COLUMNS = {"tenants": "tenant_id", "memberships": "user_id"}
ALLOWED: tuple[tuple[str, str, str], ...] = (
    (".*", "after is the `next` of the page before", "a cursor is one that an answer gave"),
    ("GET /api/events|GET /api/v1/events", "events of its own tenant|say whose events", "tenant_id goes with a key"),
    ("GET /api/events|GET /api/v1/events", "Not with newest", "parameters that exclude each other"),
    ("GET /api/v1/approvals", "go(es)? with open items|evidence is given", "parameters that go with each other"),
    ("GET /api/v1/oauth/callback", "", "a state is one that a sign-in began with"),
    ("DELETE /api/v1/categories/{category_id}", "send one of them", "parameters that exclude each other"),
    (".*", "[Hh]as a NUL character", "no text has one, wherever it stands"),
    (
        "PATCH /api/v1/tenant|POST /api/v1/tenants",
        "control characters",
        "no pattern tells which characters are letters, in all languages",
    ),
    ("PATCH /api/v1/categories/{category_id}", "below itself", "what is below what is in no schema"),
    (".*", "category ([-0-9a-f]+ )?does not exist", "a category_id, into and parent_id name what there is"),
    (
        ".* /api/v1/(connections.*|imports|records)",
        "is not asked for records|a connection of the connector",
        "what a connection takes depends on its connector",
    ),
    (".* /api/v1/connections.*", '"config', "each connector has a schema of its own for its configuration"),
    (
        "POST /api/v1/imports",
        '"code":"un(readable_file|known_format)"|payload is empty',
        "any bytes can be sent, few are a statement",
    ),
    (
        "POST /api/v1/receipts",
        '"code":"unknown_format"|the file is empty|what stands beside the file',
        "any bytes can be sent, few are a receipt",
    ),
    ("POST /api/v1/receipts/{receipt_id}/links", "record does not exist", "a record_id names what there is"),
    ("PATCH /api/v1/receipts/{receipt_id}", '"(day|merchant)"', "days and letters that no pattern tells"),
    (".* /api/v1/rules.*", '"code":"rule_invalid"', "GET /rules/schema tells what a condition is"),
    ("POST /api/v1/evaluations", '"code":"too_little_history"', "it takes 200 decisions of people"),
    ("POST /api/v1/evaluations", "not both", "parameters that exclude each other"),
    ("POST /api/v1/approvals/.*", '"code":"rule_invalid"', "GET /rules/schema tells what a condition is"),
    ("GET /api/v1/approvals/{approval_id}/rule", "name the category|no words", "what a record has to make a rule of"),
    (
        ".* /api/v1/reports.*",
        "Give relative, or since and until|Give definition_id or spec|[Gg]oes with|Does not go with|is not made of"
        "|adds up no amounts|Take month or longer|each once|needs no rate|the rate of|what to compare with",
        "what goes with a report depends on its kind",
    ),
    (
        ".* /api/v1/reports.*",
        "a period (begins|may have)|printable characters",
        "no schema compares two dates, or tells which characters are printable in all languages",
    ),
    ("POST /api/v1/approvals.*", "category_id", "an override names its category"),
    ("POST /api/v1/approvals/bulk", "answered once in a request", "no schema asks for ids that differ"),
    ("POST /api/v1/approvals/withdraw", "withdrawn once in a request", "no schema asks for ids that differ"),
    ("POST /api/v1/records/(category|withdraw)", "named once in a request", "no schema asks for ids that differ"),
    ("POST /api/v1/rules/test", r"records\[", "a record is what the connector of records takes"),
    ("PATCH /api/v1/tenant|POST /api/v1/tenants", "time zone", "time zones are those of the IANA"),
    (
        "PATCH /api/v1/tenant|POST /api/v1/tenants",
        "has at most . decimals",
        "no schema counts the decimals of a number",
    ),
    ("POST /api/v1/notifications/endpoints", "a webhook has a url", "what an endpoint has depends on its kind"),
    ("POST /api/v1/notifications/endpoints", "user_id is no member's", "a user_id names who there is"),
    (
        ".* /api/v1/notifications/endpoints.*",
        "URL (begins|holds)|only a webhook has a url",
        "what a URL is made of is in no pattern",
    ),
    (
        ".* /api/v1/notifications/endpoints.*",
        "a name has 1 to",
        "no pattern tells which characters are letters, in all languages",
    ),
    (".* /api/v1/views.*", "no views of its own", "a key shares what it saves, a person need not"),
    ("POST /api/v1/billing/.*", "a return URL begins with", "each installation has addresses of its own"),
    (
        "POST /api/v1/billing/checkout|PUT /api/v1/tenants/{tenant_id}/comp",
        "is no plan that is offered|is none of the plans|is not sold by",
        "each installation has plans of its own",
    ),
    ("PUT /api/v1/tenants/{tenant_id}/comp", "in the future", "no schema knows what time it is"),
    (
        ".* /api/v1/tenants/{tenant_id}/comp",
        "a reason has 1 to",
        "no pattern tells which characters are letters, in all languages",
    ),
    ("POST /api/v1/api-keys", "in the future", "no schema knows what time it is"),
)
"""What a valid request is refused for all the same, as no schema can say it: by operation and answer, each with why."""


@dataclass(kw_only=True)
class Found:
    """How many requests were sent by operation, and what was wrong with answers: the first of each kind."""

    sent: Counter[str] = field(default_factory=Counter)
    statuses: Counter[tuple[str, int]] = field(default_factory=Counter)
    wrong: dict[str, str] = field(default_factory=dict)


def expected(
    context: schemathesis.HookContext, failure: Failure, case: schemathesis.Case, response: schemathesis.Response
) -> bool:
    """Whether a failure is one; not, where a valid request is refused for what no schema can say."""
    if isinstance(failure, RejectedPositiveData):
        if not re.fullmatch(IF_MATCH, (case.headers or {}).get("If-Match", "*")):
            return False  # schemathesis makes this header in a way of its own, whatever the document says
        label, answer = case.operation.label, _text(response)
        return not any(re.fullmatch(where, label) and re.search(what, answer) for where, what, _ in ALLOWED)
    # A case that was made as a positive one may be counted among the negative ones, once an id in it was exchanged, or
    # where it has a file, which no schema of strings takes for one. Nobody refuses a header that nobody knows.
    made_valid = ("positive test case", "- all required properties", "in header - object with unexpected properties")
    return not (isinstance(failure, AcceptedNegativeData) and any(words in failure.message for words in made_valid))


def fill(api: Api) -> None:
    """One of everything, and more of what is easily used up."""
    groceries, rent = api.category("food.groceries"), api.category("housing.rent")
    add_rule(api, groceries)
    texts = [f"{SHOPS[n % 2]} {n:03}" for n in range(100)]
    api.upload(HEADER + "".join(f"2026-03-{1 + n % 28:02};{t};-{n}.50;EUR\n" for n, t in enumerate(texts)))
    items = api.get("/approvals?limit=500")["items"]
    answers = [
        {
            "approval_id": item["id"],
            "verdict": "override",
            "category_id": groceries if SHOPS[0] in item["record"]["text"] else rent,
        }
        for item in items[:80]
    ]
    api.post("/approvals/bulk", {"answers": answers})
    api.post(f"/approvals/{items[0]['id']}/withdraw")
    api.drain()
    bring(api, [f"{SHOPS[2 + n % 2]} {n:03}" for n in range(60)], day=5)
    for n in range(SPARED + 3):
        api.post("/rules/runs", {"where": {"account": str(n)}}, 202)
        api.post("/api-keys", {"name": f"Key {n}", "scopes": ["records:read"]}, 201)
        api.post("/invitations", {"email": f"guest{n}@example.org", "role": "viewer"}, 201)
        endpoint = {"kind": "webhook", "name": f"Hook {n}", "url": "https://127.0.0.1/in", "topics": ["queue"]}
        made = api.post("/notifications/endpoints", endpoint, 201)
        api.post(f"/notifications/endpoints/{made['id']}/test", None, 202)
        api.post("/connections", {"connector": "csv", "name": f"File {n}"}, 201)
    api.post("/rules/proposals", None, 202)
    for n in range(SPARED + 3):
        api.call("POST", f"/receipts?filename={n}.pdf", data=a_pdf([f"Shop {n}", "2026-03-05", f"Total {n}.50 EUR"]))
    api.drain()


@dataclass(kw_only=True, eq=False)
class Living:
    """Exchanges ids that were made up for some that there are, half of the time."""

    database: psycopg.Connection
    own: str | None
    """The caller's user: who removes themself is let in nowhere any more."""
    chance: random.Random = field(default_factory=lambda: random.Random(6))

    def __call__(self, context: schemathesis.HookContext, case: schemathesis.Case, kwargs: dict[str, Any]) -> None:
        meta = case.meta
        wait = (case.query or {}).get("wait")
        if isinstance(wait, float | int) and 0 < wait <= MAX_WAIT:
            case.query["wait"] = BRIEFLY
        if case.path_parameters and case.path_parameters.get("user_id") == self.own:
            case.path_parameters["user_id"] = NOBODY
        if meta is None or (not case.path_parameters and not isinstance(case.body, dict)):
            return
        ends = case.method == "DELETE" or case.path.endswith("/merge")
        if (
            case.path_parameters
            and not meta.is_negative_at(ParameterLocation.PATH)
            and not case._override.path_parameters
        ):
            for name in case.path_parameters:
                case.path_parameters[name] = self._exchanged(name, case.path_parameters[name], ends)
        if isinstance(case.body, dict) and not meta.is_negative_at(ParameterLocation.BODY):
            case.body = self._within(case.body)

    def _within(self, body: Any) -> Any:
        if isinstance(body, list):
            return [self._within(part) for part in body]
        if not isinstance(body, dict):
            return body
        return {
            name: self._exchanged(name, value, False) if isinstance(value, str) else self._within(value)
            for name, value in body.items()
        }

    def _exchanged(self, name: str, value: Any, ends: bool) -> Any:
        if name == "group_key":
            return self._one("approvals", "group_key", 0) or value
        table = TABLES.get(name)
        if table is None or self.chance.random() > HITS:
            return value
        return self._one(table, COLUMNS.get(table, "id"), SPARED if ends else 0) or value

    def _one(self, table: str, column: str, spared: int) -> str | None:
        query = "SELECT {column}::text FROM {table} WHERE {column}::text IS DISTINCT FROM %s ORDER BY {column}"
        names = {"table": sql.Identifier(table), "column": sql.Identifier(column)}
        rows = [id for (id,) in self.database.execute(sql.SQL(query).format(**names), [self.own])]
        return self.chance.choice(rows) if len(rows) > spared else None


@contextmanager
def served(app: Flask) -> Iterator[str]:
    """The application over HTTP; the URL."""
    server = make_server("127.0.0.1", 0, app, threaded=True, request_handler=_Silent)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()


class _Silent(WSGIRequestHandler):
    def log_request(self, *args: Any) -> None:
        """The application writes the line."""


def fuzz(url: str, token: str | None, living: Living, *, examples: int, edges: bool) -> Found:
    """All checks over each operation, as the one whose token it is: by examples, and where `edges` are asked for by the
    limits of each schema, and by requests that follow from each other."""
    config = schemathesis.Config.from_dict(
        {
            "seed": 6,
            "cache": {"enabled": False},
            "headers": {} if token is None else {"Authorization": f"Bearer {token}"},
            "generation": {"max-examples": examples, "deterministic": True, "with-security-parameters": False},
            "phases": {
                "coverage": {"enabled": edges},
                "stateful": {"enabled": edges, "max-steps": STEPS},
            },
            "continue-on-failure": True,
            "checks": {
                "positive_data_acceptance": {"expected-statuses": [*POSITIVE_STATUSES, "412"]},
                "negative_data_rejection": {"expected-statuses": [*NEGATIVE_STATUSES, "412"]},
            },
            "request-timeout": 60,
            "suppress-health-check": ["all"],
        }
    )
    schema = schemathesis.openapi.from_url(f"{url}/api/openapi.json", config=config)
    schema.hook("filter_failure")(expected)
    found = Found()
    schemathesis.hook("before_call")(living)  # hooks of this kind are the whole process's
    try:
        for event in from_schema(schema).execute():
            match event:
                case events.ScenarioFinished():
                    _note(found, event)
                case events.NonFatalError():
                    found.wrong.setdefault(
                        f"{event.label}: {event.info.title}", f"{event.info.message}\n{event.info.traceback}"
                    )
                case events.FatalError():
                    raise event.exception
                case events.EngineFinished():
                    for failure in event.failures:
                        found.wrong.setdefault(str(failure), str(failure))
    finally:
        unregister(living)
    return found


def _note(found: Found, event: events.ScenarioFinished) -> None:
    recorder = event.recorder
    for id, interaction in recorder.interactions.items():
        label = recorder.cases[id].value.operation.label
        found.sent[label] += 1
        if interaction.response is not None:
            found.statuses[label, interaction.response.status_code] += 1
    for id, checks in recorder.checks.items():
        for check in checks:
            if check.failure_info is None:
                continue
            case = recorder.cases[id].value
            failure = check.failure_info.failure
            interaction = recorder.interactions[id]
            answer = _text(interaction.response)[:600] if interaction.response else ""
            found.wrong.setdefault(
                f"{case.operation.label}: {check.name}: {failure.title}: {_detail(interaction.response)}",
                f"{event.phase}: {failure.message}\n{check.failure_info.code_sample}\n{answer}",
            )


def _detail(response: schemathesis.Response | None) -> str:
    """What tells an answer from others of its kind."""
    if response is None:
        return "no answer"
    said = re.search(r'"detail":"(.{,40})', _text(response))
    return f"{response.status_code} {said[1] if said else ''}"


def _text(response: schemathesis.Response) -> str:
    """Also of what is none, as a picture."""
    return response.content.decode(errors="replace")
