"""What the regex port promises, held by RE2; and that the literals a pattern is said to require are really required."""

from __future__ import annotations

from time import process_time

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from adapters.matching.regex import re2_search
from core.domain.regex_literals import MIN_LITERAL, literal_options
from core.errors import RuleInvalid

PIECES = st.sampled_from(
    [
        "abc",
        "ABC",
        "ss",
        "ß",
        "ſ",
        "k",
        "K",
        "é",
        "e\u0301",
        "i",
        "İ",
        "fi",
        "ﬁ",
        "&",
        "-",
        " ",
        "'",
        "?",
        "\ud800",
        "1",
        "\n",
    ]
)
USUAL_ATOMS = [".", r"\.", r"\?", r"\b", r"\B", "^", "$", r"\w", r"\d", r"\s", r"\-", "[ab]", "[^k]", r"[\]x]", "]"]
ODD_ATOMS = ["[[:alpha:]]", r"\pL", r"\Qa.b\E", "(?i)", "(?-i)", "(?P<n>abc)", r"\x41", "{", "}", r"\1", "(?=a)", "**"]
ATOMS = PIECES | st.sampled_from(USUAL_ATOMS) | st.sampled_from(ODD_ATOMS)
PATTERNS = st.recursive(
    ATOMS,
    lambda inner: st.one_of(
        st.lists(inner, max_size=4).map("".join),
        st.lists(inner, max_size=3).map(lambda parts: f"(?:{'|'.join(parts)})"),
        st.lists(inner, max_size=3).map(lambda parts: f"({'|'.join(parts)})"),
        st.tuples(inner, st.sampled_from(["?", "*", "+", "??", "*?", "{2}", "{0,2}", "{1,}"])).map("".join),
    ),
    max_leaves=10,
)
TEXTS = st.lists(PIECES | st.sampled_from(["a", "b", "c", ".", "x"]), max_size=12).map("".join)


@pytest.mark.parametrize(
    ("pattern", "says"),
    [
        ("(?=a)", "look-ahead and look-behind are not supported ((?=)"),
        ("(?<!a)b", "look-ahead and look-behind are not supported ((?<!)"),
        (r"(a)\1", r"back-references are not supported (\1)"),
        ("(a", "missing ): (a"),
        ("a)", "unexpected ): a)"),
        ("[a", "missing ]: [a"),
        ("*a", "no argument for repetition operator: *"),
        (r"\pX", "invalid character class range"),
        ("a{1001}", "invalid repetition size"),
        (r"(\pL{1,50}){1,20}", "the regex needs too much memory"),
        ("\ud800", "half a surrogate pair"),
    ],
)
def test_what_can_not_be_served_is_refused_with_one_clear_line(pattern: str, says: str) -> None:
    with pytest.raises(RuleInvalid) as refused:
        re2_search(pattern)
    message = str(refused.value)
    assert message.startswith("the regex ")
    assert says in message
    assert "\n" not in message


@pytest.mark.parametrize(
    ("pattern", "text", "found"),
    [
        ("tesco", "TESCO STORES", True),
        ("É", "café", True),
        (r"\bAUDI\b", "AUDIBLE", False),
        (r"\bAUDI\b", "audi bank", True),
        ("^tesco$", "TESCO STORES", False),
        ("a.c", "a😀c", True),
        ("fi", "ﬁ", False),
        ("", "anything", True),
    ],
)
def test_a_search_minds_no_case_unless_it_is_told_to(pattern: str, text: str, found: bool) -> None:
    assert re2_search(pattern, False)(text) is found


def test_a_case_sensitive_search_minds_case() -> None:
    assert re2_search("Aral", True)("Aral Station")
    assert not re2_search("Aral", True)("ARAL STATION")


@pytest.mark.parametrize("pattern", ["(a+)+$", "(a|aa)+$", "(.*)*b", "([a-z]+)*=", "(x+x+)+y"])
def test_no_pattern_is_slow(pattern: str) -> None:
    search = re2_search(pattern)
    start = process_time()
    search("a" * 4_000 + "!")
    search("x" * 4_000)
    assert process_time() - start < 1


@given(TEXTS)
def test_a_search_never_raises_whatever_the_text(text: str) -> None:
    for pattern in (r"\bk\b", "[^a]+$", "(?:ss|ß)+"):
        assert re2_search(pattern)(text) in (True, False)


@pytest.mark.parametrize(
    ("pattern", "literals"),
    [
        ("tesco", {"tesco"}),
        ("(?:TESCO|Asda) stores?", {"tesco store", "tesco stores", "asda store", "asda stores"}),
        (r"\bh ?& ?m\b", {"h&m", "h &m", "h& m", "h & m"}),
        (r"(?:^|[^\pL\pN])caf[eé] nero", {" nero"}),
        (r"ab+cde", {"bcde"}),
        (r"(?:abc)+", {"abc"}),
        ("(?:aaa|bbb|ccc|ddd|eee|fff|ggg|hhh|iii)(?:xxxx|yyyy)?", {f"{char * 3}" for char in "abcdefghi"}),
        (r"abc*", None),
        (r"abc{0,2}d", None),
        ("abc|d", None),
        (r"\w+", None),
        ("(?i)abc", None),
        (r"\Qabc\E", None),
        ("münchen", {"nchen"}),
    ],
)
def test_required_literals_by_example(pattern: str, literals: set[str] | None) -> None:
    """The set whose shortest literal is longest."""
    assert max(literal_options(pattern), key=lambda words: min(map(len, words)), default=None) == literals


@given(PATTERNS, TEXTS, st.booleans())
@example("(?:a|)bc", "bc", False)
@example(r"a\?bc", "a\ud800bc", False)
@example("kss", "\u212aſs", False)
@settings(max_examples=1_000)
def test_a_text_that_matches_has_a_required_literal(pattern: str, text: str, sensitive: bool) -> None:
    options = literal_options(pattern)
    assert all(len(literal) >= MIN_LITERAL for literals in options for literal in literals)
    try:
        found = re2_search(pattern, sensitive)(text)
    except RuleInvalid:
        return
    if found:
        assert all(any(literal in text.casefold() for literal in literals) for literals in options)
