"""Broken rule types: each is the good one with one small change, and names the check that must catch it."""

from __future__ import annotations

from typing import NamedTuple


class Mutant(NamedTuple):
    """`old` of the good module becomes `new`; `check` is the one that must fail."""

    check: str
    old: str
    new: str


_VERDICT = "verdicts.append(None if record.amount is None else len(earlier) >= self.times)"
_RETURN = "        return verdicts\n"
_PASTS = "        pasts = history.of_party(records)\n"
_SINCE = 'since = date.fromisoformat(params["since"]) if "since" in params else date.min'
_DAYS = "        days = history.days(records)\n"

MUTANTS: dict[str, Mutant] = {
    "a misspelt compile": Mutant("test_manifest_is_complete", "def compile(", "def compiled("),
    "unknown parameters are taken": Mutant(
        "test_schema_describes_the_parameters", '"additionalProperties": False', '"additionalProperties": True'
    ),
    "a default that does not fit": Mutant("test_schema_describes_the_parameters", '"default": TIMES', '"default": 0'),
    "an example that does not compile": Mutant("test_schema_describes_the_parameters", "2026-01-31", "31.01.2026"),
    "another default than the schema's": Mutant(
        "test_defaults_are_those_of_the_schema", 'params.get("times", TIMES)', 'params.get("times", 2)'
    ),
    "an import that prints": Mutant("test_import_is_cheap", "TIMES = 3\n", "TIMES = 3\nprint('hello')\n"),
    "less for at least": Mutant("test_examples_hold", ">= self.times", "> self.times"),
    "bad parameters break it": Mutant("test_bad_parameters_are_rule_invalid", "except ValueError", "except KeyError"),
    "bad parameters without a place": Mutant("test_bad_parameters_are_rule_invalid", "params.since: ", ""),
    "parameters that break it later": Mutant("test_odd_parameters", _SINCE, 'since = params.get("since", date.min)'),
    "missing amounts break it": Mutant(
        "test_verdicts_of_odd_records",
        _VERDICT,
        _VERDICT.replace("None if record.amount is None else", "record.amount < 0 and"),
    ),
    "hostile texts break it": Mutant(
        "test_verdicts_of_odd_records",
        "            earlier = ",
        "            import re; re.compile(record.text or '.')\n            earlier = ",
    ),
    "an empty batch breaks it": Mutant("test_verdicts_of_odd_records", _DAYS, _DAYS + "        min(days)\n"),
    "counts for verdicts": Mutant("test_verdicts_of_odd_records", _VERDICT, "verdicts.append(len(earlier))"),
    "no verdict where it does not match": Mutant(
        "test_verdicts_of_odd_records",
        f"            {_VERDICT}",
        "            if len(earlier) >= self.times:\n                verdicts.append(True)",
    ),
    "counts those of the batch": Mutant(
        "test_batches_change_nothing",
        "earlier = [other for other in past if self.since <= other.day < day]",
        "earlier = [*past, *[r for r in records if r.counterparty == record.counterparty]]",
    ),
    "each text once a batch": Mutant(
        "test_batches_change_nothing",
        _RETURN,
        "        parties = [r.counterparty for r in records]\n"
        "        return [v and parties.index(r.counterparty) == n "
        "for n, (v, r) in enumerate(zip(verdicts, records))]\n",
    ),
    "counts on from batch to batch": Mutant(
        "test_batches_leave_nothing_behind",
        _RETURN,
        "        self.times += 1\n" + _RETURN,
    ),
    "parameters that are used up": Mutant(
        "test_batches_leave_nothing_behind", 'params.get("times", TIMES)', 'params.pop("times", TIMES)'
    ),
    "records that are changed": Mutant(
        "test_batches_leave_nothing_behind",
        "            earlier = ",
        "            record.attributes['seen'] = True\n            earlier = ",
    ),
    "parameters that are kept in the class": Mutant(
        "test_rules_do_not_mix",
        '        return OfFrequent(times=params.get("times", TIMES), since=since)',
        "        OfFrequent.least = params.get('times', TIMES)\n"
        "        OfFrequent.times = property(lambda self: self.least, lambda self, value: None)\n"
        "        return OfFrequent(times=0, since=since)",
    ),
    "the hash of a text": Mutant(
        "test_verdicts_are_the_same_everywhere", ">= self.times)", ">= self.times or hash(record.text) % 5 == 0)"
    ),
    "chance": Mutant(
        "test_verdicts_are_the_same_everywhere",
        ">= self.times)",
        ">= self.times or __import__('random').random() < 0.2)",
    ),
    "a question for each record": Mutant(
        "test_history_is_asked_once", _PASTS, "        pasts = [history.of_party([record])[0] for record in records]\n"
    ),
    "each record with each other": Mutant(
        "test_is_fast",
        "            earlier = ",
        "            sum(other.amount is not None for other in records)\n            earlier = ",
    ),
    "a file of its own": Mutant(
        "test_touches_nothing_else",
        _DAYS,
        "        import os, pathlib\n        path = pathlib.Path.home() / '.frequent'\n"
        "        path.write_text('x'); os.remove(path)\n" + _DAYS,
    ),
}
