"""The example plugins, installed as a third party's would be, are found and do their work."""

from __future__ import annotations

import importlib
import io
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from core.domain.plugins import PluginState
from core.errors import RuleInvalid
from plugins.manager import PluginManager
from sortation import Context, NoHistory, ReadRequest
from tests.unit.building import a_record

EXAMPLES = Path(__file__).parents[2] / "examples"
NAMES = ("plugin-github-issues", "plugin-pipes", "plugin-weekend")


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with all of them, as pip puts them there."""
    folder = tmp_path_factory.mktemp("plugins")
    target = folder / "site"
    sources = [str(shutil.copytree(EXAMPLES / name, folder / name)) for name in NAMES]
    options = ["--quiet", "--no-deps", "--no-index", "--no-build-isolation", "--target", str(target)]
    subprocess.run([sys.executable, "-m", "pip", "install", *options, *sources], check=True)
    return target


@pytest.fixture
def installed(site: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.syspath_prepend(str(site))
    importlib.invalidate_caches()
    yield
    for module in ("sortation_github_issues", "sortation_pipes", "sortation_weekend"):
        sys.modules.pop(module, None)


@pytest.mark.usefixtures("installed")
def test_an_installed_plugin_reads_its_format() -> None:
    host = PluginManager()
    info = next(info for info in host.inventory() if info.name == "pipes")
    assert (info.state, info.distribution, info.version) == (PluginState.LOADED, "sortation-pipes", "1.0.0")
    content = b"2026-03-01|Corner shop|-12.50\n2026-03-02|Salary|lots\n2026-03-03|Bakery|-3\n"
    assert host.detect(content, "march.pipes") == "pipes"
    (batch,) = host.connector("pipes").read(Context(default_currency="GBP"), ReadRequest(file=io.BytesIO(content)))
    assert [(d.occurred_at, d.text, d.amount, d.currency) for d in batch.drafts] == [
        (date(2026, 3, 1), "Corner shop", Decimal("-12.50"), "GBP"),
        (date(2026, 3, 3), "Bakery", Decimal("-3"), "GBP"),
    ]
    assert [(r.position, r.reason) for r in batch.refusals] == [(2, "'lots' is not an amount")]


@pytest.mark.usefixtures("installed")
def test_an_installed_plugin_can_be_blocked() -> None:
    host = PluginManager(block=frozenset({"sortation-pipes"}))
    assert "pipes" not in host.connectors()
    assert "csv" in host.connectors()


@pytest.mark.usefixtures("installed")
def test_an_installed_rule_type_judges_records() -> None:
    host = PluginManager()
    info = next(info for info in host.inventory() if info.name == "weekend")
    assert (info.state, info.distribution, info.version) == (PluginState.LOADED, "sortation-weekend", "1.0.0")
    moments = [
        date(2026, 1, 2),
        date(2026, 1, 3),
        date(2026, 1, 6),
        datetime(2026, 1, 2, 23, 30, tzinfo=UTC),  # Saturday in Berlin
    ]
    rule = host.rule_type("weekend").compile({"holidays": ["2026-01-06"]})
    records = [a_record(occurred_at=moment) for moment in moments]
    assert rule.evaluate(records, NoHistory(ZoneInfo("Europe/Berlin"))) == [False, True, True, True]
    assert host.rule_type("weekend").compile({}).evaluate(records, NoHistory()) == [False, True, False, False]

    refused = {"holidays": ["Christmas"]}, {"holidays": [24]}, {"days": [6, 7]}
    for params, place in zip(refused, ("params.holidays", "params.holidays.0", "params"), strict=True):
        with pytest.raises(RuleInvalid, match=f"^{place}: "):
            host.rule_type("weekend").compile(params)


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_the_authors_own_tests_pass(name: str, site: Path, tmp_path: Path) -> None:
    shutil.copytree(EXAMPLES / name, tmp_path, dirs_exist_ok=True, ignore=shutil.ignore_patterns("sortation_*.py"))
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", str(tmp_path / "tests")],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(site)},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert " passed" in done.stdout
