"""All rules in the order in which they are asked; moved, switched, and their packs trusted."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any
from urllib.parse import urlencode
from uuid import UUID

from flask import Blueprint, request
from werkzeug.wrappers import Response

from core.domain.condition_text import condition_to_text
from core.domain.permissions import Permission
from core.domain.records import normalise
from core.domain.rule_standing import precision
from core.domain.rules import Rule
from core.domain.tenants import Tenant
from core.errors import ConfirmNeeded, Invalid, NotFound, VersionMismatch
from entrypoints.api.access import wants_json
from entrypoints.api.limits import Kind, limited
from entrypoints.api.responses import json_response
from entrypoints.api.state import container
from entrypoints.console.guard import me, own_path, page_for
from entrypoints.console.rules import forms
from entrypoints.console.rules.wording import STAGES, STATES, category_names, linked, packs_of, state_of
from entrypoints.console.shell import done, show

blp = Blueprint("console_rules", __name__)
PAGE = 200
MOVES: dict[str, Callable[[int, int], int]] = {
    "up": lambda at, _last: max(at - 1, 0),
    "down": lambda at, last: min(at + 1, last),
    "top": lambda _at, _last: 0,
    "bottom": lambda _at, last: last,
}
"""Where a rule goes within its stage, by its place and that of the last one."""


@blp.get("/rules")
@page_for(Permission.RULES_READ)
def rules() -> Response:
    return rules_page()


@blp.post("/rules/order")
@limited(Kind.COSTLY)
@page_for(Permission.RULES_WRITE)
def order() -> Response:
    """Moves `rule` by one of `MOVES`, or before or after another one; `version` is that of the order that it was seen
    in."""
    form, present = request.form, container().list_rules(me())
    version, moved = forms.version(form), _id(form.get("rule"))
    try:
        wanted = _moved(present, moved, form)
        ordered: Sequence[Rule] = container().order_rules(me(), [rule.id for rule in wanted], version=version)
    except (VersionMismatch, NotFound) as error:
        if wants_json():
            raise
        return rules_page(str(error), status=409)
    here = next(rule for rule in wanted if rule.id == moved)
    place = 1 + [rule.id for rule in wanted if rule.stage is here.stage].index(here.id)
    said = f"“{_short(here.name)}” is number {place} of its stage now."
    if wants_json():
        before = {rule.id: rule.version for rule in present}
        versions = {str(rule.id): rule.version for rule in ordered if rule.version != before.get(rule.id)}
        return json_response({"said": said, "version": version + bool(versions), "versions": versions})
    return done(_back(form, here), said)


@blp.post("/rules/<uuid:rule_id>/enabled")
@limited(Kind.COSTLY)
@page_for(Permission.RULES_WRITE)
def switch(rule_id: UUID) -> Response:
    form = request.form
    on, version = form.get("on") == "1", forms.version(form)
    rule = container().get_rule(me(), rule_id)
    try:
        container().change_rule(me(), rule_id, {"enabled": on}, version=version, confirm=form.get("confirm") == "1")
    except (ConfirmNeeded, VersionMismatch) as error:
        if wants_json():
            raise
        return rules_page(_told(error), status=409)
    return done(_back(form, rule), f"“{_short(rule.name)}” is {'on' if on else 'off'}.")


@blp.post("/rules/packs/<pack>")
@page_for(Permission.TENANT_WRITE)
def trust(pack: str) -> Response:
    """Trusts a starter pack, or no longer."""
    tenant: Tenant = container().get_tenant(me())
    if pack not in {rule.pack for rule in container().list_rules(me())}:
        raise NotFound("there is no such pack")
    others = [name for name in tenant.settings.trusted_packs if name != pack]
    trusted = request.form.get("trust") == "1"
    settings = replace(tenant.settings, trusted_packs=(*others, pack) if trusted else tuple(others))
    container().change_tenant(me(), version=tenant.version, settings=settings)
    said = "now decide without a person" if trusted else "only suggest again"
    return done("/rules", f"The rules of the pack “{_short(pack)}” {said}.")


def rules_page(error: str = "", status: int = 200) -> Response:
    """With what could not be done."""
    tenant = container().get_tenant(me())  # first: then the version is no newer than the rules
    everything, names = container().list_rules(me()), category_names()
    asked = {name: request.args.get(name, "").strip() for name in ("q", "of", "category", "state")}
    found = _filtered(everything, asked, names)
    page, after = _page(found)
    return show(
        "rules/list.html",
        status,
        error=list(linked(error, {rule.id: rule for rule in everything})),
        version=tenant.rules_version,
        total=len(everything),
        found=len(found),
        by_stage=[(stage, [rule for rule in page if rule.stage.value == stage]) for stage in STAGES],
        stages=STAGES,
        states_titles=list(STATES.items()),
        here=request.full_path.rstrip("?") if request.method == "GET" else "/rules",
        texts={rule.id: condition_to_text(rule.when) for rule in page},
        precision=precision,
        categories=names,
        used=sorted({names[id] for rule in everything if (id := rule.then.category_id) in names}),
        packs=packs_of(everything, tenant.settings.trusted_packs),
        promise=tenant.settings.promise,
        proposals=_open_proposals(),
        asked=asked,
        next=None if after is None else f"/rules?{urlencode({k: v for k, v in asked.items() if v} | {'after': after})}",
    )


def _open_proposals() -> int:
    return len(container().list_proposals(me(), status="open", after=None, limit=100))


def _filtered(rules: Sequence[Rule], asked: dict[str, str], names: dict[UUID, str]) -> list[Rule]:
    wanted, of = normalise(asked["q"]), asked["of"]
    category = {id for id, name in names.items() if name == asked["category"]}

    def fits(rule: Rule) -> bool:
        origin = {"learned"} if rule.proposal_id else {"own"} if rule.pack is None else {f"pack:{rule.pack}"}
        text = f"{rule.name} {condition_to_text(rule.when)} {' '.join(rule.then.tags)}" if wanted else ""
        return (
            (not of or of in origin)
            and (not asked["category"] or rule.then.category_id in category)
            and (asked["state"] not in STATES or asked["state"] in state_of(rule))
            and wanted in normalise(text)
        )

    return [rule for rule in rules if fits(rule)]


def _page(rules: Sequence[Rule]) -> tuple[Sequence[Rule], UUID | None]:
    """A page, after the rule with the id that the address has; and the last one's id, if there is more."""
    after = request.args.get("after", type=UUID)
    places = [place for place, rule in enumerate(rules, start=1) if rule.id == after]
    page = rules[places[0] if places else 0 :]
    return page[:PAGE], page[PAGE - 1].id if len(page) > PAGE else None


