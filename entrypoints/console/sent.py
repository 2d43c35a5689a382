"""What scripts of ours send: JSON, by the API's own schemas."""

from __future__ import annotations

from typing import Any

import orjson
from flask import request
from marshmallow import Schema, ValidationError

from core.errors import Invalid
from entrypoints.api.errors import MalformedJson
from entrypoints.api.state import small_body


def sent(schema: type[Schema]) -> dict[str, Any]:
    """The body, as the schema reads it. Raises `MalformedJson` or `Invalid` with its fields."""
    try:
        return _loaded(schema, orjson.loads(small_body()))
    except orjson.JSONDecodeError as error:
        raise MalformedJson(f"the body is not JSON: {error}") from None


def asked(schema: type[Schema]) -> dict[str, Any]:
    """The query parameters, as the schema reads them; what it does not know is nobody's business. Raises `Invalid`."""
    known = schema().fields
    return _loaded(schema, {name: value for name, value in request.args.items() if name in known and value})


def _loaded(schema: type[Schema], value: Any) -> dict[str, Any]:
    try:
        loaded: dict[str, Any] = schema().load(value)
    except ValidationError as error:
        raise Invalid("what was sent is not valid", fields=error.messages_dict) from None
    return loaded
