from __future__ import annotations

from marshmallow import Schema, fields, validate

from core.domain.permissions import Role

_ROLE = fields.String(required=True, validate=validate.OneOf([role.value for role in Role]))


class MemberSchema(Schema):
    user_id = fields.UUID()
    email = fields.String()
    name = fields.String()
    role = fields.String()


class MemberChangeSchema(Schema):
    role = _ROLE


class NewInvitationSchema(Schema):
    email = fields.Email(required=True, validate=validate.Length(max=254))
    role = _ROLE


class InvitationSchema(Schema):
    id = fields.UUID()
    email = fields.String()
    role = fields.String()
    invited_by = fields.String()
    created_at = fields.DateTime()
    expires_at = fields.DateTime()


class IssuedInvitationSchema(InvitationSchema):
    url = fields.String(
        allow_none=True,
        metadata={
            "description": "Where it is accepted, to be passed on: only where no mail server is set, and shown once."
        },
    )
