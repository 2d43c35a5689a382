"""A tenant with an LLM behind it, as the tests of the LLM stage use it."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from decimal import Decimal
from typing import Any

from entrypoints.worker.runner import run_job
from tests.integration.api_support import HEADER, Api
from tests.integration.rule_support import everything
from tests.stubs.llm_server import LlmStub

PRICES = {"llm_input_price": Decimal("2"), "llm_output_price": Decimal("8")}
"""In US dollars per million tokens."""


def stage_of(record: dict[str, Any]) -> dict[str, Any]:
    """What the LLM stage wrote into the record's trace, which must be there."""
    (stage,) = [s for s in record["reasoning_trace"]["stages"] if s["stage"] == "llm"]
    return dict(stage)


def sort(api: Api, texts: Sequence[str], day: int = 1) -> dict[str, dict[str, Any]]:
    """Brings records, lets them be sorted, and gives all of the tenant's by their text; none may be left undecided."""
    records = [
        {"text": text, "occurred_at": f"2026-03-{day:02}", "amount": f"-{n + 1}.50", "currency": "EUR"}
        for n, text in enumerate(texts)
    ]
    api.post("/records", {"records": records}, 202)
    api.drain()
    found = {record["text"]: record for record in everything(api).values()}
    for record in found.values():
        assert record["status"] in ("processed", "needs_review", "approved", "overridden"), record
    return found


def allow(api: Api, **settings: Any) -> None:
    answer = api.call("PATCH", "/tenant", {"settings": settings})
    assert answer.status_code == 200, answer.text


def this_month(api: Api) -> dict[str, Any]:
    (month,) = api.get("/llm/usage?months=1")["months"]
    return dict(month)


def cost_of(used: Sequence[tuple[int, int]]) -> Decimal:
    return Decimal(sum(2 * prompt + 8 * completion for prompt, completion in used)) / 1_000_000


def check_accounts(api: Api, stub: LlmStub) -> dict[str, Any]:
    """What is accounted is what the stub counted; for tests in which every call was answered."""
    month = this_month(api)
    assert month["calls"] - month["failed"] == len(stub.used)
    assert month["calls"] == len(stub.requests)
    assert (month["prompt_tokens"], month["completion_tokens"]) == tuple(map(sum, zip(*stub.used, strict=True)))
    assert Decimal(month["cost"]) == cost_of(stub.used)
    assert Decimal(month["reserved"]) == 0
    return month


def data_of(request: dict[str, Any]) -> dict[str, Any]:
    """The data of a request that the stub got: examples and records."""
    found = re.search(r"<data>\n(.*)\n</data>", request["messages"][1]["content"])
    assert found is not None
    return dict(json.loads(found[1]))


def offered(request: dict[str, Any]) -> list[str]:
    """The paths that a request offers, by index."""
    found = re.search(r"<categories>\n(.*)\n</categories>", request["messages"][0]["content"], re.DOTALL)
    assert found is not None
    *categories, _ = [json.loads(line) for line in found[1].splitlines()]
    return [category["path"] for category in categories]


def texts_of(request: dict[str, Any]) -> list[str]:
    return [record["text"] for record in data_of(request)["records"]]


def bring_again(api: Api, text: str, day: int) -> None:
    """The same text once more, on another day."""
    api.upload(HEADER + f"2026-05-{day:02};{text};-1.50;EUR\n", f"{day}.csv")


def run_due(api: Api) -> None:
    """Runs what is due now, but not what that queues."""
    with api.container.system().take_due(share=10, limit=10) as due:
        jobs = list(due)
    for tenant_id, job_id, _, _ in jobs:
        run_job(api.container, tenant_id, job_id)
