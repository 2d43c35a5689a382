from __future__ import annotations

from marshmallow import Schema, fields, validate

from core.domain.proposals import ProposalStatus
from core.domain.rule_effects import Effect
from core.domain.rule_runs import RunStatus
from core.domain.rules import MAX_NAME, MAX_PRIORITY, RuleStage
from core.usecases.rule_preview import MAX_DRAFTS
from entrypoints.api.schemas.base import AfterSchema, ChangeSchema, Flag, LimitSchema, Whole
from entrypoints.api.schemas.names import a_name
from entrypoints.api.schemas.records import RecordFilterSchema

_NAME = a_name(MAX_NAME)
_STAGE = validate.OneOf([s.value for s in RuleStage])
_PRIORITY = validate.Range(-MAX_PRIORITY, MAX_PRIORITY)
_WHEN = {
    "description": 'A condition: {"field", "op", "value"}, {"all": [...]}, {"any": [...]}, {"not": ...}, '
    'or {"type", "params"} of a plugin. GET /rules/schema tells it exactly.'
}
_WRITTEN_WHEN = _WHEN | {
    "description": f'{_WHEN["description"]} Or in one line: `text contains "UBER" and amount < 0`.',
    "type": ["object", "string"],
    "example": 'text contains "UBER" and amount < 0',
}
_THEN = {
    "description": "Any of category (id, key, path or name), tags, fields, review, skip.",
    "example": {"category": "transport.taxi", "tags": ["travel"]},
}
DEFAULT_LAST, MAX_LAST = 100_000, 500_000


class PrecisionSchema(Schema):
    estimate = fields.Float()
    low = fields.Float(metadata={"description": "The 95 % interval."})
    high = fields.Float()
    answers = fields.Integer(metadata={"description": "Answers of people that this rests on."})


class RuleSchema(Schema):
    id = fields.UUID()
    name = fields.String()
    when = fields.Dict(metadata=_WHEN)
    text = fields.String(metadata={"description": "The condition in one line."})
    then = fields.Dict(metadata=_THEN)
    stage = fields.String()
    priority = fields.Integer(metadata={"description": "Lower is asked first, within the stage."})
    stop = fields.Boolean()
    enabled = fields.Boolean()
    pack = fields.String(allow_none=True)
    trusted = fields.Boolean(metadata={"description": "An untrusted rule only suggests."})
    proved = fields.Boolean(metadata={"description": "Of an untrusted pack, and trusted since people confirmed it."})
    demoted = fields.Boolean(metadata={"description": "It asks for a person, since people contradicted it too often."})
    hits = fields.Integer()
    last_hit_at = fields.DateTime(allow_none=True)
    confirmed = fields.Integer()
    overridden = fields.Integer()
    corrected = fields.Integer(metadata={"description": "Records that people put right without being asked."})
    precision = fields.Nested(PrecisionSchema, allow_none=True)
    proposal_id = fields.UUID(allow_none=True, metadata={"description": "The proposal that it was made of."})
    created_at = fields.DateTime()
    version = fields.Integer()


class _RulePartsSchema(Schema):
    """What a person may write of a rule."""

    name = fields.String(validate=_NAME)
    when = fields.Raw(metadata=_WRITTEN_WHEN)
    then = fields.Dict(metadata=_THEN)
    stage = fields.String(validate=_STAGE)
    priority = Whole(validate=_PRIORITY)
    stop = Flag()
    enabled = Flag()


class NewRuleSchema(_RulePartsSchema):
    name = fields.String(required=True, validate=_NAME, metadata={"example": "Rides by UBER"})
    when = fields.Raw(required=True, metadata=_WRITTEN_WHEN)
    then = fields.Dict(required=True, metadata=_THEN)


class DecisionRuleSchema(_RulePartsSchema):
    """A rule out of a decision, which says what it gives."""

    name = fields.String(required=True, validate=_NAME)
    when = fields.Raw(required=True, metadata=_WRITTEN_WHEN)

    class Meta:
        exclude = ("then",)


class RuleDraftSchema(Schema):
    """As POST /rules takes it; a decision takes it without `then`."""

    name = fields.String()
    when = fields.Dict(metadata=_WHEN)
    text = fields.String(metadata={"description": "The condition in one line."})
    then = fields.Dict(metadata=_THEN)
    alike = fields.Integer(metadata={"description": "Open items of the group, which it is made to cover."})


