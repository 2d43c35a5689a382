"""The reference evaluator: what rules mean. Any faster matcher must equal it on any input.

Each leaf says yes, no, unknown (a rule type abstained) or fault (a rule type raised, or what the leaf needs is not
there). `all` is no if a child is no; `any` is yes if a child is yes; else an unknown or faulty child makes the whole
unknown or faulty. So a verdict does not depend on the order of the children. A rule matches only on yes.
A leaf on something that the record lacks (no amount, no such attribute) says no. Conditions see the record as it came,
not what earlier rules would set.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol
from uuid import UUID
from zoneinfo import ZoneInfo

from core.domain.conditions import AllOf, AnyOf, Condition, Leaf, Not, PluginLeaf
from core.domain.records import Sortable, clean_text, normalise
from core.domain.rule_history import History, NoHistory
from core.domain.rule_leaves import Facts, Regex, leaf_test
from core.domain.rules import Rule, order_key
from core.errors import RuleInvalid, SortationError

MAX_REASON = 300
UTC = ZoneInfo("UTC")

Verdict = bool | None | str
"""Yes, no, unknown, or why it failed."""
Run = Callable[[Facts], Verdict]


class CompiledRuleLike(Protocol):
    def evaluate(self, records: Sequence[Sortable], history: History) -> Sequence[bool | None]: ...


class RuleTypeLike(Protocol):
    def compile(self, params: Mapping[str, Any]) -> CompiledRuleLike: ...


RuleTypes = Callable[[str], RuleTypeLike]
"""The rule type of a key; raises `PluginUnavailable` when there is none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RuleMatch:
    """A rule that matched, with all it says of itself for the trace."""

    rule: Rule


