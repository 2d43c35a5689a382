"""The kit passes a good rule type and catches each broken one, by the check that is named for it."""

from __future__ import annotations

import importlib
from pathlib import Path

import pytest

from sortation.testing import Outcome, RuleTypeConformance, checks, run_checks
from tests.kit import good_rule_types
from tests.kit.good_suites import Frequent
from tests.kit.rule_type_mutants import MUTANTS

GOOD = Path(good_rule_types.__file__).read_text()


def test_a_good_rule_type_passes_every_check() -> None:
    results = run_checks(Frequent)
    assert {result.check: result.said for result in results if result.outcome is not Outcome.PASSED} == {}


@pytest.mark.slow
@pytest.mark.parametrize("name", MUTANTS)
def test_broken_rule_types_are_caught(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    mutant = MUTANTS[name]
    assert mutant.old in GOOD, "the good rule type has changed"
    module = f"rule_mutant_{list(MUTANTS).index(name)}"
    (tmp_path / f"{module}.py").write_text(GOOD.replace(mutant.old, mutant.new, 1))
    monkeypatch.syspath_prepend(str(tmp_path))
    importlib.invalidate_caches()
    suite = type(f"Of{module}", (Frequent,), {"plugin": module})
    (result,) = run_checks(suite, [mutant.check])
    assert result.outcome is Outcome.FAILED, result.said


def test_every_check_catches_a_mutant() -> None:
    assert {mutant.check for mutant in MUTANTS.values()} == set(checks(RuleTypeConformance))