class RuleChangeSchema(_RulePartsSchema, ChangeSchema):
    demoted = Flag(validate=validate.Equal(False), metadata={"description": "False lets a demoted rule decide again."})


class ConfirmQuerySchema(Schema):
    confirm = fields.Boolean(
        load_default=False,
        metadata={"description": "Saves a rule though it contradicts what people decided, or is never reached."},
    )


class RuleOrderSchema(Schema):
    ids = fields.List(fields.UUID(), required=True, validate=validate.Length(1, 10_000), metadata={"uniqueItems": True})


class DraftSchema(_RulePartsSchema):
    """A rule that is not stored; with an `id`, that rule with what is given here changed."""

    id = fields.UUID()


class _SampleSchema(Schema):
    where = fields.Nested(RecordFilterSchema, load_default=dict, metadata={"description": "Which records."})
    last = Whole(
        load_default=DEFAULT_LAST,
        allow_none=True,
        validate=validate.Range(1, MAX_LAST),
        metadata={"description": "The newest of them to look at; null for as many as may be."},
    )


class RuleTestSchema(_SampleSchema):
    rule = fields.Nested(DraftSchema, required=True)
    records = fields.List(
        fields.Dict(),
        load_default=list,
        validate=validate.Length(max=100),
        metadata={"description": "Try the rule on these, written as for POST /records, instead of stored ones."},
    )
    record_ids = fields.List(
        fields.UUID(),
        load_default=list,
        validate=validate.Length(max=100),
        metadata={"description": "Try the rule on these stored ones, whether or not it matches them."},
    )


class RulePreviewSchema(_SampleSchema):
    rules = fields.List(
        fields.Nested(DraftSchema),
        load_default=list,
        validate=validate.Length(max=MAX_DRAFTS),
        metadata={"description": "Drafts; without any, all rules of the tenant as they are."},
    )


class ExplanationSchema(Schema):
    text = fields.String(metadata={"description": "The part of the condition, in its text form."})
    holds = fields.Boolean()
    error = fields.String(allow_none=True)
    parts = fields.List(fields.Nested(lambda: ExplanationSchema()))


class TestedRecordSchema(Schema):
    id = fields.UUID()
    text = fields.String()
    counterparty = fields.String()
    amount = fields.Decimal(as_string=True, allow_none=True, metadata={"type": "string"})
    currency = fields.String(allow_none=True)
    matches = fields.Boolean()
    why = fields.Nested(ExplanationSchema)


class RuleTestResultSchema(Schema):
    seen = fields.Integer()
    matched = fields.Integer()
    records = fields.List(
        fields.Nested(TestedRecordSchema), metadata={"description": "Those given, or the newest that match."}
    )


class ChangeSampleSchema(Schema):
    record_id = fields.UUID()
    effect = fields.String(metadata={"enum": [e.value for e in Effect]})
    text = fields.String()
    rule_id = fields.UUID(allow_none=True)
    status_before = fields.String()
    category_before = fields.UUID(allow_none=True)
    status_after = fields.String()
    category_after = fields.UUID(allow_none=True)
    stage_after = fields.String(allow_none=True)


class ShadowSchema(Schema):
    rule_id = fields.UUID()
    name = fields.String()
    records = fields.Integer()


class ShadowsSchema(Schema):
    rule_id = fields.UUID()
    name = fields.String()
    matches = fields.Integer()
    wins = fields.Integer()
    unreachable = fields.Boolean(metadata={"description": "It matches, and others always win; or it repeats another."})
    same_as = fields.UUID(allow_none=True, metadata={"description": "An earlier rule with the same condition."})
    shadowed_by = fields.List(fields.Nested(ShadowSchema), metadata={"description": "Rules that win in its place."})
    shadowing = fields.List(fields.Nested(ShadowSchema), metadata={"description": "Rules that it takes records from."})


