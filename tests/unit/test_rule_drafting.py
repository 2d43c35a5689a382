"""A rule out of one decision."""

from __future__ import annotations

import random
import re
from dataclasses import replace
from typing import NoReturn
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.rule_text.parser import LarkRuleText
from core.domain.approvals import group_key
from core.domain.condition_text import condition_to_text
from core.domain.conditions import condition_to_json, parse_condition
from core.domain.records import Record, clean_text
from core.domain.rule_drafting import RuleDraft, draft_rule
from core.domain.rule_evaluation import compile_rules, evaluate
from core.domain.rules import check_name
from core.errors import Invalid
from tests.unit.building import a_record, a_rule, leaf

FOOD = UUID(int=901)


def drafted(*records: Record, torn: bool = False) -> RuleDraft:
    return draft_rule(records[0], records[1:], FOOD, torn=torn)


def written(*records: Record, torn: bool = False) -> str:
    return condition_to_text(drafted(*records, torn=torn).when)


def meets(draft: RuleDraft, record: Record) -> bool:
    def none(*_: object) -> NoReturn:
        raise AssertionError("neither a regex nor a plugin")

    rule = replace(a_rule(leaf("kind", "equals", "x")), when=draft.when)
    return bool(evaluate(compile_rules([rule], none, none), [record])[0].matches)


@pytest.mark.parametrize(
    ("texts", "expected"),
    [
        (["NETFLIX.COM 866-579"], 'text contains "netflix.com" and amount < 0'),
        (
            ["Shop 12 Lisbon ref 9", "Shop 77 Lisbon ref 10"],
            'text contains "shop" and text contains "lisbon ref" and amount < 0',
        ),
        (["TESCO STORES"], 'text = "tesco stores" and amount < 0'),
        (["12 34"], 'text = "12 34" and amount < 0'),
        (["a1 5 bc"], 'text = "a1 5 bc" and amount < 0'),
    ],
    ids=str,
)
def test_without_a_counterparty_the_words_without_digits_make_the_rule(texts: list[str], expected: str) -> None:
    records = [a_record(text) for text in texts]
    assert written(*records) == expected
    assert all(meets(drafted(*records), record) for record in records)


def test_a_counterparty_makes_the_rule_and_its_words_where_it_is_torn() -> None:
    record = a_record("Invoice 778 cloud hosting", "12.00", counterparty="Amazon")
    assert written(record) == 'counterparty = "amazon" and amount > 0'
    assert written(record, torn=True) == (
        'counterparty = "amazon" and text contains "invoice" and text contains "cloud hosting" and amount > 0'
    )
    assert drafted(record).name == "“Amazon”, money in"


def test_the_sign_of_an_amount_is_asked_for_where_all_have_one() -> None:
    assert written(a_record("fee", None)) == 'text = "fee"'
    assert written(a_record("fee", "0")) == 'text = "fee"'
    assert written(a_record("fee", "-1"), a_record("fee", "1")) == 'text = "fee"'


def test_no_words_make_no_rule() -> None:
    digits = [a_record("1 2", "1"), a_record("3 4", "1")]
    with pytest.raises(Invalid, match="write one"):
        drafted(*digits)


def test_a_page_of_text_makes_a_rule_that_a_person_can_read() -> None:
    page = " ".join(f"word{'abcdefghij'[n % 10]} {n}" if n % 30 == 0 else "word" for n in range(700))
    draft = drafted(a_record(page))
    assert len(condition_to_text(draft.when)) < 400
    assert meets(draft, a_record(page))
    assert check_name(draft.name) == draft.name


WORDS = st.text(st.characters(codec="utf-8", exclude_categories=("Cs", "Cc")), min_size=1, max_size=60)


@given(text=WORDS, counterparty=st.one_of(st.just(""), WORDS), torn=st.booleans(), seed=st.integers(0, 99))
def test_a_rule_covers_the_whole_group_and_can_be_written(text: str, counterparty: str, torn: bool, seed: int) -> None:
    """Whatever digits the others have in place of the record's."""
    chance = random.Random(seed)

    def other(value: str) -> str:
        return clean_text(re.sub(r"\d", lambda _: str(chance.randrange(10)), value))

    first = a_record(clean_text(text) or "x", counterparty=clean_text(counterparty))
    group = [replace(first, text=other(first.text), counterparty=other(first.counterparty)) for _ in range(3)]
    group = [record for record in group if group_key(record) == group_key(first)]
    try:
        draft = draft_rule(first, group, FOOD, torn=torn)
    except Invalid:
        assert group, "a record alone has a rule, unless it is too long"
        return
    assert all(meets(draft, record) for record in [first, *group])
    assert parse_condition(condition_to_json(draft.when)) == draft.when
    assert LarkRuleText().parse(condition_to_text(draft.when)) == draft.when
    check_name(draft.name)
