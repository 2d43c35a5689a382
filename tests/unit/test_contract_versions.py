"""A host that speaks a newer version of the contract still serves the one before, and tells that it is deprecated."""

from __future__ import annotations

import pytest

from core.domain import plugins as contract
from core.domain.plugins import RuleTypeManifest, deprecations_of
from entrypoints.cli.main import main
from plugins import loading
from sortation.testing import RuleTypeConformance

OLD = RuleTypeManifest(key="old", version="1", title="Old", factory="any:thing", api_min=1, api_max=1)
BOTH = RuleTypeManifest(key="both", version="1", title="Both", factory="any:thing", api_min=1, api_max=2)
NEW = RuleTypeManifest(key="new", version="1", title="New", factory="any:thing", api_min=2, api_max=3)


class Offering:
    """Stands for a plugin's module."""

    def __init__(self, manifest: RuleTypeManifest) -> None:
        self._manifest = manifest

    @loading.pluggy.HookimplMarker("sortation")
    def sortation_rule_types(self) -> list[RuleTypeManifest]:
        return [self._manifest]


offering_old, offering_both, offering_new = Offering(OLD), Offering(BOTH), Offering(NEW)


@pytest.fixture
def second_version(monkeypatch: pytest.MonkeyPatch) -> None:
    """As if this host spoke version 2, and still served 1."""
    monkeypatch.setattr(contract, "API_VERSION", 2)
    monkeypatch.setattr(loading, "API_VERSION", 2)


def test_nothing_is_deprecated_in_the_first_version() -> None:
    assert deprecations_of(OLD) == deprecations_of(BOTH) == ()


@pytest.mark.usefixtures("second_version")
def test_a_manifest_of_the_version_before_is_served_and_deprecated() -> None:
    (line,) = deprecations_of(OLD)
    assert line.startswith("old speaks the contract up to version 1, which is deprecated")
    assert deprecations_of(BOTH) == deprecations_of(NEW) == ()
    for name in ("old", "both", "new"):
        assert loading.offers(name, f"{__name__}:offering_{name}")[1][0].key == name


def test_a_version_that_is_not_spoken_is_not_loaded() -> None:
    with pytest.raises(loading.VersionError, match="speaks versions 2 to 3 of the contract, this host 1 to 1"):
        loading.offers("new", f"{__name__}:offering_new")


@pytest.mark.usefixtures("second_version")
def test_a_version_that_is_no_longer_spoken_is_not_loaded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loading, "OLDEST_API_VERSION", 2)
    with pytest.raises(loading.VersionError, match="this host 2 to 2"):
        loading.offers("old", f"{__name__}:offering_old")


@pytest.mark.usefixtures("second_version")
def test_the_doctor_tells_operators(capfd: pytest.CaptureFixture[str]) -> None:
    assert main(["plugin", "doctor", "recurring"]) == 0
    assert "  deprecated: recurring speaks the contract up to version 1" in capfd.readouterr().out


@pytest.mark.usefixtures("second_version")
def test_the_kit_tells_authors() -> None:
    class Suite(RuleTypeConformance):
        plugin = "plugins.recurring"

    with pytest.warns(DeprecationWarning, match="recurring speaks the contract up to version 1"):
        assert Suite().manifest.key == "recurring"
