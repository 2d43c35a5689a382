"""Rules: a condition, what follows from it, and the order in which a tenant's rules are asked."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any
from uuid import UUID

from core.domain.conditions import Condition, specificity
from core.domain.records import clean_text, normalise
from core.errors import RuleInvalid

MAX_RULES = 10_000
"""Of a tenant."""
MAX_RULE_WEIGHT, MAX_WEIGHT = 50_000, 4_000_000
"""What the regexes of a rule, and of all rules of a tenant, may take, as `ports.matching.RuleMatcher.weight` tells."""
MAX_NAME = 200
MAX_TAGS = 20
MAX_TAG = 64
MAX_FIELDS = 20
MAX_FIELD_NAME = 100
MAX_FIELD_VALUE = 500
MAX_PRIORITY = 1_000_000


class RuleStage(StrEnum):
    """`pre` rules are asked first, `post` rules last."""

    PRE = "pre"
    MAIN = "main"
    POST = "post"


_STAGES = {RuleStage.PRE: 0, RuleStage.MAIN: 1, RuleStage.POST: 2}


@dataclass(frozen=True, slots=True, kw_only=True)
class Action:
    """What a matching rule does: it sets a category, adds tags, sets attributes (`fields`, by name), sends the record
    to `review` (its category, if any, is then a suggestion), or leaves it unsorted (`skip`)."""

    category_id: UUID | None = None
    tags: tuple[str, ...] = ()
    fields: Mapping[str, str] = field(default_factory=dict)
    review: bool = False
    skip: bool = False

    @property
    def decides(self) -> bool:
        """Whether it says what becomes of the record; tags and fields alone do not."""
        return self.category_id is not None or self.review or self.skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """A tenant's rule. Lower `priority` is asked first within its stage.

    `pack` names the starter pack it came with. An untrusted rule only suggests: a tenant's own rule is trusted, one of
    a pack is not until the tenant trusts it, or people's answers prove it (`proved`). A rule that people contradict too
    often is `demoted`: it asks for a person instead of deciding. Since its condition or action last changed, `hits`
    counts the records it won, `confirmed` and `overridden` the answers of people to review items of these, `corrected`
    those that people gave another category without being asked. `proposal_id` is the proposal it was made of. `version`
    rises with every change.
    """

    id: UUID
    tenant_id: UUID
    name: str
    stage: RuleStage
    priority: int
    when: Condition
    then: Action
    stop: bool
    enabled: bool
    pack: str | None
    trusted: bool
    hits: int
    last_hit_at: datetime | None
    created_at: datetime
    version: int
    confirmed: int = 0
    overridden: int = 0
    corrected: int = 0
    demoted: bool = False
    proved: bool = False
    proposal_id: UUID | None = None
    evidence_from: int = 0
    """The tenant's `rules_version` from which on what it decided is evidence about it: what it was before is not it."""


def order_key(rule: Rule) -> tuple[int, int, int, int, datetime, UUID]:
    """The place of a rule: stage, then priority, then the more specific (`conditions.specificity`: leaves that must
    hold together, then the length of their literals), then the older, then the smaller id."""
    leaves, length = specificity(rule.when)
    return _STAGES[rule.stage], rule.priority, -leaves, -length, rule.created_at, rule.id


def parse_action(value: Any, resolve: Mapping[str, UUID] | None = None, path: str = "then") -> Action:
    """The action that a JSON value describes: `{"category", "tags", "fields", "review", "skip"}`, all optional.

    `category` is an id, or anything `resolve` knows (`core.domain.categories.resolver`: key, path, name); its ids are
    the ones that exist, and ids that it has as texts are former ones. Without `resolve` (reading back what was stored)
    an id is taken as it is.
    Raises `RuleInvalid` whose message begins with the place (`then.tags[1]: ...`).
    """
    if not isinstance(value, Mapping):
        raise RuleInvalid(f"{path}: an action is a JSON object")
    if unknown := [key for key in value if key not in ("category", "tags", "fields", "review", "skip")]:
        raise RuleInvalid(f"{path}: unexpected key {str(unknown[0])[:60]!r}")
    action = Action(
        category_id=_category(value.get("category"), resolve, f"{path}.category"),
        tags=_tags(value.get("tags", []), f"{path}.tags"),
        fields=_fields(value.get("fields", {}), f"{path}.fields"),
        review=_flag(value.get("review", False), f"{path}.review"),
        skip=_flag(value.get("skip", False), f"{path}.skip"),
    )
    if not (action.decides or action.tags or action.fields):
        raise RuleInvalid(f"{path}: an action does something: category, tags, fields, review or skip")
    if action.skip and (action.category_id or action.review):
        raise RuleInvalid(f"{path}.skip: a record that is skipped gets no category and no review")
    return action


def action_to_json(action: Action) -> dict[str, Any]:
    """The JSON form, without what is empty; `parse_action` of it gives an equal action."""
    everything = {
        "category": str(action.category_id) if action.category_id else None,
        "tags": list(action.tags),
        "fields": dict(action.fields),
        "review": action.review,
        "skip": action.skip,
    }
    return {name: value for name, value in everything.items() if value}


def check_name(name: str) -> str:
    """The name with its whitespace collapsed; raises `RuleInvalid` when nothing is left or it is too long."""
    return _short(name, MAX_NAME, "name")


def _category(value: Any, resolve: Mapping[str, UUID] | None, path: str) -> UUID | None:
    if value is None:
        return None
    if isinstance(value, UUID):
        value = str(value)
    if not isinstance(value, str):
        raise RuleInvalid(f"{path}: the id or key of a category is needed")
    try:
        category_id = UUID(value)
    except ValueError:
        found = (resolve or {}).get(value) or (resolve or {}).get(normalise(value))
    else:
        known = resolve is None or category_id in resolve.values()
        found = category_id if known else (resolve or {}).get(str(category_id))
    if found is None:
        raise RuleInvalid(f"{path}: there is no category {value[:120]!r}")
    return found


def _tags(value: Any, path: str) -> tuple[str, ...]:
    if not isinstance(value, list | tuple) or len(value) > MAX_TAGS:
        raise RuleInvalid(f"{path}: a list of at most {MAX_TAGS} tags is needed")
    return tuple(dict.fromkeys(_short(tag, MAX_TAG, f"{path}[{i}]") for i, tag in enumerate(value)))


def _fields(value: Any, path: str) -> dict[str, str]:
    if not isinstance(value, Mapping) or len(value) > MAX_FIELDS:
        raise RuleInvalid(f"{path}: an object of at most {MAX_FIELDS} fields is needed")
    return {
        _short(name, MAX_FIELD_NAME, f"{path} (a name)"): _short(text, MAX_FIELD_VALUE, f"{path}.{str(name)[:60]}")
        for name, text in value.items()
    }


def _short(value: Any, limit: int, path: str) -> str:
    if not isinstance(value, str) or not clean_text(value) or len(value) > limit:
        raise RuleInvalid(f"{path}: a text of 1 to {limit} characters is needed")
    if "\x00" in value or any("\ud800" <= char <= "\udfff" for char in value):
        raise RuleInvalid(f"{path}: has a NUL or half a surrogate pair")
    return clean_text(value)


def _flag(value: Any, path: str) -> bool:
    if not isinstance(value, bool):
        raise RuleInvalid(f"{path}: true or false is needed")
    return value
