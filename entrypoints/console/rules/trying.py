"""What a rule in the form would do: which records it matches and why, and what it would change. Nothing is stored."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from flask import Blueprint, render_template, request
from werkzeug.wrappers import Response

from core.domain.condition_text import OPERATORS, RESERVED
from core.domain.conditions import ATTRIBUTES, DATE_PARTS, TEXT_FIELDS, operators
from core.domain.permissions import Permission
from core.domain.records import Snapshot
from core.domain.rule_effects import Effect
from core.domain.rules import Rule
from core.errors import Invalid, NotFound, RuleInvalid
from core.usecases.rule_preview import Preview, Tested
from entrypoints.api.limits import Kind, limited
from entrypoints.api.responses import json_response, polled
from entrypoints.api.schemas.rules import MAX_LAST
from entrypoints.api.state import container
from entrypoints.console.guard import me, page_for
from entrypoints.console.rules import forms
from entrypoints.console.rules.wording import EFFECTS, category_names
from ports.storage import RecordFilter

blp = Blueprint("console_rule_trials", __name__)
LIVE_LAST = 20_000
"""Records that a preview looks at while somebody types: one page of them."""
_FOUND = 8
_SAMPLED = 2_000
_MOST_VALUES = 200
_HINTS = {
    "text": "what the source wrote",
    "counterparty": "who was paid, or who paid",
    "anywhere": "text or counterparty",
    "currency": "such as EUR",
    "account": "the account's name",
    "kind": "such as transaction",
    "connection": "where it came from",
    "amount": "money out is below 0",
    "date": "such as 2026-01-31",
    "weekday": "1 is Monday",
    "days_left": "0 on the month's last day",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """What came of trying: the matches, and what would change, unless it is open yet what becomes of a record. Or what
    is wrong with the form, and at which column of the condition."""

    preview: Preview | None = None
    tested: Tested | None = None
    wrong: Mapping[str, str] | None = None
    column: int | None = None


@blp.post("/rules/preview")
@limited(Kind.COSTLY)
@page_for(Permission.RULES_READ)
def preview() -> Response:
    """Of the form as it stands, as a piece of the page; with what is wrong with it, if anything is."""
    form = request.form
    last = MAX_LAST if form.get("all") == "1" else LIVE_LAST
    trial = tried(forms.sent(form), rule_of(form), last=last)
    shown = None if trial.tested is None else render_template("rules/_preview.html", **of_trial(trial, last))
    return json_response({"html": shown, "wrong": trial.wrong, "column": trial.column})


@blp.post("/rules/why")
@limited(Kind.COSTLY)
@page_for(Permission.RULES_READ)
def why() -> Response:
    """Whether and why the form's condition holds for the `record`; without one, records that have `search` in them."""
    me().require(Permission.RECORDS_READ)
    return json_response({"html": render_template("rules/_why.html", **asked_why(request.form))})


@blp.get("/rules/words")
@page_for(Permission.RULES_READ)
def words() -> Response:
    """What may be written in a condition: fields with their operators, values that records have, categories, tags, rule
    types."""
    me().require(Permission.RECORDS_READ)
    polled()
    rules, types = container().list_rules(me()), container().host().rule_types()
    sample = container().latest_records(me(), RecordFilter(), limit=_SAMPLED)
    values = _values(sample)
    named = {str(one.id): one.name for one in container().list_connections(me())}
    return json_response(
        {
            "fields": [
                *({"name": name, "hint": _HINTS.get(name, ""), "ops": _ops(name)} for name in _fields()),
                *(
                    {"name": name, "hint": "attribute", "ops": _ops(name)}
                    for name in sorted(values)
                    if name.startswith(ATTRIBUTES)
                ),
            ],
            "values": {name: [{"value": value} for value in found] for name, found in values.items()}
            | {"connection": [{"value": id, "hint": name} for id, name in named.items()]},
            "types": [{"name": key, "hint": manifest.title} for key, manifest in sorted(types.items())],
            "categories": sorted(category_names().values()),
            "tags": sorted({tag for rule in rules for tag in rule.then.tags}),
            "reserved": RESERVED,
        }
    )


