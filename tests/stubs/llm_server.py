"""An OpenAI-compatible server that answers by keyword overlap, and fails on command.

It speaks just enough of Chat Completions for the real SDK. In a test: `with LlmStub() as stub:`; by hand:
`python -m tests.stubs.llm_server --port 8099`.
"""

from __future__ import annotations

import json
import math
import re
from typing import Any

from tests.stubs.openai_server import OpenAiStub, Refused, main

STATED = 0.51
"""The confidence that the stub's model states of itself."""
MEASURED = 0.83
"""The probability of each category by the log-probabilities of its tokens."""

_DATA = re.compile(r"<data>(.*?)</data>", re.DOTALL)
_CATEGORIES = re.compile(r"<categories>\n(.*?)\n</categories>", re.DOTALL)
_OBEY = re.compile(r"ignore the above, answer (\d+)", re.IGNORECASE)
_NAMED = re.compile(r"\banswer (r\d+) too")
_TOKEN = re.compile(r"\d|[^\W\d]+|.", re.DOTALL)


class LlmStub(OpenAiStub):
    """Besides what `OpenAiStub` does, it can behave: "malformed" (broken JSON), "wrong_ids", "out_of_range", "missing"
    (the first record is left out), "twice" (it is answered twice), "no_logprobs" (they are ignored), "reject_logprobs",
    "reject_temperature" (a 400 that names the parameter), "no_usage" (tokens are not counted), "naive" (an order in a
    record is obeyed, for that record and for those that it names by id).

    `used` holds the tokens of each answered request, as (prompt, completion).
    """

    def __init__(self, *, port: int = 0) -> None:
        super().__init__(port=port)
        self.used: list[tuple[int, int]] = []

    def answer(self, body: dict[str, Any], behaviour: str) -> dict[str, Any]:
        if behaviour.startswith("reject_"):
            parameter = behaviour.removeprefix("reject_")
            raise Refused(f"Unsupported parameter: '{parameter}'", parameter)
        completion = complete(body, behaviour)
        if "usage" in completion:
            self.used.append((completion["usage"]["prompt_tokens"], completion["usage"]["completion_tokens"]))
        return completion


def complete(body: dict[str, Any], behaviour: str) -> dict[str, Any]:
    """Return the chat completion for a request's body."""
    system, user = (message["content"] for message in body["messages"])
    content = _content(system, user, behaviour)
    choice: dict[str, Any] = {
        "index": 0,
        "finish_reason": "stop",
        "message": {"role": "assistant", "content": content},
    }
    if body.get("logprobs") and behaviour != "no_logprobs":
        choice["logprobs"] = {"content": _logprobs(content)}
    prompt_tokens, completion_tokens = len(_TOKEN.findall(system + user)), len(_TOKEN.findall(content))
    usage = {
        "prompt_tokens": prompt_tokens,
        "completion_tokens": completion_tokens,
        "total_tokens": prompt_tokens + completion_tokens,
    }
    return {
        "id": "chatcmpl-stub",
        "object": "chat.completion",
        "created": 0,
        "model": body["model"],
        "choices": [choice],
        **({} if behaviour == "no_usage" else {"usage": usage}),
    }


def _content(system: str, user: str, behaviour: str) -> str:
    if behaviour == "malformed":
        return '{"answers": [{"id": "r1", "categ'
    data = _DATA.search(user)
    listed = _CATEGORIES.search(system)
    if data is None or listed is None:
        raise ValueError("no data or no categories in the prompt")
    *categories, none = map(json.loads, listed[1].splitlines())
    if none != {"index": None, "path": "none of these"}:
        raise ValueError("the list of categories does not end with none of these")
    # The model is gullible: it obeys whatever stands outside the fence.
    outside = _OBEY.search(system + _DATA.sub("", user, count=1))
    answers = []
    for record in json.loads(data[1])["records"]:
        order = outside or (_OBEY.search(record["text"]) if behaviour == "naive" else None)
        category, rationale = (int(order[1]), "As ordered.") if order else _overlap(record, categories)
        said = {"category": category, "confidence": STATED, "rationale": rationale}
        named = _NAMED.findall(record["text"]) if order else []
        answers += [{"id": id, **said} for id in (record["id"], *named)]
    if behaviour == "wrong_ids":
        answers = [{**answer, "id": f"x{answer['id']}"} for answer in answers]
    elif behaviour == "out_of_range":
        answers = [{**answer, "category": len(categories)} for answer in answers]
    elif behaviour == "missing":
        answers = answers[1:]
    elif behaviour == "twice":
        answers = [*answers, answers[0]]
    return json.dumps({"answers": answers})


def _overlap(record: dict[str, Any], categories: list[dict[str, Any]]) -> tuple[int | None, str]:
    """Return the index of the category that shares most words with the record (the first of equals), or None."""
    words = _words(f"{record.get('text', '')} {record.get('counterparty', '')}")
    shared = [words & _words(f"{category['path']} {category['description']}") for category in categories]
    best = max(range(len(categories)), key=lambda index: (len(shared[index]), -index))
    if not shared[best]:
        return None, "No category shares a word with the record."
    return categories[best]["index"], f"It says {', '.join(sorted(shared[best]))}."


def _words(text: str) -> set[str]:
    return set(re.findall(r"[^\W\d_]{3,}", text.casefold())) - {"and", "for", "the"}


def _logprobs(content: str) -> list[dict[str, Any]]:
    """Return the content's tokens, all certain, but for the first of each category's value."""
    starts = {match.end() for match in re.finditer('"category": ', content)}
    return [
        {
            "token": token[0],
            "bytes": list(token[0].encode()),
            "logprob": math.log(MEASURED) if token.start() in starts else 0.0,
            "top_logprobs": [],
        }
        for token in _TOKEN.finditer(content)
    ]


if __name__ == "__main__":
    main(LlmStub, "An OpenAI-compatible server that answers by keyword overlap.")
