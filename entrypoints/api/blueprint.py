"""flask-smorest's blueprint, typed, with the API's habits: strict queries, JSON by orjson, no NUL anywhere."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeVar

import flask_smorest  # type: ignore[import-untyped]
import orjson
from flask import Request, current_app, request
from marshmallow import Schema, fields
from webargs.core import missing
from webargs.flaskparser import FlaskParser
from werkzeug.exceptions import UnsupportedMediaType

from core.domain.nesting import MAX_NESTING, too_deep
from core.errors import Invalid, NotFound
from entrypoints.api.errors import MalformedJson
from entrypoints.api.schemas.base import ChangeSchema
from entrypoints.api.state import small_body

View = TypeVar("View", bound=Callable[..., Any])
MAX_PARAMETERS = 100


class Parser(FlaskParser):
    def _raw_load_json(self, req: Request) -> Any:
        body = small_body()
        if not body.strip():
            return missing
        if not req.is_json:
            raise UnsupportedMediaType("send the body as application/json")
        try:
            value = orjson.loads(body)
        except orjson.JSONDecodeError as error:
            raise MalformedJson(f"the body is not JSON: {error}") from None
        if body.count(b"[") + body.count(b"{") > MAX_NESTING and too_deep(value):
            raise Invalid(f"the body is nested deeper than {MAX_NESTING} objects and lists")
        if b"\\u0000" in body:
            _refuse_nul(value)
        return value


def _refuse_nul(value: Any) -> None:
    match value:
        case str() if "\x00" in value:
            raise Invalid("a text has a NUL character")
        case dict():
            for name, part in value.items():
                _refuse_nul(name)
                _refuse_nul(part)
        case list():
            for part in value:
                _refuse_nul(part)


class Blueprint(flask_smorest.Blueprint):  # type: ignore[misc]
    """Views are functions, each with `@blp.route`, its access, `@blp.query`, `@blp.body` and `@blp.answer`."""

    ARGUMENTS_PARSER = Parser()

    def __init__(self, name: str, description: str, url_prefix: str) -> None:
        super().__init__(name, __name__, url_prefix=url_prefix, description=description)

    def route(self, rule: str, method: str = "GET") -> Callable[[View], View]:
        decorate: Callable[[View], View] = super().route(rule, methods=[method])
        return decorate

    def query(self, schema: type[Schema]) -> Callable[[View], View]:
        """The query parameters, handed to the view as its first argument."""
        decorate: Callable[[View], View] = self.arguments(schema(), location="query")

        def known(view: View) -> View:
            decorated = decorate(view)
            decorated.query = query_of(schema)  # type: ignore[attr-defined]
            return decorated

        return known

    def body(self, schema: type[Schema]) -> Callable[[View], View]:
        """The JSON body, handed to the view as its first argument (after the query, where both stand)."""
        wanted = issubclass(schema, ChangeSchema) or any(field.required for field in schema().fields.values())
        decorate: Callable[[View], View] = self.arguments(schema(), required=wanted)
        return decorate

    def answer(self, status: int, schema: type[Schema] | None = None, **kwargs: Any) -> Callable[[View], View]:
        """Writes what the view returns by `schema`; a ready `Response` goes out as it is."""
        decorate: Callable[[View], View] = self.response(status, schema, **kwargs)
        return decorate

    def also(self, status: int, schema: type[Schema], **kwargs: Any) -> Callable[[View], View]:
        """Documents another answer."""
        decorate: Callable[[View], View] = self.alt_response(status, schema=schema, **kwargs)
        return decorate

    def documented(self, **kwargs: Any) -> Callable[[View], View]:
        decorate: Callable[[View], View] = self.doc(**kwargs)
        return decorate


def conditional(view: View) -> View:
    """For a view that heeds If-None-Match (of GET), or If-Match."""
    view.conditional = True  # type: ignore[attr-defined]
    return view


def keyless(view: View) -> View:
    """For a POST that heeds no Idempotency-Key: what it does is not worth one, or nobody's yet."""
    view.keyless = True  # type: ignore[attr-defined]
    return view


def fails_with(*statuses: int) -> Callable[[View], View]:
    """For a view that fails in ways that do not follow from what it is: documents them."""

    def declare(view: View) -> View:
        view.fails_with = statuses  # type: ignore[attr-defined]
        return view

    return declare


def foreign_query(view: View) -> View:
    """For a view whose query is another's to write: parameters that nobody knows are none of its business."""
    view.foreign_query = True  # type: ignore[attr-defined]
    return view


def query_of(schema: type[Schema]) -> dict[str, bool]:
    """Query parameters by name, and whether they may be repeated."""
    return {field.data_key or name: isinstance(field, fields.List) for name, field in schema().fields.items()}


def check_coding() -> None:
    """Before each request: nothing is unpacked here, so that nothing small becomes large."""
    if request.headers.get("Content-Encoding", "").strip().lower() not in ("", "identity"):
        raise UnsupportedMediaType("send the body as it is, without a Content-Encoding")


def check_path() -> None:
    """Before each request: nothing has a NUL in its name. Raises `NotFound`."""
    if any(isinstance(value, str) and "\x00" in value for value in (request.view_args or {}).values()):
        raise NotFound


def check_query() -> None:
    """Before each request: refuses parameters that the route doesn't know, ones given twice, and very many; raises
    `Invalid`."""
    if not request.args or request.endpoint is None:
        return
    if sum(len(values) for _, values in request.args.lists()) > MAX_PARAMETERS:
        raise Invalid(f"the query has more than {MAX_PARAMETERS} parameters")
    view = current_app.view_functions[request.endpoint]
    if getattr(view, "foreign_query", False):
        return
    known: Mapping[str, bool] = getattr(view, "query", {})
    wrong: dict[str, list[str]] = {}
    for name, values in request.args.lists():
        if name not in known:
            wrong[name] = ["Unknown query parameter."]
        elif len(values) > 1 and not known[name]:
            wrong[name] = ["Given more than once."]
        elif any("\x00" in value for value in values):
            wrong[name] = ["Has a NUL character."]
    if wrong:
        raise Invalid("the query is not valid: see errors", fields=wrong)