class RulePreviewResultSchema(Schema):
    seen = fields.Integer()
    matched = fields.Integer()
    newly_decided = fields.Integer()
    changed = fields.Integer()
    released = fields.Integer(metadata={"description": "Decided alone so far, and then for a person to decide."})
    contradicting = fields.Integer(metadata={"description": "Records that people decided otherwise: they stay so."})
    untold = fields.Integer(
        metadata={
            "description": "Records that no rule decides any more, with texts too many to ask similarity about here."
        }
    )
    samples = fields.List(fields.Nested(ChangeSampleSchema))
    rules = fields.List(fields.Nested(ShadowsSchema))


class ConflictsQuerySchema(LimitSchema):
    last = fields.Integer(load_default=DEFAULT_LAST, validate=validate.Range(1, MAX_LAST))
    after = fields.Integer(
        load_default=0, validate=validate.Range(0), metadata={"description": "`next` of the page before."}
    )


class ConflictRuleSchema(Schema):
    id = fields.UUID()
    name = fields.String()
    category_id = fields.UUID()


class ConflictSchema(Schema):
    first = fields.Nested(ConflictRuleSchema, metadata={"description": "The one that is asked first."})
    second = fields.Nested(ConflictRuleSchema)
    records = fields.Integer()
    samples = fields.List(fields.UUID())


class EvidenceSchema(Schema):
    support = fields.Integer(metadata={"description": "Records that people decided and that it matches."})
    agreeing = fields.Integer(metadata={"description": "Those of them that people gave this category."})
    expected = fields.Float(metadata={"description": "The share that it is expected to get right from now on."})
    examples = fields.List(fields.UUID())
    counter_examples = fields.List(fields.UUID())


class ProposalSchema(Schema):
    id = fields.UUID()
    name = fields.String()
    when = fields.Dict(metadata=_WHEN)
    text = fields.String(metadata={"description": "The condition in one line."})
    category_id = fields.UUID()
    evidence = fields.Nested(EvidenceSchema)
    status = fields.String()
    rule_id = fields.UUID(allow_none=True)
    decided_by = fields.String(allow_none=True)
    decided_at = fields.DateTime(allow_none=True)
    created_at = fields.DateTime()
    version = fields.Integer()


class WholeProposalSchema(ProposalSchema):
    effects = fields.Nested(RulePreviewResultSchema)


class ProposalsQuerySchema(AfterSchema):
    status = fields.String(load_default="open", validate=validate.OneOf([s.value for s in ProposalStatus]))


class AcceptSchema(_RulePartsSchema):
    """What the rule shall have otherwise than was proposed; nothing for the proposal as it is."""


class NewRunSchema(Schema):
    rule_ids = fields.List(
        fields.UUID(),
        load_default=None,
        allow_none=True,
        validate=validate.Length(1, 1_000),
        metadata={"description": "The rules to apply; null for all."},
    )
    where = fields.Nested(RecordFilterSchema, load_default=dict, metadata={"description": "To which records."})


class RunCountsSchema(Schema):
    total = fields.Integer(metadata={"description": "Records in the filter when the run was asked for."})
    seen = fields.Integer()
    newly_decided = fields.Integer()
    changed = fields.Integer()
    released = fields.Integer()
    contradicting = fields.Integer()
    skipped = fields.Integer(metadata={"description": "Changed by somebody while the run looked at them: left alone."})
    restored = fields.Integer()
    kept = fields.Integer(metadata={"description": "Left as they are by an undo: somebody changed them after the run."})


class RunSchema(Schema):
    id = fields.UUID()
    job_id = fields.UUID()
    status = fields.String(metadata={"enum": [s.value for s in RunStatus]})
    rule_ids = fields.List(fields.UUID(), allow_none=True)
    where = fields.Dict()
    counts = fields.Nested(RunCountsSchema)
    requested_by = fields.String()
    failure = fields.String(allow_none=True)
    created_at = fields.DateTime()
    finished_at = fields.DateTime(allow_none=True)
    undone_at = fields.DateTime(allow_none=True)


class RunsQuerySchema(LimitSchema):
    before = fields.UUID(load_default=None, metadata={"description": "`next` of the page before."})


class RunChangeSchema(Schema):
    record_id = fields.UUID()
    before = fields.Dict()
    after = fields.Dict()
    undone = fields.Boolean(allow_none=True, metadata={"description": "Whether an undo restored it; null before one."})
