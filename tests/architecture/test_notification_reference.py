"""docs/notifications.md names every topic and type with what its message tells, and every code of a try."""

from __future__ import annotations

import re
from pathlib import Path

from core.domain.notifications import TEST, TOLD, Digest, message_type

ROOT = Path(__file__).parents[2]
DOC = (ROOT / "docs" / "notifications.md").read_text()


def table(heading: str) -> list[list[set[str]]]:
    """The rows below a heading: what stands in backticks in each of their cells."""
    section = re.split(r"^## ", DOC.partition(f"## {heading}\n")[2], flags=re.MULTILINE)[0]
    rows = [line for line in section.splitlines() if line.startswith("| `")]
    return [[set(re.findall(r"`([^`]+)`", cell)) for cell in row.strip("|").split("|")] for row in rows]


def test_every_type_stands_there_with_its_topic_and_fields() -> None:
    told = {
        (entry.topic.value, message_type(type), *sorted({*entry.fields, *filter(None, [entry.subject])}))
        for type, entry in TOLD.items()
    }
    written = {(*topic, *type, *sorted(fields)) for topic, type, _, fields in table("Topics and messages")}
    assert written == told
    assert f"`{TEST}`" in DOC
    assert all(f"`{digest.value}`" in DOC for digest in Digest if digest is not Digest.NONE)


def test_every_code_of_a_try_stands_there() -> None:
    sources = [
        "adapters/messaging/webhooks.py",
        "core/usecases/sending.py",
        "core/domain/notification_retries.py",
    ]
    code = "\n".join((ROOT / source).read_text() for source in sources)
    made = set(re.findall(r'code="([a-z_]+)"|"(redirect|refused)"', code))
    known = {name for pair in made for name in pair if name} | {
        "ok",
        "secret_unreadable",
        "endpoint_disabled",
        "job_dead",
    }
    assert {name for row in table("How to try it") for name in row[0]} == known
