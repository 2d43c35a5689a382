"""The example plugin, installed as a third party's would be, is found, chosen and read."""

from __future__ import annotations

import importlib
import io
import shutil
import subprocess
import sys
from collections.abc import Iterator
from datetime import date
from decimal import Decimal
from pathlib import Path

import pytest

from core.domain.plugins import PluginState
from plugins.manager import PluginManager
from sortation import Context, ReadRequest

EXAMPLE = Path(__file__).parents[2] / "examples" / "plugin-pipes"


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    source, target = tmp_path / "source", tmp_path / "site"
    shutil.copytree(EXAMPLE, source)
    options = ["--quiet", "--no-deps", "--no-index", "--no-build-isolation", "--target", str(target)]
    subprocess.run([sys.executable, "-m", "pip", "install", *options, str(source)], check=True)
    monkeypatch.syspath_prepend(str(target))
    importlib.invalidate_caches()
    yield
    sys.modules.pop("sortation_pipes", None)


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
