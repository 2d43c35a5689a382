"""Who is at the operator's command line, for the log of the tenants that they work on."""

from __future__ import annotations

import getpass
import platform

from core.usecases.shared.people import Caller


def at_command_line(command: str) -> Caller:
    """The command, and the account of the machine that gave it; there is no address where nobody called."""
    try:
        user = getpass.getuser()
    except (KeyError, OSError):  # an id that the machine has no name for, as in containers
        user = "unknown"
    return Caller(address="", user_agent=f"sortation {command} ({user}@{platform.node()})")
