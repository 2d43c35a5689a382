"""The form of a rule: what stands in it, what it says, and beside which field something wrong with it is told."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any
from uuid import UUID

from core.domain.condition_text import condition_to_text
from core.domain.rules import Action, Rule, RuleStage
from core.errors import ConfirmNeeded, Invalid, SortationError
from core.usecases.shared.rule_drafts import PRIORITY
from entrypoints.console.rules.wording import STAGES

Form = dict[str, str]
"""What stands in the form, by the name of its field."""

TEXTS = ("name", "when", "does", "category", "tags", "fields", "stage", "priority")
FLAGS = ("stop", "enabled")
DOES = {
    "category": "gets the category",
    "review": "waits for a person",
    "skip": "stays unsorted",
    "mark": "only gets tags and attributes",
}
"""What becomes of a record, as the form words it."""
_ON = "1"
_PLACE = re.compile(r"(name|when|then\.category|then\.tags|then\.fields|priority|stage|then)\b")
_FIELD = {"then.category": "category", "then.tags": "tags", "then.fields": "fields", "then": "does"}
_COLUMN = re.compile(r"when, column ([0-9]+): ")


def version(form: Mapping[str, str]) -> int:
    """The one that the form was made of, or that its sender means to write over. Raises `Invalid`: a form of ours
    always says it."""
    try:
        return int(form.get("over") or form.get("version", ""))
    except ValueError:
        raise Invalid("version is missing: open the page again") from None


def blank() -> Form:
    return dict.fromkeys(TEXTS, "") | {
        "does": "category",
        "stage": RuleStage.MAIN.value,
        "priority": str(PRIORITY),
        "stop": "",
        "enabled": _ON,
    }


def sent(form: Mapping[str, str]) -> Form:
    """What a browser sent: line breaks as they are stored, what was left out as empty."""
    return {name: form.get(name, "").replace("\r\n", "\n").strip() for name in (*TEXTS, *FLAGS)}


def of_rule(rule: Rule, categories: Mapping[UUID, str]) -> Form:
    """The rule as it stands in the form; `categories` are what they are called, by id."""
    then = rule.then
    return {
        "name": rule.name,
        "when": condition_to_text(rule.when),
        "does": _does(then),
        "category": categories.get(then.category_id, "") if then.category_id else "",
        "tags": ", ".join(then.tags),
        "fields": "\n".join(f"{name} = {value}" for name, value in then.fields.items()),
        "stage": rule.stage.value,
        "priority": str(rule.priority),
        "stop": _ON if rule.stop else "",
        "enabled": _ON if rule.enabled else "",
    }


def written(form: Form) -> dict[str, Any]:
    """The rule as the use cases take it. Raises `Invalid`, whose message begins with the place."""
    try:
        priority = int(form["priority"])
    except ValueError:
        raise Invalid("priority: a whole number is needed") from None
    return {
        "name": form["name"],
        "when": form["when"],
        "then": _then(form),
        "stage": form["stage"],
        "priority": priority,
        "stop": form["stop"] == _ON,
        "enabled": form["enabled"] == _ON,
    }


def changes(form: Form, before: Form) -> dict[str, Any]:
    """What the form says otherwise than it did, as the use cases take it. Raises `Invalid` as `written`."""
    now = written(form)
    of_action = ("does", "category", "tags", "fields")
    same = {name for name in now if name != "then" and form[name] == before[name]}
    if all(form[name] == before[name] for name in of_action):
        same.add("then")
    return {name: value for name, value in now.items() if name not in same}


def wrong(error: SortationError) -> dict[str, str]:
    """What to say beside which field; beside none (`""`) where the error is about no field."""
    if isinstance(error, ConfirmNeeded):
        return {}
    message = str(error)
    place = found[1] if (found := _PLACE.match(message)) else ""
    if place == "when":
        return {place: message.removeprefix("when, ").removeprefix("when: ")}
    return {_FIELD.get(place, place): message.partition(": ")[2] if place and ": " in message else message}


def column(error: SortationError) -> int | None:
    """Where in the condition's text something is wrong, counted from 1."""
    found = _COLUMN.match(str(error))
    return int(found[1]) if found else None


def stages() -> list[tuple[str, str, str]]:
    return [(stage.value, *STAGES[stage.value]) for stage in RuleStage]


def _does(then: Action) -> str:
    if then.skip:
        return "skip"
    if then.review:
        return "review"
    return "category" if then.category_id else "mark"


def _then(form: Form) -> dict[str, Any]:
    does, then = form["does"], dict[str, Any]()
    if does not in DOES:
        raise Invalid("then: say what becomes of a record")
    if does == "category" and not form["category"]:
        raise Invalid("then.category: say which category they get")
    if does in ("category", "review") and form["category"]:
        then["category"] = form["category"]
    if does in ("review", "skip"):
        then[does] = True
    if tags := [tag.strip() for tag in form["tags"].split(",") if tag.strip()]:
        then["tags"] = tags
    if fields := _attributes(form["fields"]):
        then["fields"] = fields
    return then


def _attributes(text: str) -> dict[str, str]:
    """A line for each: `name = value`."""
    found: dict[str, str] = {}
    for line in filter(None, map(str.strip, text.split("\n"))):
        name, sign, value = line.partition("=")
        if not sign or not name.strip() or not value.strip():
            raise Invalid(f"then.fields: write “{line[:60]}” as name = value")
        found[name.strip()] = value.strip()
    return found
