"""What leaves to providers of language models and embeddings: what docs/deciding.md says, and personal details of none
of it, wherever in a tenant they stand."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.integration.api_support import Api
from tests.integration.llm_support import data_of, offered
from tests.stubs.embeddings_server import EmbeddingsStub
from tests.stubs.llm_server import LlmStub

DETAILS = "DE89 3704 0044 0532 0130 00, 4111 1111 1111 1111, ada.lovelace@mail.example, +49 30 9018 2345"
CANARIES = ("3704", "370400440532", "4111", "ada.lovelace", "mail.example", "9018")
STAYS = ("stays-account", "stays-external", "stays-attribute", "stays-file", "stays-tenant", "stays-tag", "stays-rule")
DOC = (Path(__file__).parents[2] / "docs" / "deciding.md").read_text()


@pytest.fixture
def embeddings() -> Iterator[EmbeddingsStub]:
    with EmbeddingsStub() as stub:
        yield stub


@pytest.fixture
def api(make_llm_api: Callable[..., Api], embeddings: EmbeddingsStub) -> Api:
    return make_llm_api(
        embeddings="openai",
        embeddings_model="stub-1",
        embeddings_api_key="any",
        embeddings_base_url=embeddings.base_url,
    )


@pytest.mark.slow
def test_only_what_the_document_names_leaves_and_masked(api: Api, stub: LlmStub, embeddings: EmbeddingsStub) -> None:
    assert api.call("PATCH", "/tenant", {"name": "stays-tenant"}).status_code == 200
    api.post("/categories", {"name": f"Rent to {DETAILS}", "description": f"ask {DETAILS}"}, 201)
    for n in range(20):  # so that categories are compared, and so embedded
        api.post("/categories", {"name": f"Department {n} of {DETAILS}", "description": DETAILS}, 201)
    history = "Date;Description;Payee;Amount;Currency;Category\n"
    for n in (1, 2):
        history += f"2026-01-{n:02};zqx groceries {n} {DETAILS};Shop {DETAILS};-1.00;EUR;food.groceries\n"
    assert api.call("POST", "/imports?filename=stays-file.csv&approved=true", data=history.encode()).status_code == 202
    api.drain()
    record = {
        "text": f"zqx groceries 15 {DETAILS}",
        "counterparty": f"Shop {DETAILS}",
        "account": "stays-account",
        "external_id": "stays-external",
        "attributes": {"note": f"stays-attribute {DETAILS}"},
        "occurred_at": "2026-03-01",
        "amount": "-12.30",
        "currency": "EUR",
    }
    api.post("/records", {"records": [record]}, 202)
    api.drain()
    assert stub.requests, "the model was asked"
    assert embeddings.requests, "texts were embedded"
    sent = json.dumps([stub.requests, embeddings.requests], ensure_ascii=False)
    for canary in (*CANARIES, *STAYS):
        assert canary not in sent, canary
    for request in stub.requests:
        data = data_of(request)
        assert data["examples"], "examples were shown"
        assert named("record") == {name for shown in data["records"] for name in shown} - {"id"}
        assert named("example") == {name for shown in data["examples"] for name in shown}
        assert any("[IBAN], [CARD], [EMAIL], [PHONE]" in path for path in offered(request))
    inputs = [text for request in embeddings.requests for text in request["input"]]
    assert any(text.startswith("department 3 of [IBAN]") for text in inputs), "categories were embedded, too"
    assert {name for request in embeddings.requests for name in request} - {"headers"} == {
        "model",
        "input",
        "dimensions",
        "encoding_format",
    }


def named(what: str) -> set[str]:
    """The fields of it that the document says leave."""
    row = re.search(rf"^\| {what} \| (.*?) \|", DOC, re.MULTILINE)
    assert row is not None, what
    return set(re.findall(r"`(\w+)`", row[1]))
