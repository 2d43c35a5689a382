from __future__ import annotations

from marshmallow import Schema, fields, validate

from core.domain.permissions import Role

_ROLE = fields.String(required=True, validate=validate.OneOf([role.value for role in Role]))


class WaysInSchema(Schema):
    password = fields.Boolean()
    second_factor = fields.Boolean(metadata={"description": "Beside the password; of providers, it is theirs to ask."})
    issuers = fields.List(fields.String(), metadata={"description": "The providers that sign them in."})
    seen_at = fields.DateTime(
        allow_none=True,
        metadata={
            "description": "When they were last at the console in this tenant; null where no session there is kept."
        },
    )


class MemberSchema(Schema):
    user_id = fields.UUID()
    email = fields.String()
    name = fields.String()
    role = fields.String()
    granted_by = fields.String(
        allow_none=True,
        metadata={"description": "The provider whose groups made them a member; null: an invitation did."},
    )
    ways_in = fields.Nested(
        WaysInSchema, allow_none=True, metadata={"description": "Null unless the caller has `members:write`."}
    )


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
