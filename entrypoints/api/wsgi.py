"""What the WSGI server loads: one application for each of its processes."""

from __future__ import annotations

from flask import Flask

from adapters.embedded.processes import die_with_parent
from core.domain.inventories import Role
from entrypoints.announcing import announce
from entrypoints.api.app import create_app
from entrypoints.container import Container
from entrypoints.garbage import collect_less
from entrypoints.observability import set_up_logging, set_up_tracing
from entrypoints.settings import load_settings


def create() -> Flask:
    """The application with the settings of the environment; its process ends with the server's own."""
    die_with_parent()
    settings = load_settings()
    set_up_logging(settings)
    set_up_tracing(settings, "api")
    container = Container(settings=settings)
    app = create_app(container)
    announce(container, Role.API)
    collect_less()
    return app
