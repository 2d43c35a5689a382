"""The benchmarks that take a file of somebody's run on one, and say what they promise to say."""

from __future__ import annotations

import csv
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
SHOPS = ("ZEBRA BOOKS", "TIGER FUEL", "OTTER FOOD", "HERON TOOLS")
COLUMNS = ["--text", "text", "--category", "category", "--context", "card", "--amount", "amount", "--date", "date"]


@pytest.fixture
def purchases(tmp_path: Path) -> Path:
    """400 purchases of four shops, a category each."""
    path = tmp_path / "purchases.csv"
    with path.open("w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["text", "category", "card", "amount", "date"])
        for n in range(400):
            shop = n % 4
            rows.writerow([f"{SHOPS[shop]} {n}", f"c{shop}", f"{n % 3}", n, f"2026-{1 + n // 100:02}-{1 + n % 28:02}"])
    return path


def said(*arguments: str | Path) -> Any:
    found = subprocess.run(
        [sys.executable, "-m", *map(str, arguments), "--json"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert found.returncode == 0, found.stderr
    return json.loads(found.stdout)


def test_how_the_promise_is_kept(purchases: Path) -> None:
    found = said("benchmarks.kept_promise", purchases, *COLUMNS, "--promise", "0.9", "--seeds", "1")
    assert found["rows"] == 400
    assert len(found["runs"]) == 1


def test_what_each_member_brings(purchases: Path) -> None:
    found = said("benchmarks.ablation", purchases, purchases, *COLUMNS)
    assert (found["train"], found["test"]) == (400, 400)
    assert found["rows"]


def test_what_becomes_of_each_statement_of_a_folder(tmp_path: Path) -> None:
    for name in ("statement.sta", "statement.xml"):
        (tmp_path / name).write_bytes((ROOT / "tests" / "data" / name).read_bytes())
    (tmp_path / "broken.xml").write_text("<Document><BkToCstmrStmt>")
    command = [sys.executable, "-m", "benchmarks.statements", tmp_path]
    found = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    told = {line.split()[0]: line.split(maxsplit=5)[1:] for line in found.stdout.splitlines()}
    assert told["statement.sta"] == ["mt940", "4", "0", "ok", "1 of 2 add up, gap -3.10 EUR"]
    assert told["statement.xml"] == ["camt", "4", "0", "ok", "1 of 1 add up"]
    assert told["broken.xml"][:2] == ["camt", "UnreadableFile:"]
