"""What `sortation plugin new` writes: a whole package with a connector or a rule type that works, and its tests."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from importlib.metadata import version
from pathlib import Path

from core.domain.plugins import API_VERSION
from core.errors import Invalid

MAX_NAME = 32
_NAME = re.compile(r"[a-z][a-z0-9]*(?:[-_][a-z0-9]+)*")
_COMMON = {
    "pyproject.toml": "pyproject.toml",
    "README.md": "README.md",
    ".gitignore": "gitignore",
    ".github/workflows/ci.yaml": "ci.yaml",
}
_CONNECTOR = {
    "src/{package}/plugin.py": "connector_plugin.py",
    "src/{package}/connector.py": "connector.py",
    "src/{package}/payments.py": "payments.py",
    "tests/test_{module}.py": "connector_test.py",
}
_RULE = {
    "src/{package}/plugin.py": "rule_plugin.py",
    "src/{package}/rule.py": "rule.py",
    "tests/test_{module}.py": "rule_test.py",
}
"""Templates by the paths of what they become."""


class PluginKind(StrEnum):
    CONNECTOR = "connector"
    RULE = "rule"


class AuthChoice(StrEnum):
    NONE = "none"
    KEY = "key"
    OAUTH2 = "oauth2"


@dataclass(frozen=True, slots=True, kw_only=True)
class NewPlugin:
    """What is asked for. `name` becomes the key of the connector or rule type; raises `Invalid` where it can't."""

    kind: PluginKind
    name: str
    auth: AuthChoice = AuthChoice.NONE
    webhook: bool = False

    def __post_init__(self) -> None:
        if not _NAME.fullmatch(self.name) or len(self.name) > MAX_NAME:
            raise Invalid(
                f"{self.name!r} is no name of a plugin: use up to {MAX_NAME} lower-case letters and digits, beginning "
                "with a letter, in words joined by dashes or underscores, such as my-shop"
            )

    @property
    def module(self) -> str:
        return self.name.replace("-", "_")

    @property
    def package(self) -> str:
        return f"sortation_{self.module}"

    @property
    def distribution(self) -> str:
        return f"sortation-{self.name.replace('_', '-')}"


def files_of(new: NewPlugin) -> Mapping[str, str]:
    """The files of the package: texts by path."""
    words = re.split("[-_]", new.name)
    host = f"{'-'.join(words)}.example"
    secrets = {
        AuthChoice.NONE: (),
        AuthChoice.KEY: ("api_key",),
        AuthChoice.OAUTH2: ("client_id", "client_secret"),
    }[new.auth]
    required = (*secrets, *(("webhook_secret",) if new.webhook else ()))
    title = " ".join(words).capitalize()
    values = {
        "kind": new.kind.value,
        "key": new.name,
        "module": new.module,
        "package": new.package,
        "distribution": new.distribution,
        "title": title,
        "camel": "".join(word.capitalize() for word in words),
        "summary": f"payments of {title}" if new.kind is PluginKind.CONNECTOR else f"the rule type `{new.name}`",
        "host": host,
        "api": f"https://api.{host}/v1",
        "auth": new.auth.value,
        "webhook": new.webhook,
        "required": ", ".join(f'"{name}"' for name in required),
        "api_version": API_VERSION,
        "since": ".".join(version("sortation").split(".")[:2]),
    }
    # Not with the module: the other commands do without.
    from jinja2 import Environment, PackageLoader, StrictUndefined

    templates = Environment(  # noqa: S701 - what comes out is no HTML
        loader=PackageLoader(__name__),
        undefined=StrictUndefined,
        keep_trailing_newline=True,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    named = {**_COMMON, **(_CONNECTOR if new.kind is PluginKind.CONNECTOR else _RULE)}
    files = {
        path.format(**values): templates.get_template(f"{template}.jinja").render(values)
        for path, template in named.items()
    }
    about = f'"""The package {new.distribution}, whose module `plugin` is what Sortation loads."""\n'
    return {**files, f"src/{new.package}/__init__.py": about, f"src/{new.package}/py.typed": ""}


def write(files: Mapping[str, str], folder: Path) -> None:
    """Writes the files into a folder, which may be there if it is empty. Raises `Invalid`, having written nothing."""
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise Invalid(f"{folder} is there already, and not empty: choose another folder with --directory")
    for path, text in files.items():
        target = folder / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text, encoding="utf-8")
