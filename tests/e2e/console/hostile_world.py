"""A tenant in which whatever somebody can name has a name that would run, if a page took it for more than text."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote

from tests.e2e.console.conftest import invite
from tests.receipt_files import a_pdf
from tests.stack import Stack

PIECES = ('"><script>r=1</script>', "<script src=data:,r=1></script>", "<img src=x onerror=r=1>")
HOSTILE = "".join(PIECES)
HOSTILE_FILE = quote(f"{PIECES[2]}.pdf")
"""As a query has it; a slash would end a folder's name."""
LESSONS = 220
"""A promise is tried on 200 decisions of people, or more."""
SHOPS = ("ZQX QORBEL", "VUMBA KIOSK", "PLIRT WERKE", "OMDRA HALLE")
PLUGIN = f"""
from sortation import ConnectorManifest, hookimpl

class Odd:
    def detect(self, sample, filename):
        return 0.0

@hookimpl
def sortation_connectors():
    return [
        ConnectorManifest(
            key="odd", version="1", title={HOSTILE!r}, factory="odd_plugin_of_tests:Odd", pulls=True,
            config_schema={{
                "type": "object",
                "properties": {{"way": {{"type": "string", "title": {HOSTILE!r}, "description": {HOSTILE!r}}}}},
            }},
        )
    ]
"""


def install(folder: Path) -> Path:
    """A plugin with a hostile title, in the folder as pip would put it there."""
    about = folder / "odd_plugin_of_tests-1.dist-info"
    about.mkdir(parents=True)
    (folder / "odd_plugin_of_tests.py").write_text(PLUGIN)
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: odd-plugin-of-tests\nVersion: 1\n")
    (about / "entry_points.txt").write_text("[sortation]\nodd = odd_plugin_of_tests\n")
    return folder


def fill(stack: Stack) -> Mapping[str, str]:
    """One of everything; what stands for each parameter of a page's path."""
    stack.new_tenant(HOSTILE, trusted_packs=[])
    category = made(stack, "/categories", {"key": "odd", "name": HOSTILE})
    connection = made(stack, "/connections", {"connector": "odd", "name": HOSTILE, "config": {}})
    imported = stack.upload(_statement(), HOSTILE_FILE)
    made(stack, "/records", {"records": [_record()]}, 202)
    stack.wait_until(stack.idle)
    when = {"field": "text", "op": "contains", "value": f"{HOSTILE} of old"}
    rule = made(stack, "/rules", {"name": HOSTILE, "when": when, "then": {"category": category["id"]}})
    items = asked(stack, "/approvals?limit=500")["items"]
    _answer(stack, [item for item in items if "script" not in item["record"]["text"]], category["id"])
    run = made(stack, "/rules/runs", {}, 202)
    made(stack, "/rules/proposals", None, 202)
    made(stack, "/views", {"name": HOSTILE, "query": {"text": HOSTILE}, "shared": True})
    made(stack, "/api-keys", {"name": HOSTILE, "scopes": ["records:read"]})
    webhook = {"kind": "webhook", "name": HOSTILE, "url": "https://127.0.0.1/in", "topics": ["queue"]}
    endpoint = made(stack, "/notifications/endpoints", webhook)
    delivery = made(stack, f"/notifications/endpoints/{endpoint['id']}/test", None, 202)
    trial = made(stack, "/evaluations", {"promise": 0.9}, 202)
    receipt = _receipt(stack)
    spec = {"kind": "categories", "period": {"relative": "this_year"}}
    definition = made(stack, "/reports/definitions", {"name": HOSTILE, "spec": spec})
    report = made(stack, "/reports", {"definition_id": definition["id"]}, 202)
    stack.wait_until(stack.idle)
    [[job]] = stack.query("UPDATE jobs SET status = 'dead', last_error = %s WHERE id = %s RETURNING id", [
        HOSTILE, imported["job_id"],
    ])  # fmt: skip
    record = asked(stack, "/records?text=Odd")["items"][0]
    waits = asked(stack, "/approvals")["items"]
    return {
        "approval_id": next(item["id"] for item in waits if item["record"]["id"] == record["id"]),
        "category_id": category["id"],
        "connection_id": connection["id"],
        "connector": "odd",
        "decided_id": asked(stack, "/records?status=overridden")["items"][0]["id"],
        "definition_id": definition["id"],
        "delivery_id": delivery["id"],
        "endpoint_id": endpoint["id"],
        "evaluation_id": trial["id"],
        "import_id": imported["id"],
        "job_id": str(job),
        "key_id": asked(stack, "/api-keys")["items"][0]["id"],
        "kind": "webhook",
        "proposal_id": asked(stack, "/rules/proposals")["items"][0]["id"],
        "receipt_id": receipt,
        "record_id": record["id"],
        "reports run_id": report["id"],
        "rule_id": rule["id"],
        "run_id": run["id"],
    }  # fmt: skip


def made(stack: Stack, path: str, body: Any, status: int = 201) -> dict[str, Any]:
    answered, told = stack.call("POST", f"/api/v1{path}", body)
    assert answered == status, (path, told)
    return dict(told)


def asked(stack: Stack, path: str) -> dict[str, Any]:
    status, told = stack.call("GET", f"/api/v1{path}")
    assert status == 200, (path, told)
    return dict(told)


def guest(stack: Stack) -> str:
    """The token of an invitation that nobody takes."""
    return invite(stack, f"guest-{stack.tenant_id}@example.org", "viewer").rpartition("/")[2]


def _statement() -> bytes:
    lines = [f"2026-03-{1 + n % 28:02};{SHOPS[n % 4]} {n:03};-{n + 1}.50;EUR" for n in range(LESSONS)]
    return "\n".join(["Date;Description;Amount;Currency", *lines]).encode()


def _record() -> dict[str, Any]:
    return {
        "text": f"Odd {HOSTILE}", "counterparty": HOSTILE, "occurred_at": "2026-12-31", "amount": "-1234567.89",
        "currency": "EUR", "attributes": {HOSTILE: HOSTILE}, "raw": {HOSTILE: HOSTILE},
    }  # fmt: skip


def _answer(stack: Stack, items: list[dict[str, Any]], category: str) -> None:
    answers = [{"approval_id": item["id"], "verdict": "override", "category_id": category} for item in items]
    status, told = stack.call("POST", "/api/v1/approvals/bulk", {"answers": answers})
    assert status == 200, told
    stack.wait_until(stack.idle)


def _receipt(stack: Stack) -> str:
    lines = ["Shop", "2026-12-31", "Total 1234567.89 EUR"]
    status, told = stack.call("POST", f"/api/v1/receipts?filename={HOSTILE_FILE}", a_pdf(lines))
    assert status == 201, told
    return str(told["id"])
