"""A process that has plugins says which, as long as it lives."""

from __future__ import annotations

from threading import Event, Thread

import structlog

from core.domain.inventories import ANNOUNCE_SECONDS, Role
from core.errors import Transient
from entrypoints.container import Container

log = structlog.get_logger()


def announce(container: Container, role: Role) -> None:
    """Begins to, in a thread that ends with the process."""
    Thread(target=_announce, args=(container, role), name="announcing", daemon=True).start()


def _announce(container: Container, role: Role) -> None:
    pause = Event()
    while True:
        try:
            container.announce_plugins(role)
        except Transient as error:
            log.warning("plugins not announced", error=str(error))
        except Exception:
            log.exception("plugins could not be announced")
        pause.wait(ANNOUNCE_SECONDS)
