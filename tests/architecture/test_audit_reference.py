"""docs/audit.md names every event, and every event is told somewhere."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from core.domain.events import EventType

ROOT = Path(__file__).parents[2]
DOC = (ROOT / "docs" / "audit.md").read_text()
CODE = "\n".join(path.read_text() for top in ("core", "adapters") for path in (ROOT / top).rglob("*.py"))
NAMES = re.findall(r"`([A-Z]+_[A-Z_]+|INGESTED|UPDATED|PROCESSED|DELETED|EXPORTED)`", DOC)


def test_the_document_names_every_event_once() -> None:
    assert sorted(NAMES) == sorted(type.value for type in EventType)


@pytest.mark.parametrize("type", list(EventType))
def test_an_event_that_there_is_is_told(type: EventType) -> None:
    assert re.search(rf"EventType\.{type.name}\b|'{type.value}'", CODE)
