"""`sortation secrets`: the keys that the secrets of connections and endpoints are sealed with."""

from __future__ import annotations

import typer

from core.errors import SecretUnreadable
from core.usecases.secret_keys import Rotation
from entrypoints.cli.files import quiet_settings
from entrypoints.cli.groups import group
from entrypoints.cli.running import connected

EXAMPLES = """Examples:

\b
  Another key, while the service runs:
    1. set SORTATION_SECRET_KEY to the new key and SORTATION_FORMER_SECRET_KEYS to the old one
    2. sortation migrate, and restart api, worker and relay with both
    3. sortation secrets rotate
    4. take SORTATION_FORMER_SECRET_KEYS away
"""
NAMED = 3

app = group("The secrets of connections and endpoints, and the keys that they are sealed with.", EXAMPLES)


@app.command()
def rotate() -> None:
    """Seal anew, with the present key, all that a former key sealed. Safe to repeat, while the service runs."""
    from entrypoints.container import Container

    settings = connected(quiet_settings())
    rotation = Container(settings=settings).rotate_secrets()
    number = rotation.resealed
    typer.echo(f"{number} {'value is' if number == 1 else 'values are'} sealed anew.")
    if settings.former_secret_keys:
        typer.echo(_when_to_drop(rotation))
    if rotation.unreadable:
        named = ", ".join(map(str, rotation.unreadable[:NAMED])) + (" ..." if len(rotation.unreadable) > NAMED else "")
        raise SecretUnreadable(
            f"the secrets of {len(rotation.unreadable)} others can't be opened with the present or a former key,"
            f" and stay as they are: {named}; set SORTATION_FORMER_SECRET_KEYS, or enter them again"
        )


def _when_to_drop(rotation: Rotation) -> str:
    """What still rests on former keys: links that were sent while they were the present ones."""
    waits = "1 hour for links to set a password"
    if rotation.links_until is not None:
        waits += f", {rotation.links_until:%Y-%m-%d %H:%M} UTC for the last invitation"
    return f"Links of before open while SORTATION_FORMER_SECRET_KEYS is set. Before it goes, wait {waits}."
