"""The demo of `sortation up`: a tenant with a sorted statement, all of it through the HTTP API."""

from __future__ import annotations

import hashlib
import json
import os
import time
import urllib.error
import urllib.request
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from rich.console import Console, Group
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeElapsedColumn
from rich.text import Text

from core.domain.jobs import Stream
from core.errors import SortationError, StartFailed
from entrypoints.cli import stopping
from entrypoints.cli.files import new_table

# A few records of history are no evidence for a promise: the demo fixes from where on similarity and an LLM decide.
OWNER = "demo@example.com"
TENANT = {
    "name": "Demo",
    "owner_email": OWNER,
    "time_zone": "Europe/Berlin",
    "settings": {"trusted_packs": ["bank"], "similarity_threshold": 0.9, "llm_threshold": 0.85},
}
PAGE = 500
TIMEOUT_SECONDS = 30
POLL_SECONDS = 0.2
STALLED_SECONDS = 120.0
"""Without any progress for so long, the demo goes on with what there is."""
LABELS = {
    "rules": "sorted by rules",
    "similarity": "sorted by similarity",
    "llm": "sorted by the LLM",
    "needs_review": "waiting for a person",
    "human": "decided by a person",
    "processed": "left unsorted by a rule",
    "ingested": "not sorted yet",
    "held": "held: over quota",
    "failed": "failed",
}
ALWAYS = ("rules", "similarity", "llm", "needs_review")


