"""What scanners find in what is committed: nothing that nobody has looked at."""

from __future__ import annotations

import json
import shlex
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from tests.architecture.test_imports import ROOT

BASELINE = ROOT / ".secrets.baseline"
"""What looks like a secret and is none, by its hash: written by `COMMAND`, once somebody has looked at each."""
UNSCANNED = r"^(requirements\.lock|\.secrets\.baseline)$"
"""Hashes, and nothing else."""
COMMAND = f"detect-secrets scan --no-verify --exclude-files '{UNSCANNED}'"
SHIPPED = ("core", "ports", "adapters", "plugins", "sortation", "entrypoints")
NO_RUFF_RULE = {"B404"}


def run(name: str, *arguments: str) -> str:
    command = [str(Path(sys.executable).with_name(name)), *arguments]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def found(report: str) -> set[tuple[str, str]]:
    """File and hash: where in the file it stands may change."""
    results = json.loads(report)["results"]
    return {(file, one["hashed_secret"]) for file, those in results.items() for one in those}


@pytest.mark.slow
def test_no_secret_is_committed() -> None:
    now, known = found(run(*shlex.split(COMMAND))), found(BASELINE.read_text())
    assert sorted(now - known) == [], f"look at each, then: {COMMAND} > {BASELINE.name}"
    assert sorted(known - now) == [], "no longer there"


@pytest.mark.slow
def test_bandit_finds_nothing() -> None:
    run("bandit", "--quiet", "--configfile", "pyproject.toml", "--recursive", *SHIPPED)


def test_what_bandit_is_not_asked_ruff_is() -> None:
    tools = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]
    ruff = tools["ruff"]["lint"]
    assert "S" in ruff["select"]
    skipped = {f"S{number[1:]}" for number in tools["bandit"]["skips"] if number not in NO_RUFF_RULE}
    assert skipped.isdisjoint(ruff["ignore"])
    for pattern, rules in ruff["per-file-ignores"].items():
        assert not pattern.startswith(SHIPPED) or skipped.isdisjoint(rules), pattern