@dataclass(frozen=True, slots=True, kw_only=True)
class RuleError:
    """A rule that could not be asked about a record, and why. It counts as no match."""

    rule_id: UUID
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RuleOutcome:
    """What the rules say of one record.

    `matches` are in order, up to and including the first with `stop`. `winner` is the first trusted one of them that
    sets a category, sends to review or skips, else the first untrusted one. `tags` are those of all matches; `fields`
    too, the first to set one wins.
    """

    matches: tuple[RuleMatch, ...] = ()
    winner: RuleMatch | None = None
    tags: tuple[str, ...] = ()
    fields: Mapping[str, str] = field(default_factory=dict)
    errors: tuple[RuleError, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class CompiledRules:
    """Enabled rules in the order they are asked, each with its closure."""

    rules: tuple[Rule, ...]
    runs: tuple[Run, ...]


def compile_rules(rules: Sequence[Rule], regex: Regex, rule_type: RuleTypes) -> CompiledRules:
    """Never raises for what a rule needs and lacks (a plugin, a regex that is no longer served): that becomes a
    `RuleError` on each record it is asked about."""
    ordered = tuple(sorted((rule for rule in rules if rule.enabled), key=order_key))
    return CompiledRules(rules=ordered, runs=tuple(compile_condition(rule.when, regex, rule_type) for rule in ordered))


def check_rule(rule: Rule, regex: Regex, rule_type: RuleTypes) -> None:
    """Raises `RuleInvalid`, naming the place, when a regex or a plugin leaf of the rule can't be served."""
    _check(rule.when, "when", regex, rule_type)


def evaluate(
    compiled: CompiledRules, records: Sequence[Sortable], zone: ZoneInfo = UTC, history: History | None = None
) -> list[RuleOutcome]:
    """The outcome for each record, in order. `zone` is the tenant's: the calendar day of an instant is taken in it.
    `history` is what rule types may ask about the past, None for none."""
    verdicts = asked_about(records, zone, history)
    return [
        _ask(
            compiled,
            Facts(record, normalise(record.text), normalise(record.counterparty), position, verdicts, zone),
        )
        for position, record in enumerate(records)
    ]


def asked_about(records: Sequence[Sortable], zone: ZoneInfo, history: History | None) -> dict[object, Any]:
    """What the facts of a batch share (`Facts.verdicts`): plugin leaves ask about all of it and keep the answers."""
    return {_ASKED: (records, history or NoHistory(zone))}


def _ask(compiled: CompiledRules, facts: Facts) -> RuleOutcome:
    matched: list[int] = []
    errors: list[RuleError] = []
    for index, run in enumerate(compiled.runs):
        verdict = run(facts)
        if verdict is True:
            matched.append(index)
            if compiled.rules[index].stop:
                break
        elif isinstance(verdict, str):
            errors.append(RuleError(rule_id=compiled.rules[index].id, reason=verdict))
    return outcome_of(compiled.rules, matched, tuple(errors))


def outcome_of(rules: Sequence[Rule], matched: Sequence[int], errors: tuple[RuleError, ...]) -> RuleOutcome:
    """The outcome where those of the `rules` matched whose places, rising, are `matched`."""
    matches = tuple(RuleMatch(rule=rules[index]) for index in matched)
    deciding = [match for match in matches if match.rule.then.decides]
    fields: dict[str, str] = {}
    for match in matches:
        fields = {**match.rule.then.fields, **fields}
    return RuleOutcome(
        matches=matches,
        winner=next((m for m in deciding if m.rule.trusted), deciding[0] if deciding else None),
        tags=tuple(dict.fromkeys(tag for match in matches for tag in match.rule.then.tags)),
        fields=fields,
        errors=errors,
    )


def compile_condition(condition: Condition, regex: Regex, rule_type: RuleTypes) -> Run:
    """The closure that the condition is. Never raises: what it needs and lacks becomes its verdict."""
    match condition:
        case Leaf():
            try:
                return leaf_test(condition, regex)
            except SortationError as error:
                return _constant(str(error))
        case PluginLeaf():
            return _plugin(condition, rule_type)
        case Not(child=child):
            return _negation(compile_condition(child, regex, rule_type))
        case AllOf(children=children) | AnyOf(children=children):
            runs = tuple(compile_condition(child, regex, rule_type) for child in children)
            return _conjunction(runs) if isinstance(condition, AllOf) else _disjunction(runs)


def _constant(reason: str) -> Run:
    return lambda _: reason[:MAX_REASON]


def _negation(run: Run) -> Run:
    def negation(facts: Facts) -> Verdict:
        verdict = run(facts)
        return not verdict if isinstance(verdict, bool) else verdict

    return negation


def _conjunction(runs: tuple[Run, ...]) -> Run:
    def conjunction(facts: Facts) -> Verdict:
        whole: Verdict = True
        for run in runs:
            verdict = run(facts)
            if verdict is False:
                return False
            if verdict is not True and not isinstance(whole, str):
                whole = verdict
        return whole

    return conjunction


def _disjunction(runs: tuple[Run, ...]) -> Run:
    def disjunction(facts: Facts) -> Verdict:
        whole: Verdict = False
        for run in runs:
            verdict = run(facts)
            if verdict is True:
                return True
            if verdict is not False and not isinstance(whole, str):
                whole = verdict
        return whole

    return disjunction


_ASKED = object()


def _plugin(leaf: PluginLeaf, rule_type: RuleTypes) -> Run:
    try:
        compiled = rule_type(leaf.type).compile(leaf.params)
    except Exception as error:
        return _constant(_reason(leaf, error))
    mine = object()

    def plugin(facts: Facts) -> Verdict:
        """Asks about the whole batch when the first of its records gets here."""
        verdicts = facts.verdicts.get(mine)
        if verdicts is None:
            verdicts = facts.verdicts[mine] = _verdicts(leaf, compiled, *facts.verdicts[_ASKED])
        verdict: Verdict = verdicts[facts.position]
        return verdict

    return plugin


def _verdicts(
    leaf: PluginLeaf, compiled: CompiledRuleLike, records: Sequence[Sortable], history: History
) -> list[Verdict]:
    """The verdict on each record. Where the whole batch fails, each is asked alone, so that one spoils no other."""
    try:
        given = list(compiled.evaluate(records, history))
        if len(given) == len(records) and all(item is None or isinstance(item, bool) for item in given):
            return [*given]
        reason = (
            f"{leaf.type} answered {len(given)} verdicts for {len(records)} records, each must be true, false or none"
        )
    except Exception as error:
        reason = _reason(leaf, error)
    if len(records) == 1:
        return [reason[:MAX_REASON]]
    return [_verdicts(leaf, compiled, [record], history)[0] for record in records]


def _reason(leaf: PluginLeaf, error: Exception) -> str:
    return clean_text(f"{leaf.type}: {type(error).__name__}: {error}")[:MAX_REASON]


def _check(condition: Condition, path: str, regex: Regex, rule_type: RuleTypes) -> None:
    match condition:
        case AllOf(children=children) | AnyOf(children=children):
            name = "all" if isinstance(condition, AllOf) else "any"
            for i, child in enumerate(children):
                _check(child, f"{path}.{name}[{i}]", regex, rule_type)
        case Not(child=child):
            _check(child, f"{path}.not", regex, rule_type)
        case Leaf():
            try:
                leaf_test(condition, regex)
            except SortationError as error:
                raise RuleInvalid(f"{path}.value: {error}") from error
        case PluginLeaf():
            try:
                rule_type(condition.type).compile(condition.params)
            except RuleInvalid as error:
                raise RuleInvalid(f"{path}.{clean_text(str(error))[:MAX_REASON]}") from error
            except Exception as error:
                raise RuleInvalid(f"{path}: {_reason(condition, error)}") from error
