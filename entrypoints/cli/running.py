"""Where the services are: in the settings, or in what the running `sortation up` noted in its data directory."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import psutil

from entrypoints.setting_values import PREFIX, SettingsError
from entrypoints.settings import Settings

_NAMES = ("database_url", "app_database_url", "system_database_url", "broker_url")


def note(settings: Settings) -> None:
    """Writes the URLs to `data_dir/services.json`, readable by its owner only: they hold passwords."""
    path = _path(settings)
    fresh = path.with_suffix(".new")
    fresh.unlink(missing_ok=True)
    content = {"pid": os.getpid()} | {name: getattr(settings, name) for name in _NAMES}
    with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        json.dump(content, file, indent=2)
    fresh.replace(path)


def forget(settings: Settings) -> None:
    """Removes what `note` wrote."""
    _path(settings).unlink(missing_ok=True)


def connected(settings: Settings, *, owner: bool = False, broker: bool = False) -> Settings:
    """The settings with the URLs of the app's and the system's role; with the `owner`'s, and the `broker`'s, if asked.

    What the environment leaves out comes from the running `up`. Raises `SettingsError`, naming what is missing.
    """
    found = _noted(settings) if settings.embedded_database or (broker and settings.embedded_broker) else {}
    settings = replace(
        settings,
        database_url=settings.database_url or found.get("database_url"),
        app_database_url=settings.app_database_url or found.get("app_database_url"),
        system_database_url=settings.system_database_url or found.get("system_database_url"),
        broker_url=settings.broker_url or found.get("broker_url"),
    )
    missing = []
    if not (settings.app_database_url and settings.system_database_url) or (owner and not settings.database_url):
        missing.append("DATABASE_URL")  # what the two roles' URLs are derived from
    if broker and not settings.broker_url:
        missing.append("BROKER_URL")
    if missing:
        raise SettingsError(
            f"no `sortation up` is running on {settings.data_dir}: start one, or set"
            f" {' and '.join(f'{PREFIX}{name}' for name in missing)}"
        )
    return settings


def child_environment(settings: Settings, *, owner: bool = False) -> Mapping[str, str]:
    """The environment of a process that serves: ours, with the URLs of its two roles, and without the owner's unless
    it is one that makes tables."""
    ours = {
        name: value
        for name, value in os.environ.items()
        if name.removesuffix("_FILE") not in {f"{PREFIX}{known.upper()}" for known in _NAMES}
    }
    names = [name for name in _NAMES if owner or name != "database_url"]
    urls = {f"{PREFIX}{name.upper()}": getattr(settings, name) or "" for name in names}
    return {**ours, **urls, f"{PREFIX}DATA_DIR": str(settings.data_dir)}


def _noted(settings: Settings) -> Mapping[str, str | None]:
    try:
        noted = json.loads(_path(settings).read_text())
    except FileNotFoundError:
        return {}
    # One that was killed could not take its note away.
    return {name: noted[name] for name in _NAMES} if psutil.pid_exists(noted["pid"]) else {}


def _path(settings: Settings) -> Path:
    return settings.data_dir / "services.json"
