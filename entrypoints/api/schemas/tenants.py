from __future__ import annotations

from typing import Any

from marshmallow import Schema, fields, validate

from core.domain.permissions import GRANTABLE
from core.domain.tenants import CAP_DECIMALS, MAX_CAP, MAX_PERSON_NAME, MOST_DAYS, MOST_QUEUED, STAGES
from entrypoints.api.schemas.base import LAST_INSTANT, ChangeSchema, Real, Whole
from entrypoints.api.schemas.names import a_name

_SHARE = validate.Range(0, 1)
_NAME = a_name(200)


def _days(what: str) -> Whole:
    return Whole(
        validate=validate.Range(1, MOST_DAYS),
        allow_none=True,
        metadata={"description": f"For how many days {what}."},
    )


class TenantSettingsSchema(Schema):
    default_currency = fields.String(validate=validate.Regexp("^[A-Z]{3}$"))
    trusted_packs = fields.List(fields.String(validate=validate.Length(1, 100)), validate=validate.Length(max=100))
    promise = Real(validate=_SHARE, metadata={"description": "The share of what is decided alone that must be right."})
    similarity_threshold = Real(
        validate=_SHARE,
        allow_none=True,
        metadata={
            "description": "Fixes from which confidence on similarity decides alone; null lets the promise decide.",
        },
    )
    llm_threshold = Real(
        validate=_SHARE,
        allow_none=True,
        metadata={
            "description": "Fixes from which confidence on the LLM decides alone; null lets the promise decide.",
        },
    )
    alone = fields.List(
        fields.String(validate=validate.OneOf(STAGES)),
        metadata={"description": "The stages that may decide without a person; the others only suggest."},
    )
    spot_check_share = Real(validate=_SHARE)
    llm_monthly_cap = fields.Decimal(
        as_string=True,
        allow_none=True,
        metadata={
            "type": ["string", "number"],
            "pattern": rf"^[0-9]{{1,{len(str(MAX_CAP)) - 1}}}(\.[0-9]{{1,{CAP_DECIMALS}}})?$",
            "minimum": 0,
            "exclusiveMaximum": float(MAX_CAP),
            "description": "What the LLM may cost in a calendar month (UTC), in US dollars; null is no cap.",
        },
    )
    payload_retention_days = _days("what came in is kept, as it came; at most as long as the operator keeps it")
    record_retention_days = _days("records are kept, from the day on when they occurred; null is for ever")
    log_retention_days = _days("the log tells who acted and from where; null is for ever")
    queue_limit = Whole(
        validate=validate.Range(1, MOST_QUEUED),
        allow_none=True,
        metadata={"description": "With more open approvals, endpoints of the topic `queue` are told; null is never."},
    )


class TenantSchema(Schema):
    id = fields.UUID()
    name = fields.String()
    time_zone = fields.String()
    settings = fields.Nested(TenantSettingsSchema)
    created_at = fields.DateTime()
    version = fields.Integer()


class NewTenantSchema(Schema):
    name = fields.String(required=True, validate=_NAME)
    time_zone = fields.String(load_default="UTC")
    settings = fields.Nested(TenantSettingsSchema)
    owner_email = fields.Email(validate=validate.Length(max=254))
    owner_name = fields.String(load_default="", validate=validate.Length(max=MAX_PERSON_NAME))


class TenantChangeSchema(ChangeSchema):
    name = fields.String(validate=_NAME)
    time_zone = fields.String(validate=validate.Length(1, 100))
    settings = fields.Nested(TenantSettingsSchema, metadata={"description": "What is left out stays."})


class OwnTenantSchema(Schema):
    id = fields.UUID()
    name = fields.String()
    time_zone = fields.String()


class MeSchema(Schema):
    tenant = fields.Nested(OwnTenantSchema)
    name = fields.String()
    api_key_id = fields.UUID(allow_none=True, metadata={"description": "Null for a person."})
    scopes = fields.List(fields.String())
    source_agent = fields.String()


class _Scopes(fields.List[Any]):
    def _serialize(self, value: Any, *args: Any, **kwargs: Any) -> list[Any] | None:
        return super()._serialize(sorted(value), *args, **kwargs)


class ApiKeySchema(Schema):
    id = fields.UUID()
    key_id = fields.String(metadata={"description": "The part of the key that may be seen."})
    name = fields.String()
    scopes = _Scopes(fields.String())
    created_at = fields.DateTime()
    expires_at = fields.DateTime(allow_none=True)
    revoked_at = fields.DateTime(allow_none=True)
    last_used_at = fields.DateTime(allow_none=True)
    created_by = fields.UUID(
        allow_none=True,
        metadata={"description": "The person who made it, also by another key; null: the operator, or nobody knows."},
    )
    operators = fields.Boolean(metadata={"description": "Whether the operator of the installation acts by it."})


class IssuedKeySchema(ApiKeySchema):
    api_key = fields.String(
        allow_none=True, metadata={"description": "The key itself. Shown once: a replayed answer has null."}
    )


class NewApiKeySchema(Schema):
    name = fields.String(required=True, validate=_NAME)
    scopes = fields.List(
        fields.String(validate=validate.OneOf(sorted(p.value for p in GRANTABLE))),
        required=True,
        validate=validate.Length(1),
    )
    expires_at = fields.AwareDateTime(load_default=None, validate=validate.Range(max=LAST_INSTANT))


class KeyRotationSchema(Schema):
    overlap_seconds = Whole(
        load_default=86_400,
        validate=validate.Range(0, 30 * 86_400),
        metadata={"description": "How long the former key serves on."},
    )


class IssuedTenantSchema(Schema):
    tenant = fields.Nested(TenantSchema)
    key = fields.Nested(ApiKeySchema)
    api_key = fields.String(metadata={"description": "The first key itself. Shown once."})
