"""The console's pages, registered with the application."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from flask import Flask, Response, g, render_template
from flask_bootstrap import Bootstrap5  # type: ignore[import-untyped]
from jinja2 import FileSystemLoader

from core.domain.permissions import Permission
from entrypoints.api.auth import public
from entrypoints.api.errors import PROBLEM_PAGE
from entrypoints.api.oauth import COMING_BACK
from entrypoints.console import (
    account,
    assets,
    billing,
    categories,
    guard,
    identity,
    imports,
    invitations,
    learned,
    linking,
    overview,
    passwords,
    plugins,
    receipts,
    records,
    reports,
    review,
    rules,
    second_factor,
    settings,
    shell,
    signing_in,
    words,
)
from entrypoints.console.connections import acts as connection_acts
from entrypoints.console.connections import listing as connection_list
from entrypoints.console.connections import lists as connection_lists
from entrypoints.console.connections import new as connection_new
from entrypoints.console.connections import settings as connection_settings
from entrypoints.console.connections import signing_in_there
from entrypoints.console.connections import view as connection_page
from entrypoints.console.events import views as events
from entrypoints.console.jobs import views as jobs

_HEADINGS = {
    401: "Sign in",
    402: "The plan does not allow this",
    403: "This is not yours to do",
    404: "There is nothing here",
    429: "Too many attempts",
    500: "Something went wrong",
    503: "Not now",
}
_PAGES = (
    assets,
    signing_in,
    second_factor,
    identity,
    passwords,
    invitations,
    account,
    linking,
    overview,
    review,
    learned,
    imports,
    *records.PAGES,
    *receipts.PAGES,
    *rules.PAGES,
    *categories.PAGES,
    *reports.PAGES,
    connection_list,
    connection_new,
    connection_page,
    connection_settings,
    connection_acts,
    connection_lists,
    signing_in_there,
    *billing.PAGES,
    events,
    jobs,
    plugins,
    *settings.PAGES,
)
_TEMPLATES = Path(__file__).parent / "templates"


def register(app: Flask) -> None:
    app.config["BOOTSTRAP_SERVE_LOCAL"] = True
    app.jinja_loader = FileSystemLoader(_TEMPLATES)
    Bootstrap5(app)
    of_bootstrap = app.view_functions["bootstrap.static"]

    @public
    def bootstrap_asset(filename: str) -> Any:
        return of_bootstrap(filename=filename)

    app.view_functions["bootstrap.static"] = bootstrap_asset
    for pages in _PAGES:
        app.register_blueprint(pages.blp)
    app.extensions[COMING_BACK] = signing_in_there.coming_back
    app.after_request(guard.keep_form_secret)
    app.jinja_env.globals.update(form_token=guard.form_token, asset_url=assets.asset_url, is_here=shell.is_here)
    for word in (words.money, words.when, words.iso, words.percent, words.whole, words.as_sentence):
        app.jinja_env.filters[word.__name__] = word
    app.extensions[PROBLEM_PAGE] = problem_page


def problem_page(status: int, title: str, said: str) -> Response:
    """What went wrong, and what to do."""
    heading = _HEADINGS.get(status, "That did not work")
    actor = g.get("actor")
    to_billing = status == 402 and actor is not None and Permission.BILLING_READ in actor.permissions
    page = render_template("error.html", heading=heading, said=said or title, to_billing=to_billing)
    return Response(page, status, mimetype="text/html")
