"""What all schemas share."""

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import Any

from marshmallow import Schema, ValidationError, fields, validate, validates_schema

from entrypoints.api.responses import DEFAULT_LIMIT, MAX_LIMIT

LAST_INSTANT = datetime(9000, 1, 1, tzinfo=UTC)
"""What the storage and every time zone can still hold."""


class Moment(fields.Field[Any]):
    """An instant (ISO 8601, UTC), or a calendar date where the source knows no more."""

    def _serialize(self, value: date | None, *_: Any, **__: Any) -> str | None:
        return None if value is None else value.isoformat()


class Flag(fields.Boolean):
    """True or false in JSON, nothing that only looks like it."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(truthy={True}, falsy={False}, **kwargs)


class Whole(fields.Integer):
    """A whole number in JSON, as 3 or 3.0: no text that only looks like one."""

    def _validated(self, value: Any) -> int:
        if isinstance(value, str):
            raise self.make_error("invalid", input=value)
        if isinstance(value, float) and not value.is_integer():
            raise self.make_error("invalid", input=value)
        return super()._validated(value)


class Real(fields.Float):
    """A number in JSON: no text that only looks like one."""

    def _validated(self, value: Any) -> float:
        if isinstance(value, str):
            raise self.make_error("invalid", input=value)
        return super()._validated(value)


class Amount(fields.Decimal):
    """An exact number, as a string without an exponent."""

    def __init__(self, description: str, **kwargs: Any) -> None:
        super().__init__(as_string=True, metadata={"type": "string", "description": description}, **kwargs)

    def _to_string(self, value: Any) -> str:
        return format(value, "f")


class ChangeSchema(Schema):
    """A PATCH: what is left out stays."""

    @validates_schema
    def _something(self, data: dict[str, Any], **_: Any) -> None:
        if not data:
            raise ValidationError("Nothing to change was sent.")


class LimitSchema(Schema):
    limit = fields.Integer(load_default=DEFAULT_LIMIT, validate=validate.Range(1, MAX_LIMIT))


class AfterSchema(LimitSchema):
    after = fields.UUID(load_default=None, metadata={"description": "`next` of the page before."})


class WholeListSchema(Schema):
    """For lists that are short by nature: a page holds all there is, unless less is asked for."""

    limit = fields.Integer(load_default=MAX_LIMIT, validate=validate.Range(1, MAX_LIMIT))
    after = fields.UUID(load_default=None, metadata={"description": "`next` of the page before."})


def page_of(item: type[Schema]) -> type[Schema]:
    """The schema of a page of items."""
    name = f"{item.__name__.removesuffix('Schema')}PageSchema"
    return type(
        name,
        (Schema,),
        {
            "items": fields.List(fields.Nested(item)),
            "next": fields.String(allow_none=True, metadata={"description": "The cursor of the next page, or null."}),
        },
    )


def everything(items: Any) -> dict[str, Any]:
    """The things that were asked for by name, in the form of a page."""
    return {"items": items, "next": None}