class Refused(SortationError):
    """The API refused a request."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Client:
    """The API at `url`, with a key."""

    url: str
    key: str

    def get(self, path: str, **query: Any) -> Any:
        """The JSON answer. Raises `Refused` for any other status than 2xx, and `OSError` when nothing answers."""
        return self._send("GET", path, query)

    def post(self, path: str, body: bytes, content_type: str, **query: Any) -> Any:
        """As `get`."""
        return self._send("POST", path, query, body, content_type)

    def pages(self, path: str, **query: Any) -> Iterator[Mapping[str, Any]]:
        """All items, page by page."""
        after: dict[str, str] = {}
        while True:
            page = self.get(path, limit=PAGE, **query, **after)
            yield from page["items"]
            if page["next"] is None:
                return
            after = {"after": page["next"]}

    def _send(
        self, method: str, path: str, query: Mapping[str, Any], body: bytes | None = None, content_type: str = ""
    ) -> Any:
        url = f"{self.url}{path}?{urlencode(query, doseq=True)}"
        headers = {"Authorization": f"Bearer {self.key}", "Content-Type": content_type}
        request = urllib.request.Request(url, data=body, headers=headers, method=method)  # noqa: S310 - our own server
        # A proxy of the environment is for other hosts.
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        try:
            with opener.open(request, timeout=TIMEOUT_SECONDS) as answer:
                return json.load(answer)
        except urllib.error.HTTPError as error:
            try:
                detail = json.load(error).get("detail") or error.reason
            except ValueError:
                detail = error.reason
            raise Refused(f"{method} {path}: {error.code} {detail}") from error


def demo_key(url: str, operator_key: str, data_dir: Path) -> str:
    """The key of the demo tenant: the kept one while it works, else that of a new tenant."""
    path = data_dir / "demo-key"
    with suppress(FileNotFoundError, Refused):
        key = path.read_text().strip()
        Client(url=url, key=key).get("/api/v1/me")
        return key
    operator = Client(url=url, key=operator_key)
    made = operator.post("/api/v1/tenants", json.dumps(TENANT).encode(), "application/json")
    key = str(made["api_key"])
    path.unlink(missing_ok=True)
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(f"{key}\n")
    return key


def run_demo(client: Client, statement: Path, history: Path | None, console: Console) -> Group:
    """Imports the approved history, then the statement, unless that was done before; says how the statement fared.

    Raises `StartFailed` when the statement can't be read.
    """
    with Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        console=console,
    ) as progress:
        for file, approved in ((history, True), (statement, False)):
            if file is not None:
                imported = _import(client, file, approved, progress)
    records = list(client.pages("/api/v1/records", import_id=imported["id"]))
    return _table(statement.name, records, _per_second(client, imported))


def _import(client: Client, file: Path, approved: bool, progress: Progress) -> Mapping[str, Any]:
    """The import of this very file, finished: the earlier one, or a new one."""
    content = file.read_bytes()
    digest = hashlib.sha256(content).hexdigest()
    earlier = client.get("/api/v1/imports", limit=PAGE)["items"]
    found = next((i for i in earlier if i["sha256"] == digest and i["status"] in ("received", "reading", "done")), None)
    if found is None:
        query = {"filename": file.name, "approved": str(approved).lower()}
        found = client.post("/api/v1/imports", content, "application/octet-stream", **query)
    lines = max(1, content.count(b"\n") - 1)
    task = progress.add_task(f"{'learning from' if approved else 'sorting'} {file.name}", total=lines)
    return _wait(client, found["id"], progress, task)


def _wait(client: Client, import_id: str, progress: Progress, task: TaskID) -> Mapping[str, Any]:
    """Follows the import until the tenant has no open job, showing how many of its records are sorted."""
    seen: Any = None
    deadline = time.monotonic() + STALLED_SECONDS
    while True:
        imported: Mapping[str, Any] = client.get(f"/api/v1/imports/{import_id}")
        if imported["status"] == "failed":
            raise StartFailed(f"{imported['filename']}: {imported['failure']}")
        started = time.monotonic()
        done = imported["status"] == "done"
        # The jobs first: what they left is final only if none was open before it was counted.
        jobs = client.get("/api/v1/jobs", status=["queued", "published", "running"])["items"]
        busy = any(_sorts(job) for job in jobs)
        if done:
            left = sum(1 for _ in client.pages("/api/v1/records", import_id=import_id, status="ingested"))
            progress.update(task, total=imported["inserted"], completed=imported["inserted"] - left)
            if not busy:
                return imported
            if left != seen:
                seen, deadline = left, time.monotonic() + STALLED_SECONDS
        if time.monotonic() > deadline:
            return imported
        stopping.check()
        time.sleep(max(POLL_SECONDS, 4 * (time.monotonic() - started)))


def _sorts(job: Mapping[str, Any]) -> bool:
    """Proposals, and forgetting the vectors of a former model, take their time and sort nothing."""
    return job["stream"] != Stream.LEARN and "forget" not in job["payload"]


def _per_second(client: Client, imported: Mapping[str, Any]) -> float | None:
    """Records a second, from the start of the import's job to the end of the last one that sorted its records."""
    started = client.get(f"/api/v1/jobs/{imported['job_id']}")["started_at"]
    jobs = client.pages("/api/v1/jobs", stream="records:process", status="done")
    ends = [job["finished_at"] for job in jobs if job["payload"].get("import_id") == imported["id"]]
    if not started or not ends:
        return None
    seconds = (max(map(datetime.fromisoformat, ends)) - datetime.fromisoformat(started)).total_seconds()
    return float(imported["inserted"] - imported["held"]) / seconds if seconds > 0 else None


def _table(name: str, records: list[Mapping[str, Any]], per_second: float | None) -> Group:
    counts = Counter(_fate(record) for record in records)
    speed = "" if per_second is None else f", at {per_second:,.0f} records/s"
    table = new_table("", "", "records", "share", right=["records", "share"])
    for fate, label in LABELS.items():
        if counts[fate] or fate in ALWAYS:
            table.add_row(label, str(counts[fate]), f"{counts[fate] / max(1, len(records)):.0%}")
    return Group(Text(f"\n{name}: {len(records)} records{speed}\n", style="bold"), table, "")


def _fate(record: Mapping[str, Any]) -> str:
    """What became of a record, as a key of `LABELS`."""
    if record["status"] in ("approved", "overridden"):
        return "human"
    if record["status"] == "processed" and record["category_id"] is not None:
        return str(record["stage"])
    return str(record["status"])


def curl(url: str, key: str) -> str:
    """A command that lists some sorted records with their traces."""
    return f"curl -s -H 'Authorization: Bearer {key}' '{url}/api/v1/records?status=processed&limit=3'"
