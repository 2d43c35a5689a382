"""Rules: the order in which they are asked, and what an action may be."""

from __future__ import annotations

from datetime import timedelta
from random import Random
from typing import Any
from uuid import UUID

import pytest

from core.domain.rules import MAX_TAGS, Action, RuleStage, action_to_json, check_name, order_key, parse_action
from core.errors import RuleInvalid
from tests.unit.building import START, a_rule, leaf

FOOD, RENT = UUID(int=10), UUID(int=11)
KNOWN = {"food.groceries": FOOD, "rent": RENT}
SHORT, LONG = leaf("text", "contains", "ab"), leaf("text", "contains", "abcdef")


def test_rules_are_asked_by_stage_priority_specificity_age_and_id() -> None:
    expected = [
        a_rule(SHORT, 90, stage=RuleStage.PRE, priority=900),
        a_rule(SHORT, 80, priority=1),
        a_rule({"all": [SHORT, SHORT]}, 70),
        a_rule(LONG, 60, created_at=START + timedelta(days=1)),
        a_rule(SHORT, 50),
        a_rule(SHORT, 51),
        a_rule(SHORT, 40, created_at=START + timedelta(seconds=1)),
        a_rule({"not": LONG}, 39),
        a_rule(LONG, 30, stage=RuleStage.POST, priority=-5),
    ]
    shuffled = list(expected)
    Random(4).shuffle(shuffled)
    assert sorted(shuffled, key=order_key) == expected


@pytest.mark.parametrize(
    ("value", "action"),
    [
        ({"category": "food.groceries"}, Action(category_id=FOOD)),
        ({"category": " Rent "}, Action(category_id=RENT)),
        ({"category": str(FOOD)}, Action(category_id=FOOD)),
        ({"category": FOOD, "review": True}, Action(category_id=FOOD, review=True)),
        ({"skip": True}, Action(skip=True)),
        ({"tags": ["a", "b", " a "]}, Action(tags=("a", "b"))),
        ({"fields": {"vat": "19 %"}}, Action(fields={"vat": "19 %"})),
    ],
)
def test_an_action_is_read_and_comes_back_from_its_json(value: Any, action: Action) -> None:
    parsed = parse_action(value, KNOWN)
    assert parsed == action
    assert parse_action(action_to_json(parsed), KNOWN) == action
    assert parse_action(action_to_json(parsed)) == action


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ("food", "then: an action is a JSON object"),
        ({}, "then: an action does something"),
        ({"categroy": "rent"}, "then: unexpected key 'categroy'"),
        ({"category": "nowhere"}, "then.category: there is no category 'nowhere'"),
        ({"category": str(UUID(int=99))}, "then.category: there is no category"),
        ({"category": 7}, "then.category: the id or key"),
        ({"category": "rent", "skip": True}, "then.skip: a record that is skipped"),
        ({"review": True, "skip": True}, "then.skip: a record that is skipped"),
        ({"skip": "yes"}, "then.skip: true or false"),
        ({"tags": "a"}, "then.tags: a list"),
        ({"tags": ["a", " "]}, "then.tags[1]: a text of 1 to"),
        ({"tags": ["a\x00"]}, "then.tags[0]: has a NUL"),
        ({"tags": ["a"] * (MAX_TAGS + 1)}, "then.tags: a list of at most"),
        ({"fields": {"": "x"}}, "then.fields (a name): a text"),
        ({"fields": {"vat": 19}}, "then.fields.vat: a text"),
        ({"fields": []}, "then.fields: an object"),
    ],
)
def test_what_is_wrong_with_an_action_is_said_with_its_place(value: Any, message: str) -> None:
    with pytest.raises(RuleInvalid) as refused:
        parse_action(value, KNOWN)
    assert str(refused.value).startswith(message)


def test_tags_and_fields_alone_do_not_decide() -> None:
    assert not Action(tags=("a",), fields={"b": "c"}).decides
    assert Action(category_id=FOOD).decides
    assert Action(review=True).decides
    assert Action(skip=True).decides


def test_a_name_is_cleaned_and_not_empty() -> None:
    assert check_name("  Corner \n shop ") == "Corner shop"
    for name in (" ", "x" * 201):
        with pytest.raises(RuleInvalid, match="name: a text of 1 to"):
            check_name(name)
