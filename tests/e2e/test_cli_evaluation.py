"""`sortation evaluate` and `sortation replay`, as a user's shell runs them, on small files."""

from __future__ import annotations

import csv
import gzip
import json
import random
from datetime import date, timedelta
from pathlib import Path

import pytest

from tests.e2e.test_cli_files import refusal, sortation

pytestmark = pytest.mark.slow

SHOPS = {"ZQX QORBEL": "Groceries", "VUMBA KIOSK": "Rent", "PLIRT WERKE": "Fuel", "OMDRA HALLE": "Eating out"}
COLUMNS = ("--text", "merchant", "--category", "gl")
ALL = (*COLUMNS, "--context", "card,team", "--amount", "amount", "--date", "day")
EVALUATED = {
    "accuracy",
    "promise",
    "coverage",
    "precision",
    "interval",
    "by_stage",
    "train",
    "test",
    "oos_auroc",
    "oos_wrongly_decided",
    "seconds",
}
OF_A_PERIOD = {"period", "records", "automated", "precision", "estimated_precision", "interval"}


def written(path: Path, count: int, seed: int, *, texts: tuple[str, ...] = tuple(SHOPS)) -> Path:
    """Half a year of purchases, in order of time."""
    chance = random.Random(seed)
    with gzip.open(path, "wt", newline="") if path.suffix == ".gz" else path.open("w", newline="") as file:
        out = csv.writer(file)
        out.writerow(["merchant", "gl", "card", "team", "amount", "day"])
        for n in range(count):
            text = chance.choice(texts)
            day = date(2026, 1, 1) + timedelta(days=n * 180 // count)
            row = [f"{text} {n:04}", SHOPS.get(text, ""), n % 3, "North, East", f"-{n % 90 + 1}.50", day]
            out.writerow(row)
    return path


def test_evaluate_tells_what_would_be_decided_alone(tmp_path: Path) -> None:
    train, test = written(tmp_path / "train.csv.gz", 500, 1), written(tmp_path / "test.csv", 100, 2)
    strange = written(tmp_path / "oos.csv", 20, 3, texts=("1899 €€€ unheard", "ŴŸŻ ĦĦĦ"))
    asked = ("--promise", "0.9", "--out-of-scope", strange, "--json", "-")
    done = sortation("evaluate", train, test, *ALL, *asked, cwd=tmp_path)
    found = json.loads(done.stdout)
    assert found.keys() >= EVALUATED
    assert found["accuracy"] > 0.95
    assert found["promise"] == 0.9
    assert found["coverage"] > 0.5
    assert found["precision"] >= 0.9
    assert found["interval"][0] < found["precision"] <= found["interval"][1]
    assert (found["train"], found["test"]) == (500, 100)
    assert found["by_stage"].keys() == {"similarity"}
    assert found["by_stage"]["similarity"]["decided"] == round(found["coverage"] * 100)
    assert found["oos_auroc"] > 0.9
    assert found["oos_wrongly_decided"] < 0.5
    assert found["seconds"] > 0
    assert {path.name for path in tmp_path.iterdir()} == {"train.csv.gz", "test.csv", "oos.csv"}, (
        "nothing is left behind"
    )


def test_evaluate_writes_a_file_and_tells_nothing_of_what_was_not_given(tmp_path: Path) -> None:
    train, test = written(tmp_path / "train.csv", 60, 1), written(tmp_path / "test.csv", 20, 2)
    done = sortation("evaluate", train, test, *COLUMNS, "--json", "out.json", cwd=tmp_path)
    assert done.stdout == ""
    found = json.loads((tmp_path / "out.json").read_text())
    assert found.keys() >= EVALUATED
    assert (found["oos_auroc"], found["oos_wrongly_decided"]) == (None, None)
    assert (found["coverage"], found["precision"], found["by_stage"]) == (0, None, {}), "60 rows show nothing"


def test_replay_lives_a_tenants_life(tmp_path: Path) -> None:
    file = written(tmp_path / "history.csv.gz", 600, 4)
    asked = ("--promise", "0.8", "--spot-checks", "0.2", "--batch", "200", "--json", "-")
    found = json.loads(sortation("replay", file, *ALL, *asked, cwd=tmp_path).stdout)
    assert found.keys() >= {"periods", "automation", "precision", "answers", "seconds"}
    periods = found["periods"]
    assert [one["period"] for one in periods] == ["2026Q1", "2026Q2"]
    assert all(one.keys() >= OF_A_PERIOD for one in periods)
    assert sum(one["records"] for one in periods) == 600
    automated = sum(one["automated"] for one in periods)
    assert found["automation"] == pytest.approx(automated / 600, abs=1e-4)
    assert automated > 200
    assert found["precision"] > 0.8
    checks = sum(one["checks"] for one in periods)
    assert found["answers"] == 600 - automated + checks, "all that was not decided alone, and the spot checks"
    assert 0 < checks < automated
    low, high = periods[-1]["interval"]
    assert low <= periods[-1]["estimated_precision"] <= high
    assert found["rules_accepted"] == 0
    assert found["by_stage"].keys() == {"similarity"}


def test_replay_accepts_the_rules_that_are_proposed_and_they_are_checked_too(tmp_path: Path) -> None:
    file = written(tmp_path / "history.csv", 600, 4)
    asked = ("--promise", "0.8", "--spot-checks", "0.2", "--batch", "200", "--accept-rules", "--json", "-")
    found = json.loads(sortation("replay", file, *ALL, *asked, cwd=tmp_path).stdout)
    assert found["rules_accepted"] >= len(SHOPS), "one for each shop at least"
    rules = found["by_stage"]["rules"]
    assert rules["precision"] == 1
    assert rules["decided"] > 200
    automated = sum(one["automated"] for one in found["periods"])
    assert sum(stage["decided"] for stage in found["by_stage"].values()) == automated
    checks = sum(one["checks"] for one in found["periods"])
    assert checks > 0.1 * automated, "a fifth in the mean"
    assert found["answers"] == 600 - automated + checks


def test_replay_without_dates_tells_by_tenths(tmp_path: Path) -> None:
    file = written(tmp_path / "history.csv", 40, 5)
    found = json.loads(sortation("replay", file, *COLUMNS, "--json", "-", cwd=tmp_path).stdout)
    assert [one["period"] for one in found["periods"]] == [f"{n}/10" for n in range(1, 11)]
    assert (found["automation"], found["precision"], found["answers"]) == (0, None, 40)
    assert all(one["estimated_precision"] is None for one in found["periods"])


@pytest.mark.parametrize("command", ["evaluate", "replay"])
@pytest.mark.parametrize(
    ("options", "says"),
    [
        (("--text", "nowhere", "--category", "gl"), "no column 'nowhere'; it has merchant, gl, card"),
        (("--text", "merchant", "--category", "label"), "no column 'label'"),
        ((*COLUMNS, "--context", "card,site"), "no column 'site'"),
        ((*COLUMNS, "--amount", "merchant"), "line 2: 'ZQX QORBEL 0000' is no amount"),
        ((*COLUMNS, "--date", "card"), "line 2: '0' is no date"),
        ((*COLUMNS, "--promise", "1.5"), "promise lies between 0 and 1"),
        (("--text", "merchant"), "--category"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else "",
)
def test_what_is_wrong_is_said_in_one_line(tmp_path: Path, command: str, options: tuple[str, ...], says: str) -> None:
    file = written(tmp_path / "rows.csv", 5, 1, texts=("ZQX QORBEL",))
    files = [file, file] if command == "evaluate" else [file]
    assert says in refusal(command, *files, *options, cwd=tmp_path)


@pytest.mark.parametrize("command", ["evaluate", "replay"])
@pytest.mark.parametrize("broken", ["missing.csv", "empty.csv", "header.csv", "no.csv.gz", "torn.csv.gz"])
def test_a_file_that_cannot_be_read_is_named(tmp_path: Path, command: str, broken: str) -> None:
    good = written(tmp_path / "rows.csv", 5, 1)
    whole = written(tmp_path / "whole.csv.gz", 500, 1).read_bytes()
    (tmp_path / "empty.csv").touch()
    (tmp_path / "header.csv").write_text("merchant,gl\n")
    (tmp_path / "no.csv.gz").write_text("merchant,gl\nA,B\n")
    (tmp_path / "torn.csv.gz").write_bytes(whole[: len(whole) // 2])
    files = [good, tmp_path / broken] if command == "evaluate" else [tmp_path / broken]
    assert broken in refusal(command, *files, *COLUMNS, cwd=tmp_path)


def test_the_commands_are_listed(tmp_path: Path) -> None:
    bare = sortation(cwd=tmp_path).stdout
    for command in ("evaluate", "replay"):
        assert f"\n  {command} " in bare
        assert "Examples:" in sortation(command, "--help", cwd=tmp_path).stdout
