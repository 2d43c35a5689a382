"""A fresh environment with Sortation out of its wheel, for tests that install plugins beside it as operators do.

What Sortation needs comes from the environment that the tests run in, by a line in a `.pth` file: so no index is asked,
and Sortation's own wheel stands before the source tree.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import sysconfig
from dataclasses import dataclass
from pathlib import Path

from tests.stack import ROOT

PARTS = ("core", "ports", "adapters", "plugins", "sortation", "entrypoints")
OFFLINE = {"PIP_NO_INDEX": "1", "PIP_NO_BUILD_ISOLATION": "0", "PIP_DISABLE_PIP_VERSION_CHECK": "1"}
"""To pip, isolation that is 0 is none: a package's build backend comes from the environment, too."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Beside:
    """The environment in `home`; wheels are put into `wheels`."""

    home: Path
    wheels: Path

    @property
    def python(self) -> Path:
        return self.home / "bin" / "python"

    @property
    def sortation(self) -> Path:
        return self.home / "bin" / "sortation"

    def environment(self, **more: str) -> dict[str, str]:
        kept = {
            name: value for name, value in os.environ.items() if not name.startswith(("SORTATION_", "PYTHON", "OTEL_"))
        }
        return {**kept, **OFFLINE, "PATH": f"{self.home / 'bin'}{os.pathsep}{os.environ['PATH']}", **more}

    def run(self, *command: str | Path, cwd: Path, code: int = 0, seconds: float = 300) -> str:
        """What the command says."""
        done = subprocess.run(
            [*map(str, command)],
            cwd=cwd,
            env=self.environment(),
            capture_output=True,
            text=True,
            timeout=seconds,
            check=False,
        )
        assert done.returncode == code, f"{command}\n{done.stdout[-6_000:]}\n{done.stderr[-3_000:]}"
        return done.stdout + done.stderr

    def build(self, *sources: Path) -> None:
        """Makes a wheel of each folder."""
        command = ["-m", "pip", "wheel", "--quiet", "--no-deps", "--wheel-dir", self.wheels]
        self.run(self.python, *command, *sources, cwd=self.wheels)

    def wheel(self, distribution: str) -> Path:
        (found,) = self.wheels.glob(f"{distribution.replace('-', '_')}-*.whl")
        return found

    def install(self, *distributions: str) -> None:
        """From their wheels, with what they ask for."""
        wheels = [self.wheel(distribution) for distribution in distributions]
        self.run(self.python, "-m", "pip", "install", "--quiet", *wheels, cwd=self.wheels)


def new_environment(folder: Path) -> Beside:
    """Sortation's wheel, built and installed."""
    made = Beside(home=folder / "environment", wheels=folder / "wheels")
    made.wheels.mkdir()
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", made.home], check=True)
    site = next(made.home.glob("lib/python3*/site-packages"))
    (site / "of-the-tests.pth").write_text(f"{sysconfig.get_path('purelib')}\n")
    made.build(_copied(folder / "sortation"))
    made.install("sortation")
    return made


def _copied(target: Path) -> Path:
    """The source tree without what earlier builds have left there."""
    unwanted = shutil.ignore_patterns("__pycache__")
    for part in PARTS:
        shutil.copytree(ROOT / part, target / part, ignore=unwanted)
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, target)
    return target


def apart(package: Path, target: Path) -> Path:
    """A package's tests alone, so that they can only find the installed package."""
    shutil.copytree(package / "tests", target / "tests")
    for name in ("pyproject.toml", "README.md"):
        if (package / name).exists():
            shutil.copy(package / name, target)
    return target
