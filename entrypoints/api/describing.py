"""What the OpenAPI document says of operations by what they are: keys, permissions, headers, and every way to fail.

It is added here, once, from what the application itself goes by; a view says only what is its own.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from flask import Flask
from werkzeug.routing import Rule

from core.domain.permissions import PAID_FOR, Permission
from entrypoints.api.access import Access, access_of

_PARAMETER = re.compile(r"<(?:[^:<>]+:)?([^<>]+)>")
_PROBLEM = {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}}
_TEXT = {"schema": {"type": "string"}}
_REQUEST_ID = {"X-Request-Id": {"description": "As it was sent, or made up.", "required": True, **_TEXT}}
_RETRY_AFTER = {
    "Retry-After": {"description": "Seconds.", "required": True, "schema": {"type": "integer", "minimum": 1}}
}
_ETAG = {"ETag": {"description": "Of what was answered before.", "required": True, **_TEXT}}
_CHALLENGE = {"WWW-Authenticate": {"description": "Bearer.", **_TEXT}}
PROBLEMS: dict[int, tuple[str, dict[str, Any]]] = {
    400: ("What was sent can't be read: the body is not JSON, for instance.", {}),
    401: ("No credential, or one that does not hold.", _CHALLENGE),
    402: ("The plan holds no more (`limit_reached`), or a payment is missing (`read_only`).", {}),
    403: ("The credential does not carry the permission.", {}),
    404: ("There is no such thing here.", {}),
    409: ("The state of a thing does not allow this.", {}),
    412: ("Somebody changed it meanwhile: If-Match names a former version.", {}),
    411: ("A body of this type needs a Content-Length.", {}),
    413: ("The body is too large.", {}),
    415: ("The body is of a type that is not taken here.", {}),
    422: ("What was sent is not valid; `errors` tells what, by field.", {}),
    429: ("Too many requests.", _RETRY_AFTER),
    500: ("Something went wrong; it was logged under the `request_id`.", {}),
    502: ("A source, a plugin or a provider answered wrongly.", {}),
    503: ("Not just now: the same may succeed later.", _RETRY_AFTER),
}
"""Statuses of failures: what they mean, and their headers."""


def property_names(converter: Any, field: Any, **_: Any) -> dict[str, Any]:
    """What apispec does not tell of objects: how long their keys may be."""
    key = getattr(field, "key_field", None)
    bounds = {} if key is None else converter.field2length(key)
    return {"propertyNames": bounds} if bounds else {}


def describe(app: Flask, document: dict[str, Any]) -> dict[str, Any]:
    """Completes the document in place."""
    components = document["components"]
    components["securitySchemes"] = {
        "apiKey": {"type": "http", "scheme": "bearer", "description": "An API key of a tenant: sort_live_..."},
        "operatorKey": {"type": "http", "scheme": "bearer", "description": "The key of the installation's operator."},
    }
    components["responses"] = {
        f"Problem{status}": {"description": text, "headers": _REQUEST_ID | headers, "content": _PROBLEM}
        for status, (text, headers) in PROBLEMS.items()
    }
    for rule in app.url_map.iter_rules():
        path = document["paths"].get(_PARAMETER.sub(r"{\1}", rule.rule), {})
        for method in (rule.methods or set()) & {"GET", "POST", "PUT", "PATCH", "DELETE"}:
            if (operation := path.get(method.lower())) is not None:
                _complete(app, rule, method, operation)
        _forbid_nothing(path, components["schemas"])
    return document


def _complete(app: Flask, rule: Rule, method: str, operation: dict[str, Any]) -> None:
    access, view = access_of(app, rule.endpoint), app.view_functions[rule.endpoint]
    conditional = getattr(view, "conditional", False)
    operation["operationId"] = rule.endpoint.replace(".", "_")
    operation["security"] = [] if access.public else _keys(access)
    if access.permission is not None:
        operation["x-permission"] = access.permission.value
    keyed = method == "POST" and not getattr(view, "keyless", False)
    operation.setdefault("parameters", []).extend(_headers(method, access, conditional=conditional, keyed=keyed))
    responses = operation["responses"]
    for answer in responses.values():
        answer.setdefault("headers", {}).update(_REQUEST_ID)
    if conditional and method == "GET":
        responses["304"] = {"description": "It is as it was.", "headers": _REQUEST_ID | _ETAG}
    failures = {429, 500, *_failures(method, access, operation), *getattr(view, "fails_with", ())}
    if not getattr(view, "foreign_query", False):
        failures |= {422, 503}
    if rule.arguments:
        failures.add(404)
    if conditional and method != "GET":
        failures.add(412)
    for status in failures:
        responses[str(status)] = {"$ref": f"#/components/responses/Problem{status}"}
    operation["responses"] = dict(sorted(responses.items()))


def _forbid_nothing(path: Mapping[str, Any], schemas: dict[str, Any]) -> None:
    """A change says something: what is left out of it stays."""
    if (body := path.get("patch", {}).get("requestBody")) is not None:
        changes = schemas[body["content"]["application/json"]["schema"]["$ref"].rpartition("/")[2]]
        changes["minProperties"] = 1


def _keys(access: Access) -> list[dict[str, list[str]]]:
    tenants, operators = [{"apiKey": list[str]()}], [{"operatorKey": list[str]()}]
    if access.permission is Permission.OPERATOR:
        return operators
    return tenants + operators if access.operator else tenants


def _headers(method: str, access: Access, *, conditional: bool, keyed: bool) -> Iterator[dict[str, Any]]:
    """Those of requests, as parameters."""
    yield _header("X-Request-Id", "Answered as it is, if it can be an id, and written to logs and events.")
    if access.public:
        return
    yield _header("X-Source-Agent", "Who acts.", "^[a-z0-9_.-]{1,64}$")
    if keyed:
        text = "A repeated request with the same key is answered as the first, and not carried out."
        yield _header("Idempotency-Key", text, "^[ -~]{1,255}$")
    if conditional and method == "GET":
        yield _header("If-None-Match", "An ETag that was answered before: 304 when it is still the present one.")
    elif conditional:
        text = "The ETag that the change is based on; 412 when it is no longer the present one."
        yield _header("If-Match", text, '^("[^"]*"|[*])$')


def _header(name: str, text: str, pattern: str | None = None) -> dict[str, Any]:
    schema = {"type": "string"} | ({} if pattern is None else {"pattern": pattern})
    return {"in": "header", "name": name, "description": text, "required": False, "schema": schema}


def _failures(method: str, access: Access, operation: Mapping[str, Any]) -> Iterator[int]:
    """How any operation like this one fails."""
    if not access.public:
        yield 401
        yield 404 if access.permission is Permission.OPERATOR else 403
    if method != "GET" and not access.public:
        yield 409
        if access.permission in PAID_FOR:
            yield 402
    if "requestBody" in operation:
        yield from (400, 413, 415)
