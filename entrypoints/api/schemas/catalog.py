from __future__ import annotations

from marshmallow import Schema, fields, validate

from core.domain.categories import KEY, MAX_NAME
from entrypoints.api.schemas.base import ChangeSchema, WholeListSchema
from entrypoints.api.schemas.names import a_name

_NAME = a_name(MAX_NAME)
_KEY = {"pattern": f"^{KEY.pattern}$", "maxLength": MAX_NAME}
_DESCRIPTION = validate.Length(max=2_000)


class BelongingsSchema(Schema):
    records = fields.Integer()
    examples = fields.Integer()
    rules = fields.Integer()
    proposals = fields.Integer()
    approvals = fields.Integer(metadata={"description": "Open items of the review queue that suggest it."})
    children = fields.Integer()


class CategorySchema(Schema):
    id = fields.UUID()
    parent_id = fields.UUID(allow_none=True)
    key = fields.String()
    name = fields.String()
    path = fields.String(metadata={"description": "The names from the root, such as `Food > Groceries`."})
    description = fields.String()
    created_at = fields.DateTime()
    version = fields.Integer()
    belongings = fields.Nested(
        BelongingsSchema, metadata={"description": "How many of each belong to it; only in lists `with_belongings`."}
    )


class CategoriesQuerySchema(WholeListSchema):
    with_belongings = fields.Boolean(
        load_default=False,
        metadata={"description": "Count what belongs to each: takes longer the more records there are."},
    )


class NewCategorySchema(Schema):
    name = fields.String(required=True, validate=_NAME)
    key = fields.String(
        load_default=None, metadata=_KEY | {"description": "Made of the parent's key and the name, if left out."}
    )
    parent_id = fields.UUID(load_default=None)
    description = fields.String(load_default="", validate=_DESCRIPTION)


class CategoryChangeSchema(ChangeSchema):
    name = fields.String(validate=_NAME)
    key = fields.String(metadata=_KEY)
    parent_id = fields.UUID(allow_none=True)
    description = fields.String(validate=_DESCRIPTION)


class MergeSchema(Schema):
    into = fields.UUID(required=True, metadata={"description": "The category that remains."})


class MergedSchema(Schema):
    category = fields.Nested(CategorySchema, metadata={"description": "The category that remains."})
    moved = fields.Nested(BelongingsSchema)


class CategoryDeleteSchema(Schema):
    into = fields.UUID(load_default=None, metadata={"description": "Merges it into this category."})
    unsort = fields.Boolean(
        load_default=False,
        metadata={
            "description": "Deletes it though it is used: its records go back to review, and it teaches no more."
        },
    )
