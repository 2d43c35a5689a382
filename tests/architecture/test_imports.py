"""The import order of the house, and what the core may import."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PURE = sorted(path for top in ("core", "ports") for path in (ROOT / top).rglob("*.py"))


def test_the_layers_hold() -> None:
    # In a process of its own: it disables every logger that there is, and tests after it would hear nothing.
    command = [Path(sys.executable).with_name("lint-imports"), "--no-cache"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("path", PURE, ids=lambda path: str(path.relative_to(ROOT)))
def test_core_and_ports_import_the_standard_library_alone(path: Path) -> None:
    allowed = set(sys.stdlib_module_names) | {"core", "ports"}
    imported = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            imported |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "imports are absolute"
            imported.add((node.module or "").split(".")[0])
    assert imported <= allowed


def test_ports_are_protocols_and_the_values_that_they_exchange() -> None:
    for path in (ROOT / "ports").glob("*.py"):
        for node in ast.parse(path.read_text()).body:
            if isinstance(node, ast.ClassDef):
                bases = {ast.unparse(base) for base in node.bases}
                decorated = any("dataclass" in ast.unparse(d) for d in node.decorator_list)
                assert decorated or "Protocol" in bases, f"{path.name}: {node.name}"
