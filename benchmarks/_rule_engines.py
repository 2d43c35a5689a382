"""The same rules in other engines. Each is made of the rules in order and then says, for each record, which wins."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any
from zoneinfo import ZoneInfo

from adapters.matching.compiled import CompiledMatcher
from adapters.matching.matcher import ReferenceMatcher
from adapters.matching.regex import re2_search
from benchmarks._rule_data import TENANT
from core.domain.conditions import AllOf, AnyOf, Condition, Leaf, Not
from core.domain.records import Snapshot, normalise
from core.domain.rule_evaluation import UTC, Run, asked_about, compile_condition
from core.domain.rule_leaves import Facts
from core.domain.rules import Rule
from core.errors import PluginUnavailable
from ports.connectors import RuleType

Winners = Callable[[Sequence[Snapshot]], Sequence[int]]


def no_plugins(key: str) -> RuleType:
    raise PluginUnavailable(key)


def sortation(rules: Sequence[Rule]) -> Winners:
    return CompiledMatcher(no_plugins).ruleset(TENANT, 1, lambda: rules).winners


def reference(rules: Sequence[Rule]) -> Winners:
    return ReferenceMatcher(no_plugins).ruleset(TENANT, 1, lambda: rules).winners


def pyahocorasick(rules: Sequence[Rule]) -> Winners:
    """An automaton of a literal of each rule, run over each record; each rule it finds is asked."""
    import ahocorasick

    automaton = ahocorasick.Automaton()
    places: dict[str, list[int]] = {}
    for place, rule in enumerate(rules):
        for word in _words(rule):
            places.setdefault(word, []).append(place)
    for word, some in places.items():
        automaton.add_word(word, tuple(some))
    automaton.make_automaton()
    return _verified(rules, lambda text: {place for _, some in automaton.iter(text) for place in some})


def hyperscan(rules: Sequence[Rule]) -> Winners:
    """All rules in one database; what it cannot express in full (a compound by its literal) is asked where found."""
    import hyperscan as hs

    patterns = [(place, pattern) for place, rule in enumerate(rules) for pattern in _patterns(rule)]
    flags = hs.HS_FLAG_CASELESS | hs.HS_FLAG_SINGLEMATCH | hs.HS_FLAG_UTF8
    database = hs.Database(mode=hs.HS_MODE_BLOCK)
    database.compile(
        expressions=[pattern.encode() for _, pattern in patterns],
        ids=[place for place, _ in patterns],
        elements=len(patterns),
        flags=[flags] * len(patterns),
    )
    compound = {place for place, rule in enumerate(rules) if not isinstance(rule.when, Leaf)}

    def find(text: str) -> set[int]:
        found: set[int] = set()
        database.scan(text.encode(), match_event_handler=lambda place, *_: found.add(place))
        return found

    return _verified(rules, find, compound)


def zen_engine(rules: Sequence[Rule]) -> Winners:
    """One decision table with a row per rule, which collects all that match."""
    import zen

    ends = {"contentType": "application/vnd.gorules.decision"}
    table = {
        "hitPolicy": "collect",
        "inputs": [{"id": "i", "name": "i", "field": ""}],
        "outputs": [{"id": "o", "name": "o", "field": "place"}],
        "rules": [{"_id": str(place), "i": _ZEN.write(rule.when), "o": str(place)} for place, rule in enumerate(rules)],
    }
    nodes = [("in", "inputNode", {}), ("table", "decisionTableNode", table), ("out", "outputNode", {})]
    content = ends | {
        "nodes": [
            {"id": name, "type": kind, "name": name, "position": {"x": 0, "y": 0}, "content": inside}
            for name, kind, inside in nodes
        ],
        "edges": [
            {"id": f"{start}{end}", "sourceId": start, "targetId": end, "type": "edge"}
            for start, end in (("in", "table"), ("table", "out"))
        ],
    }
    decision = zen.ZenEngine().create_decision(json.dumps(content))
    return _matching(rules, lambda seen: [row["place"] for row in decision.evaluate(seen)["result"] or ()])


def rule_engine(rules: Sequence[Rule]) -> Winners:
    import rule_engine as engine

    compiled = [engine.Rule(_RULE_ENGINE.write(rule.when)) for rule in rules]
    return _matching(rules, lambda seen: [place for place, rule in enumerate(compiled) if rule.matches(seen)])


def common_expression_language(rules: Sequence[Rule]) -> Winners:
    import cel

    compiled = [cel.compile(_CEL.write(rule.when)) for rule in rules]

    def match(seen: dict[str, Any]) -> list[int]:
        context = cel.Context(variables=seen)
        return [place for place, program in enumerate(compiled) if program.execute(context)]

    return _matching(rules, match)


def first(rules: Sequence[Rule], matched: Iterable[int]) -> int:
    """The winner among the places of rules that matched, rising: the first trusted one up to `stop`, or untrusted."""
    suggested = -1
    for place in matched:
        rule = rules[place]
        if rule.then.decides:
            if rule.trusted:
                return place
            suggested = place if suggested < 0 else suggested
        if rule.stop:
            break
    return suggested


def _verified(rules: Sequence[Rule], find: Callable[[str], Iterable[int]], asked: set[int] | None = None) -> Winners:
    """Of the rules found for the normalised text those are asked that are in `asked`, by default all."""
    runs: list[Run] = [compile_condition(rule.when, re2_search, no_plugins) for rule in rules]

    def winners(records: Sequence[Snapshot], zone: ZoneInfo = UTC) -> list[int]:
        verdicts = asked_about(records, zone, None)
        places = []
        for position, record in enumerate(records):
            facts = Facts(record, normalise(record.text), normalise(record.counterparty), position, verdicts, zone)
            found = sorted(find(facts.text))
            matched = (p for p in found if (asked is not None and p not in asked) or runs[p](facts) is True)
            places.append(first(rules, matched))
        return places

    return winners


def _matching(rules: Sequence[Rule], match: Callable[[dict[str, Any]], Iterable[int]]) -> Winners:
    def winners(records: Sequence[Snapshot]) -> list[int]:
        return [first(rules, match(_seen(record))) for record in records]

    return winners


def _seen(record: Snapshot) -> dict[str, Any]:
    return {
        "text": normalise(record.text),
        "stored": record.text,
        "amount": float(record.amount or 0),
        "currency": (record.currency or "").lower(),
        "month": record.occurred_at.month,
    }


def _words(rule: Rule) -> Iterable[str]:
    """Literals of which one is in every text that the rule matches: of a regex the merchant's name, its longest run of
    letters that is no alternative."""
    return {_word(leaf) for leaf in _leaves(rule.when) if leaf.field == "text"}


def _word(leaf: Leaf) -> str:
    value = str(leaf.values[0])
    if leaf.op != "regex":
        return normalise(value)
    plain = re.sub(r"\([^)]*\)|\[[^]]*\]|\\.", " ", value)
    return max(re.findall(r"[^\W\d_]+", plain), key=len)


def _patterns(rule: Rule) -> Iterable[str]:
    for leaf in _leaves(rule.when):
        if leaf.field == "text":
            value = str(leaf.values[0])
            literal = re.escape(normalise(value)).replace(r"\ ", " ").replace(r"\&", "&")
            written = {"equals": f"^{literal}$", "starts_with": f"^{literal}", "regex": value}
            yield written.get(leaf.op, literal)


def _leaves(condition: Condition) -> Iterable[Leaf]:
    match condition:
        case AllOf(children=children) | AnyOf(children=children):
            for child in children:
                yield from _leaves(child)
        case Leaf():
            yield condition


@dataclass(frozen=True, kw_only=True)
class Language:
    """How an engine writes the connectives and the leaves that the generated rules have."""

    all: str
    any: str
    negated: str
    contains: str
    starts_with: str
    regex: str
    escapes: bool = True

    def write(self, condition: Condition) -> str:
        match condition:
            case AllOf(children=children):
                return f"({self.all.join(map(self.write, children))})"
            case AnyOf(children=children):
                return f"({self.any.join(map(self.write, children))})"
            case Not(child=child):
                return self.negated.format(self.write(child))
            case Leaf(field="amount"):
                return f"amount < {float(str(condition.values[0]))}"
            case Leaf(field="month"):
                return f"month in [{', '.join(map(str, condition.values))}]"
            case Leaf(field="text", op="regex"):
                return self.regex.format(self._quoted(f"(?i){condition.values[0]}"))
            case Leaf(field=name, op="equals"):
                return f"{name} == {self._quoted(normalise(str(condition.values[0])))}"
            case Leaf(op=op):
                return str(getattr(self, op)).format(self._quoted(normalise(str(condition.values[0]))))
        raise ValueError(f"not among the generated rules: {condition}")

    def _quoted(self, text: str) -> str:
        return json.dumps(text, ensure_ascii=False) if self.escapes else f'"{text}"'


_ZEN = Language(
    all=" and ",
    any=" or ",
    negated="not({})",
    contains="contains(text, {})",
    starts_with="startsWith(text, {})",
    regex="matches(stored, {})",
    escapes=False,
)
_RULE_ENGINE = Language(
    all=" and ",
    any=" or ",
    negated="not ({})",
    contains="{} in text",
    starts_with="text.starts_with({})",
    regex="stored =~~ {}",
)
_CEL = Language(
    all=" && ",
    any=" || ",
    negated="!({})",
    contains="text.contains({})",
    starts_with="text.startsWith({})",
    regex="stored.matches({})",
)

ENGINES: dict[str, Callable[[Sequence[Rule]], Winners]] = {
    "sortation": sortation,
    "reference": reference,
    "hyperscan": hyperscan,
    "pyahocorasick": pyahocorasick,
    "zen-engine": zen_engine,
    "common-expression-language": common_expression_language,
    "rule-engine": rule_engine,
}
