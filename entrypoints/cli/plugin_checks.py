"""`sortation plugin test`: a package's own tests by the conformance kit, as a table."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated
from xml.etree import ElementTree  # nosec B405 - what our own pytest wrote

import typer
from rich.text import Text

from core.errors import Invalid
from entrypoints.cli.files import new_table, print_json, screen

TEST_EXAMPLES = """Examples:

\b
  sortation plugin test                        the package in this folder
  sortation plugin test ./sortation-shop
  sortation plugin test ./sortation-shop --json | jq '.[] | select(.outcome == "failed")'
"""
_NO_TESTS = 5
_WARNING = "DeprecationWarning: "
_SHOWN = 120


@dataclass(frozen=True, slots=True, kw_only=True)
class Checked:
    """What came of one check: passed, failed or skipped, and why."""

    suite: str
    check: str
    outcome: str
    seconds: float
    said: str = ""


def run_tests(
    path: Annotated[Path, typer.Argument(metavar="[PATH]", file_okay=False, help="The package's folder.")] = Path(),
    as_json: Annotated[bool, typer.Option("--json", help="Print a JSON array instead of a table.")] = False,
) -> None:
    """Run the tests of a plugin's package by pytest, and show what each check of the conformance kit says. Ends with 1
    if any fails.

    The package need not be installed. What it needs beside Sortation must be.
    """
    if importlib.util.find_spec("pytest") is None:
        raise Invalid(f"the conformance kit needs pytest: {sys.executable} -m pip install pytest")
    if not path.is_dir():
        raise Invalid(f"there is no folder {path}")
    results, said, warned = _run(path.resolve())
    if as_json:
        print_json([asdict(result) for result in results])
    else:
        table = new_table(f"{path.resolve().name}", "suite", "check", "outcome", "why")
        for one in results:
            why = one.said.strip().partition("\n")[0][:_SHOWN]
            table.add_row(*map(Text, (one.suite, one.check.removeprefix("test_"), one.outcome, why)))
        screen().print(table)
    counts = {word: sum(one.outcome == word for one in results) for word in ("passed", "failed", "skipped")}
    typer.echo(", ".join(f"{count} {word}" for word, count in counts.items()), err=as_json)
    for warning in warned:
        typer.echo(f"sortation: {warning}", err=True)
    if counts["failed"]:
        typer.echo(f"sortation: the whole story tells: cd {path} && {sys.executable} -m pytest", err=True)
        raise typer.Exit(1)
    if said:
        typer.echo(f"sortation: pytest failed: {said}", err=True)
        raise typer.Exit(1)


def _run(path: Path) -> tuple[list[Checked], str, list[str]]:
    """The results, the last line of pytest where it failed, and what is deprecated."""
    sources = [str(folder) for folder in (path / "src", path) if folder.is_dir()]
    before = os.environ.get("PYTHONPATH")
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([*sources, *([before] if before else [])])}
    with tempfile.TemporaryDirectory(prefix="sortation-") as folder:
        report = Path(folder) / "report.xml"
        done = subprocess.run(  # noqa: S603 - the author's own tests, as the author asks
            [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--color=no", f"--junitxml={report}"],
            cwd=path,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode == _NO_TESTS:
            raise Invalid(f"{path} has no tests: in tests/test_*.py subclass what sortation.testing has")
        results = list(_results(report)) if report.exists() else []
    lines = (done.stdout + done.stderr).strip().splitlines()
    warned = [line[line.index(_WARNING) :] for line in lines if _WARNING in line]
    return results, lines[-1] if done.returncode and lines else "", list(dict.fromkeys(warned))


def _results(report: Path) -> Iterator[Checked]:
    """What pytest has written of each test; a module that can't be imported counts as one that failed."""
    for case in ElementTree.parse(report).iter("testcase"):  # noqa: S314 - pytest wrote it, a moment ago
        outcome, said = "passed", ""
        for part in case:
            if part.tag in ("failure", "error", "skipped"):
                outcome = "skipped" if part.tag == "skipped" else "failed"
                said = part.get("message") or part.text or ""
        yield Checked(
            suite=case.get("classname", "").rpartition(".")[2],
            check=case.get("name", ""),
            outcome=outcome,
            seconds=float(case.get("time", 0)),
            said=said.removeprefix("AssertionError: "),  # which is how checks fail
        )
