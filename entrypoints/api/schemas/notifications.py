from __future__ import annotations

from marshmallow import Schema, fields, validate

from core.domain.endpoint_checks import MAX_NAME, MAX_URL
from core.domain.notifications import Digest, EndpointKind, NotificationStatus, Topic
from core.domain.webhooks import MAX_OVERLAP
from entrypoints.api.schemas.base import LAST_INSTANT, ChangeSchema, LimitSchema, Whole
from entrypoints.api.schemas.names import a_name

_NAME = a_name(MAX_NAME)
_URL: list[validate.Validator] = [
    validate.Length(9, MAX_URL),
    validate.Regexp(r"^https?://[!-~]+$", error="Not a URL of a webhook."),
]
_HOUR = validate.Range(0, 23)
_TOPICS = [topic.value for topic in Topic]


def _topics(**options: object) -> fields.List[Topic]:
    return fields.List(
        fields.Enum(Topic, by_value=True, metadata={"enum": _TOPICS}),
        validate=validate.Length(1, 20),
        **options,  # type: ignore[arg-type]
    )


def _digest(**options: object) -> fields.Enum[Digest]:
    described = {"description": "When it is told: of each at once, or of all of an hour or a day by one message."}
    return fields.Enum(Digest, by_value=True, metadata=described, **options)  # type: ignore[arg-type]


class EndpointSchema(Schema):
    id = fields.UUID()
    kind = fields.Enum(EndpointKind, by_value=True)
    name = fields.String()
    url = fields.String(allow_none=True, metadata={"description": "Of a webhook."})
    user_id = fields.UUID(allow_none=True, metadata={"description": "Whose mail address it is: a member's."})
    topics = fields.List(fields.Enum(Topic, by_value=True))
    digest = fields.Enum(Digest, by_value=True)
    digest_hour = fields.Integer(metadata={"description": "Of a daily digest, in the tenant's time zone."})
    succeeded_at = fields.DateTime(allow_none=True, metadata={"description": "When something arrived last."})
    failing_since = fields.DateTime(allow_none=True, metadata={"description": "The first failure since then."})
    disabled_at = fields.DateTime(allow_none=True)
    disabled_reason = fields.String(allow_none=True, metadata={"description": "asked, gone (410) or failing"})
    created_at = fields.DateTime()
    version = fields.Integer()


class IssuedEndpointSchema(EndpointSchema):
    secret = fields.String(
        allow_none=True,
        metadata={"description": "What signs a webhook's messages. Shown once: a replayed answer has null."},
    )


class RotatedEndpointSchema(IssuedEndpointSchema):
    former_until = fields.DateTime(allow_none=True, metadata={"description": "Until when the former one signs, too."})


class NewEndpointSchema(Schema):
    kind = fields.Enum(EndpointKind, by_value=True, required=True)
    name = fields.String(required=True, validate=_NAME)
    url = fields.String(load_default=None, allow_none=True, validate=_URL)
    user_id = fields.UUID(load_default=None, allow_none=True)
    topics = _topics(required=True)
    digest = _digest(load_default=Digest.NONE)
    digest_hour = Whole(load_default=8, validate=_HOUR)


class EndpointChangeSchema(ChangeSchema):
    name = fields.String(validate=_NAME)
    url = fields.String(validate=_URL)
    topics = _topics()
    digest = _digest()
    digest_hour = Whole(validate=_HOUR)


class EndpointSecretSchema(Schema):
    overlap_seconds = Whole(
        load_default=86_400,
        validate=validate.Range(0, int(MAX_OVERLAP.total_seconds())),
        metadata={"description": "How long the former secret signs beside the new one; 0 ends it at once."},
    )


class AttemptSchema(Schema):
    at = fields.DateTime()
    status = fields.Integer(allow_none=True, metadata={"description": "Of the answer, where there was one."})
    code = fields.String(metadata={"description": "`ok`, or what went wrong."})
    seconds = fields.Float()


class NotificationSchema(Schema):
    id = fields.UUID(metadata={"description": "The `webhook-id`, however often it is sent."})
    type = fields.String()
    seq = fields.Integer(allow_none=True, metadata={"description": "Of the event; null for digests and tests."})
    data = fields.Dict()
    occurred_at = fields.DateTime()
    status = fields.Enum(NotificationStatus, by_value=True)
    digest_id = fields.UUID(allow_none=True, metadata={"description": "The digest that it went by."})
    tries = fields.Integer(metadata={"description": "By the present schedule."})
    attempts = fields.List(fields.Nested(AttemptSchema), metadata={"description": "The latest 30."})
    next_at = fields.DateTime(allow_none=True, metadata={"description": "When it is tried next."})
    created_at = fields.DateTime()
    finished_at = fields.DateTime(allow_none=True)


class NotificationsQuerySchema(LimitSchema):
    before = fields.UUID(load_default=None, metadata={"description": "`next` of the page before."})


class RedeliverySchema(Schema):
    since = fields.AwareDateTime(required=True, validate=validate.Range(max=LAST_INSTANT))


class RedeliveredSchema(Schema):
    redelivered = fields.Integer(metadata={"description": "Of 10,000 at once at most: ask again for the others."})