def _moved(rules: Sequence[Rule], moved: UUID | None, form: Mapping[str, str]) -> list[Rule]:
    """The rules in the order that the form asks for. Raises `NotFound` or `Invalid`."""
    rule = next((one for one in rules if one.id == moved), None)
    if rule is None:
        raise NotFound("somebody deleted this rule meanwhile")
    of_stage = [one for one in rules if one.stage is rule.stage]
    rest = [one for one in of_stage if one is not rule]
    if (move := MOVES.get(form.get("move", ""))) is not None:
        place = move(of_stage.index(rule), len(rest))
    else:
        place = _beside(rest, form)
    ordered = iter([*rest[:place], rule, *rest[place:]])
    return [next(ordered) if one.stage is rule.stage else one for one in rules]


def _beside(rest: Sequence[Rule], form: Mapping[str, str]) -> int:
    for name, further in (("before", 0), ("after", 1)):
        if (other := _id(form.get(name))) is not None:
            for place, rule in enumerate(rest):
                if rule.id == other:
                    return place + further
            raise NotFound("the rule beside is not there any more: look at the order as it is now")
    raise Invalid("say where the rule goes")


def _told(error: ConfirmNeeded | VersionMismatch) -> str:
    if isinstance(error, VersionMismatch):
        return "Somebody changed this rule meanwhile: it is shown as it is now. Try again if you still want to."
    reasons = "; ".join(part for parts in error.details["fields"].values() for part in parts)
    return f"It was left off, since: {reasons}. Open the rule to turn it on all the same."


def _back(form: Mapping[str, str], rule: Rule) -> str:
    """To the list as it was filtered, at the rule."""
    to = own_path(form.get("back"))
    return f"{to if to.startswith('/rules') else '/rules'}#rule-{rule.id}"


def _id(value: Any) -> UUID | None:
    try:
        return UUID(str(value))
    except ValueError:
        return None


def _short(name: str) -> str:
    return name if len(name) <= 80 else f"{name[:79]}…"
