"""The grammar of the text form, and how its tokens are called in messages."""

from __future__ import annotations

from collections.abc import Collection

from core.domain.condition_text import RESERVED

_END = r"(?![\w-])"
DOUBLE_QUOTED = r'"(?:[^"\\]|\\.)*"'
SINGLE_QUOTED = r"'(?:[^']|'')*'"

GRAMMAR = rf"""
?condition: both | both (_OR both)+ -> any_of
?both: one | one (_AND one)+ -> all_of
?one: leaf
    | NOT one -> negation
    | _LPAR condition _RPAR
    | ALL _LPAR condition (_COMMA condition)* _RPAR -> list_of
    | ANY _LPAR condition (_COMMA condition)* _RPAR -> list_of

?leaf: field [NOT] OP value [CASE] -> single
    | field [NOT] IN values [CASE] -> several
    | field [NOT] BETWEEN value _AND value [CASE] -> between
    | key _LPAR _RPAR -> plugin
    | key _LPAR LBRACE members _RBRACE _RPAR -> plugin

field: NAME | ATTRIBUTE
key: NAME | DOUBLE_QUOTED | SINGLE_QUOTED
values: _LPAR value (_COMMA value)* _RPAR | _LBRACKET value (_COMMA value)* _RBRACKET
value: DOUBLE_QUOTED | SINGLE_QUOTED | NAME | RECORD | NUMBER | DATE
    | RECORD SIGN DAYS _DAY -> relative

members: (member (_COMMA member)*)?
member: DOUBLE_QUOTED _COLON json
?json: DOUBLE_QUOTED -> scalar
    | JSON_NUMBER -> scalar
    | JSON_WORD -> scalar
    | LBRACE members _RBRACE -> object
    | _LBRACKET (json (_COMMA json)*)? _RBRACKET -> array

NOT: /not{_END}/i
ALL: /all{_END}/i
ANY: /any{_END}/i
IN: /in{_END}/i
BETWEEN: /between{_END}/i
CASE: /case_sensitive{_END}/i
OP: /==?|!=|<>|<=?|>=?|(?:equals|contains|starts(?:\s+|_)with|ends(?:\s+|_)with|matches|regex){_END}/i
NAME: /(?!(?:{"|".join(RESERVED)}){_END})[^\W\d]\w*(?:-\w+)*/i
ATTRIBUTE.2: /attributes(?:\.(?:[\w-]+|{DOUBLE_QUOTED}|{SINGLE_QUOTED}))+/is
DOUBLE_QUOTED: /{DOUBLE_QUOTED}/s
SINGLE_QUOTED: /{SINGLE_QUOTED}/s
DATE.2: /[0-9]{{4}}-[0-9]{{2}}-[0-9]{{2}}(?!\w)/
NUMBER: /[+-]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:e[+-]?[0-9]+)?(?![\w.])/i
RECORD.2: /record(?!\w|-[^\W\d])/i
SIGN: /[+-]/
DAYS: /[0-9]{{1,9}}(?![\w.])/
JSON_NUMBER: /-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?(?![\w.])/
JSON_WORD: /(?:true|false|null)(?!\w)/
LBRACE: "{{"
_AND: /and{_END}/i
_OR: /or{_END}/i
_DAY: /days?{_END}/i
_LPAR: "("
_RPAR: ")"
_LBRACKET: "["
_RBRACKET: "]"
_RBRACE: "}}"
_COMMA: ","
_COLON: ":"
%ignore /\s+/
"""

_KINDS = {
    "DATE": "a value",
    "OP": "an operator (=, in, contains, matches, <, between, ...)",
    "ALL": "a condition",
    "JSON_NUMBER": "a JSON value",
    "DAYS": "a whole number",
}
"""Tokens that tell what stands at a place, whatever else may stand there."""
_TOKENS = {
    "_AND": "and",
    "_OR": "or",
    "_DAY": "days",
    "SIGN": "+ or -",
    "IN": "in",
    "DOUBLE_QUOTED": 'a key in "quotes"',
    "LBRACE": "a JSON object",
    "_LPAR": "'('",
    "_RPAR": "')'",
    "_LBRACKET": "'['",
    "_RBRACKET": "']'",
    "_RBRACE": "'}'",
    "_COMMA": "','",
    "_COLON": "':'",
    "$END": "the end",
}


def told(tokens: Collection[str]) -> str:
    """What may stand at a place, in words."""
    for token, kind in _KINDS.items():
        if token in tokens:
            return kind
    # lark names no token when a whole condition was read and something that opens nothing follows, such as ')'.
    words = [word for token, word in _TOKENS.items() if token in (tokens or ("_AND", "_OR", "$END"))]
    return words[0] if len(words) == 1 else f"one of: {', '.join(words)}"
