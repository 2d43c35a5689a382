"""The JSON Schema of a REST connection's configuration, as forms and documents show it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

DEFAULT_PAGES, DEFAULT_OVERLAP = 1_000, 3_600


def _object(properties: Mapping[str, Any], required: list[str], description: str) -> dict[str, Any]:
    return {
        "type": "object",
        "additionalProperties": False,
        "properties": dict(properties),
        "required": required,
        "description": description,
    }


def _text(description: str, *examples: str, **more: Any) -> dict[str, Any]:
    return {"type": "string", "minLength": 1, "description": description, "examples": list(examples), **more}


def _path(description: str, *examples: str, **more: Any) -> dict[str, Any]:
    return _text(f"{description} (a JSONPath)", *examples, pattern=r"^\$", **more)


def _source(description: str, *examples: str) -> dict[str, Any]:
    return _text(f"{description}: a JSONPath into the object, or the value for all", *examples)


def _condition(description: str) -> dict[str, Any]:
    return _object(
        {
            "path": _path("The field that tells it", "$.deleted"),
            "equals": {
                "type": "array",
                "minItems": 1,
                "items": {"type": ["string", "number", "boolean", "null"]},
                "description": "Its values that mean yes; without them, any that is not false, zero, empty or missing.",
                "examples": [["pending", "authorised"]],
            },
        },
        ["path"],
        description,
    )


_FORMAT = {
    "description": "`iso`, `date`, `unix`, `unix_ms`, or a pattern such as `%d.%m.%Y %H:%M`.",
    "anyOf": [{"enum": ["iso", "date", "unix", "unix_ms"]}, {"type": "string", "pattern": "%"}],
    "default": "iso",
}
_ZONE = _text("The time zone of times that name none.", "Europe/Berlin", default="UTC")
_MORE = _path("The field that says whether there is another page", "$.has_more")


def _several(source: dict[str, Any], description: str) -> dict[str, Any]:
    return {
        "description": description,
        "anyOf": [source, {"type": "array", "minItems": 1, "maxItems": 10, "items": source}],
    }


FIELDS = _object(
    {
        "external_id": _several(
            _source("The source's own id", "$.id"), "What identifies a record, for good; several are joined by a colon."
        ),
        "text": _several(
            _source("What it is about", "$.description"), "What is sorted by; several are joined by a space."
        ),
        "occurred_at": {
            "description": "When it happened.",
            "anyOf": [
                _path("When it happened, in ISO 8601", "$.created_at"),
                _object(
                    {"path": _path("When it happened", "$.created"), "format": _FORMAT, "zone": _ZONE},
                    ["path"],
                    "When it happened, and how that is written.",
                ),
            ],
        },
        "amount": {
            "description": "Signed: what goes out is negative.",
            "anyOf": [
                _path("The amount, with its sign", "$.amount"),
                _object(
                    {
                        "path": _path("The amount", "$.amount.value"),
                        "minor_units": {
                            "type": "boolean",
                            "default": False,
                            "description": "It counts the currency's smallest unit: 1250 is 12.50 EUR, and 1250 JPY.",
                        },
                        "negate": {
                            "type": "boolean",
                            "default": False,
                            "description": "The source has what goes out as positive.",
                        },
                        "outflow": _condition("When the amount goes out, where its own sign does not tell."),
                    },
                    ["path"],
                    "The amount, and how its sign and unit are meant.",
                ),
            ],
        },
        "currency": _source("The currency, by ISO 4217; the tenant's where there is none", "$.currency", "EUR"),
        "counterparty": _source("With whom", "$.merchant.name"),
        "account": _source("Of which account; ids are told apart within one", "$.account_id", "main"),
        "kind": _source("The kind of record", "invoice"),
        "pending": _condition("When it is not booked yet, and may still change."),
        "attributes": {
            "type": "object",
            "maxProperties": 50,
            "additionalProperties": _source("A further field", "$.tags"),
            "description": "Further fields, by name, for rules and people.",
            "examples": [{"project": "$.project.key"}],
        },
    },
    ["external_id", "text", "occurred_at"],
    "Which field of a source's object is which of a record.",
)

_PAGINATIONS: Mapping[str, tuple[dict[str, Any], list[str], str]] = {
    "none": ({}, [], "All is in one answer."),
    "cursor": (
        {
            "param": _text("The parameter that carries it", "cursor", "starting_after"),
            "path": _path("Where the next page's cursor stands in an answer", "$.next_cursor", "$.data[-1].id"),
            "more": _MORE,
        },
        ["param", "path"],
        "Each answer has the cursor of the next page.",
    ),
    "page": (
        {
            "param": _text("The parameter of the page's number", "page", default="page"),
            "first": {"type": "integer", "minimum": 0, "default": 1, "description": "The number of the first page."},
            "more": _MORE,
        },
        [],
        "Pages have numbers; the first empty one is the end, unless `more` tells.",
    ),
    "offset": (
        {
            "param": _text("The parameter of how many to skip", "offset", default="offset"),
            "more": _MORE,
        },
        [],
        "As many are skipped as were read; an empty answer is the end, unless `more` tells.",
    ),
    "link": ({}, [], 'The header Link names the next page (`rel="next"`).'),
    "next_url": (
        {"path": _path("Where the next page's address stands in an answer", "$.next", "$.links.next")},
        ["path"],
        "Each answer has the address of the next page.",
    ),
}

_STREAM = _object(
    {
        "name": _text("What the stream is called here", "payments", maxLength=200),
        "path": _text("Its path after base_url", "/v1/payments"),
        "params": {
            "type": "object",
            "additionalProperties": {"type": "string"},
            "default": {},
            "description": "Parameters of each request.",
            "examples": [{"limit": "100", "status": "settled"}],
        },
        "records": _path(
            "Where its objects stand in an answer: a list, or each of them", "$.data", "$.items[*]", default="$"
        ),
        "pagination": {
            "type": "object",
            "required": ["type"],
            "properties": {"type": {"enum": [*_PAGINATIONS], "description": "How pages are told."}},
            # Not `oneOf`: so that a fault is told by the field that has it.
            "allOf": [
                {
                    "if": {"required": ["type"], "properties": {"type": {"const": name}}},
                    "then": _object({"type": {}, **properties}, required, description),
                }
                for name, (properties, required, description) in _PAGINATIONS.items()
            ],
            "description": "How to get at the next page.",
            "default": {"type": "none"},
        },
        "max_pages": {
            "type": "integer",
            "minimum": 1,
            "maximum": 100_000,
            "default": DEFAULT_PAGES,
            "description": "How many pages a read takes; the next one goes on after them.",
        },
        "incremental": _object(
            {
                "path": _path("The field that rises with each change", "$.updated_at"),
                "param": _text("The parameter that asks for what is newer", "updated_since"),
                "type": {
                    "enum": ["time", "number"],
                    "default": "time",
                    "description": "Whether it is a time or a rising number.",
                },
                "format": {**_FORMAT, "description": f"How a time is written. {_FORMAT['description']}"},
                "param_format": {
                    **_FORMAT,
                    "description": f"How the parameter is written, if otherwise. {_FORMAT['description']}",
                },
                "zone": _ZONE,
                "overlap": {
                    "type": "number",
                    "minimum": 1,
                    "description": "How far before the last one seen to ask again, in seconds or in numbers, to find "
                    f"what arrived late. {DEFAULT_OVERLAP} seconds, or 1, unless told.",
                    "examples": [86_400],
                },
                "start": {
                    "type": ["string", "number"],
                    "description": "Where the first read begins (ISO 8601, or a number); without it, at the beginning.",
                    "examples": ["2026-01-01"],
                },
            },
            ["path", "param"],
            "How to ask for what is new. Without it, each read takes everything.",
        ),
        "deleted": _condition("When an object is no record, since it was deleted: it is skipped."),
        "fields": FIELDS,
    },
    ["name", "path", "fields"],
    "A list of things that the source has.",
)

_BASE: Mapping[str, Any] = {
    "base_url": _text(
        "Where the API is; pages on other hosts are not followed.",
        "https://api.example.com/v2",
        pattern=r"^https?://[^\s?#@]+$",
        format="uri",
    ),
    "headers": {
        "type": "object",
        "additionalProperties": {"type": "string"},
        "default": {},
        "x-leads-nowhere": True,
        "description": "Headers of each request; nothing secret.",
        "examples": [{"Accept": "application/vnd.example+json"}],
    },
    "streams": {
        "type": "array",
        "minItems": 1,
        "maxItems": 100,
        "items": _STREAM,
        "x-leads-nowhere": True,  # paths begin below base_url
        "description": "What is read, each by itself.",
    },
}


def config_schema(more: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """Of a connection; `more` are the fields of its credentials, all of them required."""
    fields = dict(more or {})
    return _object({**_BASE, **fields}, ["base_url", "streams", *fields], "A JSON API, told by declaration.")
