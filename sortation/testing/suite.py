"""What both suites share: how a plugin is loaded, how a check fails, and how all are run without pytest's command."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import traceback
import warnings
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from functools import cache
from typing import Any, ClassVar, NoReturn, TypeVar

import pytest
from jsonschema import Draft202012Validator
from jsonschema.exceptions import best_match

from core.domain.plugins import ConnectorManifest, RuleTypeManifest, deprecations_of
from plugins.isolation.host import Isolation
from plugins.loading import ContractError, VersionError, offers

M = TypeVar("M", ConnectorManifest, RuleTypeManifest)
_MEASURE = """
import importlib, sys, time
sys.path[:] = {path!r}
import sortation, threading
threads, start, took = threading.active_count(), time.process_time(), []
for module in {modules!r}:
    importlib.import_module(module)
    took.append(str(time.process_time() - start))
sys.stderr.write(" ".join([*took, str(threading.active_count() - threads)]))
"""


class Suite:
    """What the author of a plugin says of it. Values may be class attributes or properties."""

    plugin: str = ""
    """What the plugin's entry point names: `"my_package.plugin"`."""
    key: str = ""
    """That of the connector or rule type, where the plugin offers several."""
    import_seconds: ClassVar[float] = 0.5
    """CPU time that importing the entry point's module may take, beside `sortation`: the host does it at each start."""
    factory_seconds: ClassVar[float] = 3.0
    """As above, with the factory's module: the host does it when a connection is first used."""

    def offered(self, kind: type[M]) -> M:
        """The manifest that the plugin offers, of that kind and with the suite's key."""
        found = [m for m in _offers(self.plugin) if isinstance(m, kind) and self.key in ("", m.key)]
        if len(found) != 1:
            keys = ", ".join(m.key for m in found) or "none"
            fail(f"{self.plugin} offers {keys} of this kind: say which by `key`")
        for line in deprecations_of(found[0]):
            warnings.warn(line, DeprecationWarning, stacklevel=2)
        return found[0]

    def check_imports(self, modules: Mapping[str, float]) -> None:
        """The modules, imported by a process one after the other, each within so many seconds from the first on; and
        they say and start nothing."""
        done = _imported(tuple(modules), tuple(os.path.abspath(p) for p in sys.path))
        names = " and ".join(modules)
        if done.returncode:
            fail(f"importing {names} fails: {done.stderr[-1_000:]}")
        said, _, last = done.stderr.rpartition("\n")
        if done.stdout or said:
            fail(f"importing {names} prints: {(done.stdout + said)[:300]}")
        *times, threads = last.split()
        expect(int(threads) == 0, f"importing {names} starts threads")
        for (module, most), took in zip(modules.items(), map(float, times), strict=True):
            expect(
                took <= most,
                f"importing {module} takes {took:.2f} s of CPU time, beyond {most} s: import what is heavy where it is "
                "used",
            )


@cache
def _imported(modules: tuple[str, ...], path: tuple[str, ...]) -> subprocess.CompletedProcess[str]:
    """What a process says that imports the modules; once for all connectors that have the same."""
    code = _MEASURE.format(path=list(path), modules=modules)
    return subprocess.run(  # noqa: S603 - the author's own modules
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False
    )


@cache
def _offers(plugin: str) -> tuple[ConnectorManifest | RuleTypeManifest, ...]:
    try:
        connectors, rule_types = offers("under test", plugin)
    except (ContractError, VersionError) as error:
        raise AssertionError(f"the host would not load {plugin}: {error}") from error
    return (*connectors, *rule_types)


@cache
def isolation(*roots: str) -> Isolation:
    """Where the host would have connectors work, for the whole test run; temporary folders may be read there, and what
    is under `roots`."""
    return Isolation(roots=[tempfile.gettempdir(), *roots])


def expect(holds: object, message: str) -> None:
    if not holds:
        raise AssertionError(message)


def fail(message: str) -> NoReturn:
    raise AssertionError(message)


def skip(reason: str) -> NoReturn:
    pytest.skip(reason)


def check_fits(schema: Mapping[str, Any], value: Any, what: str) -> None:
    fault = best_match(Draft202012Validator(schema).iter_errors(value))
    expect(fault is None, f"{what} does not fit the schema: {fault.message[:300] if fault else ''}")


def fits(schema: Mapping[str, Any], value: Any) -> bool:
    return bool(Draft202012Validator(schema).is_valid(value))


def check_told_values(schema: Mapping[str, Any], path: str = "") -> None:
    """That each `default` and each of the `examples` of a schema fits the part that it stands in, and that each field
    says what it is for."""
    for told in [*([schema["default"]] if "default" in schema else []), *schema.get("examples", ())]:
        check_fits(schema, told, f"{told!r}, told as a value of {path or 'the whole'},")
    for name, part in schema.get("properties", {}).items():
        place = f"{path}.{name}".lstrip(".")
        if isinstance(part, Mapping):
            expect(
                path or any(part.get(word) for word in ("title", "description", "examples", "enum", "const")),
                f"the field {place} has no title and no description",
            )
            check_told_values(part, place)


class Outcome(StrEnum):
    PASSED = "passed"
    FAILED = "failed"
    SKIPPED = "skipped"


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """What came of one check; `said` tells why it failed or was skipped, `about` what it checks."""

    check: str
    outcome: Outcome
    said: str = ""
    about: str = ""


def checks(suite: type) -> Mapping[str, Callable[[Any], None]]:
    """The checks of a suite by name, in order."""
    names = [name for kind in reversed(suite.__mro__) for name in vars(kind) if name.startswith("test_")]
    return {name: getattr(suite, name) for name in dict.fromkeys(names)}


def run_checks(suite: type, only: Iterable[str] = ()) -> list[Result]:
    """Runs the checks of a suite (all, or `only` these) here, without pytest's command."""
    wanted = frozenset(only)
    unknown = wanted - checks(suite).keys()
    expect(not unknown, f"there are no checks {', '.join(sorted(unknown))}")
    results = []
    for name, check in checks(suite).items():
        if wanted and name not in wanted:
            continue
        outcome, said = Outcome.PASSED, ""
        try:
            check(suite())
        except pytest.skip.Exception as reason:
            outcome, said = Outcome.SKIPPED, str(reason)
        except AssertionError as error:
            outcome, said = Outcome.FAILED, str(error)
        except Exception:
            outcome, said = Outcome.FAILED, traceback.format_exc()
        about = " ".join((check.__doc__ or "").split())
        results.append(Result(check=name, outcome=outcome, said=said, about=about))
    return results
