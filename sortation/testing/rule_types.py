"""The conformance suite of rule types."""

from __future__ import annotations

import copy
import gc
import json
import os
import pkgutil
import random
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar

from jsonschema import Draft202012Validator

from core.domain.plugins import RuleTypeManifest
from core.domain.rule_history import NoHistory
from core.errors import RuleInvalid
from ports.connectors import CompiledRule
from sortation.testing.rule_records import ODD_TEXTS, SampleHistory, SampleRecord, many, odd, ordinary, verdicts_of
from sortation.testing.suite import Suite, check_fits, check_told_values, expect, fail, skip
from sortation.testing.watching import watched

Verdicts = list[bool | None]
_MANY = 10_000
_ELSEWHERE = """
import json, sys
sys.path[:] = {path!r}
from sortation.testing.rule_records import verdicts_of
print(json.dumps(verdicts_of({factory!r}, {params!r})))
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Example:
    """What a rule with these parameters says of a record, of a tenant with that `past`."""

    record: SampleRecord
    verdict: bool | None
    params: Mapping[str, Any]
    past: tuple[SampleRecord, ...] = ()


class RuleTypeConformance(Suite):
    """Subclass it in a test module, as `class TestMine(RuleTypeConformance)`, and say what your rule type is:
    `plugin`, and `examples` of what it says of records, one of which it matches. Each check is a test of its own."""

    examples: tuple[Example, ...] = ()
    params: tuple[Mapping[str, Any], ...] = ()
    """Further parameters that it serves; those of `examples` count, too."""
    bad_params: tuple[Mapping[str, Any], ...] = ()
    """Parameters that the schema allows, and that it can't serve."""
    evaluate_seconds: ClassVar[float] = 10.0
    """CPU time for 10,000 records."""

    @cached_property
    def manifest(self) -> RuleTypeManifest:
        return self.offered(RuleTypeManifest)

    @cached_property
    def records(self) -> list[SampleRecord]:
        """What it is asked about in most checks."""
        own = [record for example in self.examples for record in (example.record, *example.past)]
        return [*ordinary(), *odd(), *own]

    @cached_property
    def _history(self) -> SampleHistory:
        return SampleHistory(self.records)

    def compiled(self, params: Mapping[str, Any]) -> CompiledRule:
        """The rule, compiled as the host does it: with its own copy of the parameters."""
        rule: CompiledRule = pkgutil.resolve_name(self.manifest.factory)().compile(copy.deepcopy(dict(params)))
        return rule

    def asked(self, rule: CompiledRule, records: Sequence[SampleRecord]) -> Verdicts:
        """What it says, checked as the host does."""
        verdicts = rule.evaluate(records, self._history)
        expect(isinstance(verdicts, Sequence), f"evaluate gives {type(verdicts).__name__}, no list")
        expect(len(verdicts) == len(records), f"{len(verdicts)} verdicts on {len(records)} records")
        odd_ones = [verdict for verdict in verdicts if not (verdict is None or isinstance(verdict, bool))]
        expect(not odd_ones, f"{odd_ones[:1]!r} is none of True, False and None")
        return list(verdicts)

    def served(self) -> list[Mapping[str, Any]]:
        """Every parameters that it must serve: those of the suite, and those that its schema tells."""
        schema = self.manifest.params_schema
        told: list[Mapping[str, Any]] = [*schema.get("examples", ()), *([{}] if _fits(schema, {}) else [])]
        for name, part in schema.get("properties", {}).items():
            values = [
                *([part["default"]] if "default" in part else []),
                *part.get("examples", ()),
                *part.get("enum", ()),
            ]
            told += [params for value in values if _fits(schema, params := {**self._base, name: value})]
        given = [*self.params, *(example.params for example in self.examples), *told]
        return [params for place, params in enumerate(given) if params not in given[:place]]

    @property
    def _base(self) -> Mapping[str, Any]:
        return {} if _fits(self.manifest.params_schema, {}) else next((e.params for e in self.examples), {})

    def test_manifest_is_complete(self) -> None:
        """The host would load the plugin; its factory needs no arguments and makes what compiles; the suite has an
        example of what matches and one of what does not."""
        made = pkgutil.resolve_name(self.manifest.factory)()
        expect(callable(getattr(made, "compile", None)), "the rule type has no compile")
        docs = self.manifest.docs_url
        expect(not docs or docs.startswith("https://"), f"docs_url {docs!r} is no https:// address")
        verdicts = {example.verdict for example in self.examples}
        expect(
            {True, False} <= verdicts, "the suite needs `examples` of a record that matches and of one that does not"
        )

    def test_schema_describes_the_parameters(self) -> None:
        """Each parameter says what it is for; what the schema tells as defaults and examples fits it and compiles; and
        it allows no parameters that it does not tell of."""
        schema = self.manifest.params_schema
        check_told_values(schema)
        for params in (*self.params, *self.bad_params, *(example.params for example in self.examples)):
            check_fits(schema, dict(params), f"{params}")
        expect(
            not _fits(schema, {**self._base, "of_the_kit": 1}),
            'the schema allows parameters that nobody knows: say "additionalProperties": false',
        )
        for params in self.served():
            try:
                self.compiled(params)
            except Exception as error:
                raise AssertionError(f"{params}: {type(error).__name__}: {error}") from error

    def test_defaults_are_those_of_the_schema(self) -> None:
        """A parameter that is left out is as its `default` in the schema."""
        schema = self.manifest.params_schema
        defaults = {name: part["default"] for name, part in schema.get("properties", {}).items() if "default" in part}
        if not defaults:
            skip("the schema tells no defaults")
        given = [params for params in self.served() if not defaults.keys() <= params.keys()]
        for params in given:
            without, with_them = self.compiled(params), self.compiled({**defaults, **params})
            same = self.asked(without, self.records) == self.asked(with_them, self.records)
            expect(same, f"{params} is something else than { ({**defaults, **params}) }")

    def test_import_is_cheap(self) -> None:
        """Importing the plugin takes little time, prints nothing and starts no threads."""
        entry, factory = self.plugin.partition(":")[0], self.manifest.factory.partition(":")[0]
        self.check_imports({entry: self.import_seconds} | ({} if factory == entry else {factory: self.factory_seconds}))

    def test_examples_hold(self) -> None:
        """Each example has the verdict that its author says."""
        expect(self.examples, "the suite has no `examples`")
        for number, example in enumerate(self.examples, start=1):
            history = SampleHistory([example.record, *example.past])
            (verdict,) = self.compiled(example.params).evaluate([example.record], history)
            expect(verdict is example.verdict, f"example {number}: {verdict}, not {example.verdict}: {example.record}")

    def test_bad_parameters_are_rule_invalid(self) -> None:
        """Parameters that it can't serve are refused when they are compiled, by `RuleInvalid` that begins with their
        place (`params.holidays: ...`)."""
        for params in self.bad_params:
            try:
                self.compiled(params)
            except RuleInvalid as error:
                expect(str(error).startswith("params"), f"{params}: the error names no place: {error}")
            except Exception as error:
                raise AssertionError(f"{params}: {type(error).__name__} where RuleInvalid is meant: {error}") from error
            else:
                fail(f"{params} compile as if nothing were wrong with them")

    def test_odd_parameters(self) -> None:
        """Whatever the schema allows compiles and judges any record, or is `RuleInvalid`."""
        records = self.records[::5]
        for params in self._odd_params():
            try:
                rule = self.compiled(params)
            except RuleInvalid:
                continue
            except Exception as error:
                raise AssertionError(f"{params!r:.200}: {type(error).__name__} is no RuleInvalid: {error}") from error
            try:
                self.asked(rule, records)
            except Exception as error:
                raise AssertionError(f"{params!r:.200}: evaluating raises {type(error).__name__}: {error}") from error

    def test_verdicts_of_odd_records(self) -> None:
        """Any record that can be stored gets True, False or None: whatever its text, amount, day or attributes; also by
        itself, in an empty batch, and where there is no history."""
        for params in self.served():
            rule = self.compiled(params)
            for records in ([], *([record] for record in odd()), list(odd())):
                try:
                    self.asked(rule, records)
                    rule.evaluate(records, NoHistory())
                except AssertionError:
                    raise
                except Exception as error:
                    what = records[0] if len(records) == 1 else f"{len(records)} records"
                    raise AssertionError(f"{params}, {what}: {type(error).__name__}: {error}") from error

    def test_batches_change_nothing(self) -> None:
        """A record's verdict is the same alone, among others, and in any order."""
        for params in self.served():
            rule = self.compiled(params)
            together = self.asked(rule, self.records)
            alone = [verdict for record in self.records for verdict in self.asked(rule, [record])]
            expect(alone == together, _differing(params, "alone", self.records, together, alone))
            shuffled = list(enumerate(self.records))
            random.Random(5).shuffle(shuffled)  # noqa: S311 - the same each time
            verdicts = self.asked(rule, [record for _, record in shuffled])
            again = [verdict for _, verdict in sorted(zip((n for n, _ in shuffled), verdicts, strict=True))]
            expect(again == together, _differing(params, "in another order", self.records, together, again))

    def test_batches_leave_nothing_behind(self) -> None:
        """What was judged before changes no verdict; records and parameters stay as they are."""
        for params in self.served():
            given, before = copy.deepcopy(dict(params)), repr(self.records)
            rule: CompiledRule = pkgutil.resolve_name(self.manifest.factory)().compile(given)
            fresh = self.asked(self.compiled(params), self.records)
            self.asked(rule, self.records[::-1])
            self.asked(rule, many(50))
            later = self.asked(rule, self.records)
            expect(later == fresh, _differing(params, "after other batches", self.records, fresh, later))
            expect(repr(self.records) == before, f"{params}: evaluating changes the records")
            expect(given == params, f"{params}: the parameters are changed to {given}")

    def test_rules_do_not_mix(self) -> None:
        """Two rules with different parameters say what each says alone: nothing is kept in modules or classes."""
        served = self.served()
        if len(served) < 2:
            skip("there is only one set of parameters: give others by `params`")
        for params, others in zip(served, [*served[1:], served[0]], strict=True):
            rule = self.compiled(params)
            before = self.asked(rule, self.records)
            self.asked(self.compiled(others), self.records)
            after = self.asked(rule, self.records)
            expect(after == before, _differing(params, f"after {others}", self.records, before, after))

    def test_verdicts_are_the_same_everywhere(self) -> None:
        """Every process says the same, and says it again: no chance, no hash of a text, no clock."""
        served = self.served()
        factory = self.manifest.factory
        here = verdicts_of(factory, served)
        expect(verdicts_of(factory, served) == here, "asked again, it says something else")
        for seed in ("1", "2"):
            code = _ELSEWHERE.format(path=[os.path.abspath(p) for p in sys.path], factory=factory, params=served)
            done = subprocess.run(  # noqa: S603 - the author's own module
                [sys.executable, "-c", code],
                capture_output=True,
                text=True,
                timeout=120,
                check=False,
                env={**os.environ, "PYTHONHASHSEED": seed},
            )
            expect(not done.returncode, f"another process fails: {done.stderr[-1_000:]}")
            expect(json.loads(done.stdout) == here, "another process says something else")

    def test_history_is_asked_once(self) -> None:
        """Of each batch it asks each question at most once: every one is a query, and a batch has thousands."""
        for params in self.served():
            rule = self.compiled(params)
            history = SampleHistory(self.records)
            rule.evaluate(self.records, history)
            twice = {str(question) for question in history.asked if history.asked.count(question) > 1}
            expect(not twice, f"{params}: of one batch it asks {', '.join(sorted(twice))} more than once")

    def test_is_fast(self) -> None:
        """10,000 records take a few seconds at most, with the first of the suite's parameters."""
        records = many(_MANY)
        history = SampleHistory(records)
        for params in self.served()[:1]:
            rule = self.compiled(params)
            gc.collect()
            gc.freeze()  # what others left in this process is not the rule type's to look through
            start = time.process_time()
            rule.evaluate(records, history)
            took = time.process_time() - start
            gc.unfreeze()
            expect(took <= self.evaluate_seconds, f"{params}: {took:.1f} s, beyond {self.evaluate_seconds}")

    def test_touches_nothing_else(self) -> None:
        """It writes no files, opens no sockets and starts no processes."""
        for params in self.served():
            for again in (False, True):  # the first time, so that what is imported late is imported
                with watched() as seen:
                    self.asked(self.compiled(params), self.records)
                if again and seen:
                    fail("; ".join(dict.fromkeys(seen)))

    def _odd_params(self) -> Iterator[Mapping[str, Any]]:
        schema = self.manifest.params_schema
        for name, part in schema.get("properties", {}).items():
            for value in _odd_values(part):
                params = {**self._base, name: value}
                if _fits(schema, params):
                    yield params


def _odd_values(part: Mapping[str, Any]) -> Iterator[Any]:
    numbers = [part[word] for word in ("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum") if word in part]
    yield from (*numbers, 0, -1, 1, 2, 0.5, 1e-300, 1e300, 10**30, -(10**30), True, False, None)
    texts = (*ODD_TEXTS, "(", "[a-", "*", "\\", "9999-99-99", "x" * 119)
    yield from texts
    yield from ([], {}, [None], [[]], list(texts), [*range(50)], {"of_the_kit": 1})
    yield from ([text] for text in texts)
    yield from part.get("enum", ())


def _fits(schema: Mapping[str, Any], value: Any) -> bool:
    return Draft202012Validator(schema).is_valid(value)


def _differing(
    params: Mapping[str, Any], when: str, records: Sequence[SampleRecord], wanted: Verdicts, got: Verdicts
) -> str:
    differing = [
        f"{one} became {other} for {record}"
        for record, one, other in zip(records, wanted, got, strict=True)
        if one is not other
    ]
    return f"{params}: {when}, {len(differing)} verdicts are others: {differing[0] if differing else ''}"
