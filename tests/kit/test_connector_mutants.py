"""The kit passes good connectors and catches each broken one, by the check that is named for it."""

from __future__ import annotations

import importlib
from pathlib import Path

import pytest

from sortation.testing import ConnectorConformance, Outcome, checks, run_checks
from sortation.testing.checks_pulls import PullChecks
from tests.kit import good_connectors, good_suites
from tests.kit.connector_mutants import MUTANTS, Mutant

GOOD = Path(good_connectors.__file__).read_text()
SUITES = {name: getattr(good_suites, name) for name in ("Ledger", "LedgerByOAuth2", "Feed", "Drop", "Lines")}


def mutated(mutant: Mutant, module: str, folder: Path) -> type[ConnectorConformance]:
    """The suite of the good connector, with the mutant in its place."""
    assert GOOD.count(mutant.old) >= 1, "the good connector has changed"
    (folder / f"{module}.py").write_text(GOOD.replace(mutant.old, mutant.new, 1))
    importlib.invalidate_caches()
    return type(f"Of{module}", (SUITES[mutant.suite],), {"plugin": module})


@pytest.mark.parametrize("suite", SUITES.values(), ids=SUITES)
def test_good_connectors_pass(suite: type[ConnectorConformance]) -> None:
    results = run_checks(suite)
    assert {result.check: result.said for result in results if result.outcome is Outcome.FAILED} == {}


@pytest.mark.slow
@pytest.mark.leaks
@pytest.mark.parametrize("name", MUTANTS)
def test_broken_connectors_are_caught(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    mutant = MUTANTS[name]
    monkeypatch.syspath_prepend(str(tmp_path))
    suite = mutated(mutant, f"mutant_{list(MUTANTS).index(name)}", tmp_path)
    (result,) = run_checks(suite, [mutant.check])
    assert result.outcome is Outcome.FAILED, result.said
    assert "the suite's own" not in result.said


def test_what_fails_for_a_refusal_says_why(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(tmp_path))
    unlike = Mutant("Ledger", "test_drafts_are_valid", 'Decimal(item["amount"])', 'Decimal(item["price"])')
    of_items = [unlike.check, *(name for name in vars(PullChecks) if name.startswith("test_"))]
    failed = [r for r in run_checks(mutated(unlike, "unlike", tmp_path), of_items) if r.outcome is Outcome.FAILED]
    assert len(failed) > 9
    assert {r.check: r.said for r in failed if "at 1: KeyError: 'price'" not in r.said[:120]} == {}


def test_every_check_catches_a_mutant() -> None:
    assert {mutant.check for mutant in MUTANTS.values()} == set(checks(ConnectorConformance))