def tried(form: forms.Form, rule: Rule | None, *, last: int = LIVE_LAST) -> Trial:
    """Raises nothing for what is wrong with the form: that is in the trial."""
    me().require(Permission.RECORDS_READ)
    try:
        open_yet = form["does"] == "category" and not form["category"]
        draft = drafted(form | {"does": "review"} if open_yet else form, rule)
        tested = container().test_rule(me(), draft, [], chosen=(), where=RecordFilter(), last=last)
        if open_yet:
            return Trial(tested=tested)
        found = container().preview_rules(me(), [draft], where=RecordFilter(), last=last)
    except (Invalid, RuleInvalid) as error:
        return Trial(wrong=forms.wrong(error), column=forms.column(error))
    return Trial(preview=found, tested=tested)


def drafted(form: forms.Form, rule: Rule | None) -> dict[str, Any]:
    """The form's rule as previews take it. Raises `Invalid`."""
    form = form | {"name": form["name"] or "This rule"}
    if rule is None:
        return forms.written(form)
    return {"id": rule.id, **forms.changes(form, forms.of_rule(rule, category_names()))}


def of_trial(trial: Trial, last: int = LIVE_LAST) -> dict[str, Any]:
    """What its template shows of a preview among the newest `last` records."""
    shown = {"tested": trial.tested, "categories": category_names(), "last": last, "most": MAX_LAST}
    if trial.preview is None:
        return shown
    effects, (draft, *_) = trial.preview.effects, trial.preview.drafts
    shadow = trial.preview.shadows[draft.id]
    return shown | {
        "effects": effects,
        "counts": [(effect.value, effects.counts[effect], *EFFECTS[effect.value]) for effect in Effect],
        "samples": [(EFFECTS[e.value][0], effects.samples[e]) for e in Effect if effects.samples.get(e)],
        "draft": draft,
        "shadow": shadow,
        "shadowed_by": _named(shadow.shadowed_by, trial.preview.rules),
        "shadowing": _named(shadow.shadowing, trial.preview.rules),
        "same_as": trial.preview.rules.get(shadow.same_as) if shadow.same_as else None,
    }


def asked_why(form: Mapping[str, str]) -> dict[str, Any]:
    """What the template of an explanation shows: the record with why, or records to choose from."""
    search, wrong = form.get("search", "").strip(), None
    try:
        chosen = UUID(form.get("record", ""))
    except ValueError:
        where = RecordFilter(text=search or None)
        return {"found": container().latest_records(me(), where, limit=_FOUND), "search": search}
    try:
        draft = drafted(forms.sent(form), rule_of(form))
        tested = container().test_rule(me(), draft, [], chosen=[chosen], where=RecordFilter(), last=1)
        return {"explained_one": tested.explained[0]}
    except NotFound as error:
        wrong = str(error)
    except (Invalid, RuleInvalid) as error:
        wrong = f"The rule can't be asked yet: {error}"
    return {"wrong": wrong}


def rule_of(form: Mapping[str, str]) -> Rule | None:
    """The stored rule that the form is of. Raises `NotFound`."""
    try:
        rule_id = UUID(form.get("rule", ""))
    except ValueError:
        return None
    rule: Rule = container().get_rule(me(), rule_id)
    return rule


def _named(counts: Mapping[UUID, int], rules: Mapping[UUID, Rule]) -> list[tuple[Rule, int]]:
    return [(rules[id], records) for id, records in Counter(counts).most_common(5)]


def _fields() -> Iterable[str]:
    first = ("text", "counterparty", "anywhere", "amount")
    return [*first, *sorted((TEXT_FIELDS | DATE_PARTS.keys() | {"date"}) - set(first))]


def _ops(name: str) -> list[str]:
    known = operators(name)
    return [written for op, written in OPERATORS.items() if op in known]


def _values(records: Iterable[Snapshot]) -> dict[str, list[str]]:
    """By field, what records have in it, the most frequent first."""
    found: dict[str, Counter[str]] = {}
    for record in records:
        for name in ("counterparty", "currency", "account", "kind"):
            if value := getattr(record, name):
                found.setdefault(name, Counter())[value] += 1
        for name, value in record.attributes.items():
            if isinstance(value, str | int | bool) and "." not in name:
                found.setdefault(f"{ATTRIBUTES}{name}", Counter())[str(value)] += 1
    return {name: [value for value, _ in counts.most_common(_MOST_VALUES)] for name, counts in found.items()}
