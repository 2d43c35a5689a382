"""The console's pages of receipts: files that people bring, what they say, and the records that they are of."""

from __future__ import annotations

import io
import re
from collections.abc import Callable
from typing import Any
from uuid import uuid4

import pytest
from werkzeug.test import TestResponse

from core.domain.permissions import Role
from entrypoints.api.app import create_app
from entrypoints.api.receipts import CONTENT_POLICY
from entrypoints.console.guard import TOKEN_HEADER
from entrypoints.container import Container
from tests.integration.api_support import Api, new_tenant
from tests.integration.console_support import HOSTILE, IMAGE, browser_of, is_harmless, send, version_on
from tests.integration.test_console_records import bring
from tests.integration.test_console_sign_in import ORIGIN, Browser
from tests.receipt_files import HTML, PNG, SVG, a_mail, a_pdf

pytestmark = pytest.mark.slow

MOST = 50_000
COFFEE = {"text": "CORNER COFFEE BERLIN", "occurred_at": "2026-03-03", "amount": "-12.99", "currency": "EUR"}
SAID = {"amount": "12.99", "currency": "EUR", "day": "2026-03-02", "merchant": "Corner Coffee"}
ACTS = ("said", "link", "unlink", "reject", "delete")
FORMS = (
    "Accept",
    "It is this one",
    "It is of this record",
    "Save what it says",
    "Delete this",
    "Find another",
    "Find its record",
    'id="file"',
)
ODD_NAME = f"{IMAGE}<script>alert(1).png"
"""No upload has a name with a slash: what stands before one is left out."""


@pytest.fixture
def api(make_container: Callable[..., Container]) -> Api:
    container = make_container(
        embeddings="off", public_url=ORIGIN, rule_proposals="off", max_receipt_bytes=MOST, max_upload_bytes=200_000
    )
    return new_tenant(container, create_app(container).test_client())


@pytest.fixture
def reviewer(api: Api) -> Browser:
    return browser_of(api, Role.REVIEWER)


def keep(api: Api, content: bytes = PNG, name: str = "receipt.png", **said: str) -> str:
    """A receipt's id, once it is read."""
    form: dict[str, Any] = {"file": (io.BytesIO(content), name), **said}
    answer = api.call("POST", "/receipts", data=form, content_type="multipart/form-data")
    assert answer.status_code == 201, answer.text
    api.drain()
    return str(answer.json["id"])


def named(api: Api, content: bytes, name: str) -> str:
    """One with a name that no form would send."""
    query = {"filename": name}
    answer = api.call("POST", "/receipts", data=content, content_type="image/png", query_string=query)
    assert answer.status_code == 201, answer.text
    return str(answer.json["id"])


def upload(browser: Browser, content: bytes, name: str = "receipt.png", to: str = "/receipts") -> TestResponse:
    """As the form sends it."""
    form = {"form_token": browser.token("/account"), "file": (io.BytesIO(content), name)}
    return browser.client.post(to, data=form, base_url=ORIGIN, content_type="multipart/form-data")


def drop(browser: Browser, content: bytes, name: str = "receipt.png") -> TestResponse:
    """As our script does."""
    headers = {"Accept": "application/json", TOKEN_HEADER: browser.token("/account"), "Origin": ORIGIN}
    form = {"file": (io.BytesIO(content), name)}
    return browser.client.post(
        "/receipts", data=form, base_url=ORIGIN, content_type="multipart/form-data", headers=headers
    )


def linked(api: Api, receipt: str) -> list[str]:
    return [one["record_id"] for one in api.get(f"/receipts/{receipt}")["records"]]


def test_who_has_no_receipts_yet_learns_what_they_are(api: Api, reviewer: Browser) -> None:
    page = reviewer.open("/receipts").text
    assert "No receipts yet" in page
    assert "connector “email”" in page
    assert "/connections/new/email" not in page, "which reviewers do not make"
    assert "/connections/new/email" in browser_of(api, Role.ADMIN).open("/receipts").text
    assert 'href="/receipts" aria-current="page" data-go="t"' in page


def test_a_file_is_brought_read_and_accepted(api: Api, reviewer: Browser) -> None:
    [record] = bring(api, COFFEE)
    answer = upload(reviewer, a_pdf(), "scan.pdf")
    page = answer.headers["Location"]
    assert (answer.status_code, page.startswith("/receipts/")) == (303, True)
    shown = reviewer.open(page).text
    assert "“scan.pdf” is kept." in shown
    assert f'data-reading="{page}/state"' in shown
    assert reviewer.open(f"{page}/state").json["state"] == "reading"
    api.drain()
    state = reviewer.open(f"{page}/state").json
    assert (state["state"], state["said"]) == ("read", "Corner Coffee Ltd, 12.99 EUR, 2 Mar 2026")
    assert state["record"]["words"] == "CORNER COFFEE BERLIN, −12.99 EUR, 3 Mar 2026"
    assert state["record"]["id"] == record
    assert re.fullmatch(r"(almost certain|very likely), .*\d %", state["record"]["likely"])
    shown = reviewer.open(page).text
    assert "data-reading" not in shown
    assert "the same amount, 1 day after the receipt&#39;s day, the name stands in its text" in shown
    listed = reviewer.open("/receipts").text
    assert f'href="/records/{record}"' in listed
    assert state["record"]["likely"] in listed
    done = reviewer.send(page, {"record_id": record, "to": "/receipts?status=unmatched"}, f"{page}/link")
    assert done.headers["Location"] == "/receipts?status=unmatched"
    assert linked(api, page.rpartition("/")[2]) == [record]
    assert "No receipt is like that" in reviewer.open("/receipts?status=unmatched").text
    assert "Linked by Ada" in reviewer.open(page).text


def test_the_same_file_is_one_receipt(api: Api, reviewer: Browser) -> None:
    first = keep(api, name="first.png")
    answer = upload(reviewer, PNG, "second.png")
    assert answer.headers["Location"] == f"/receipts/{first}"
    assert "The same file is here already, as “first.png”." in reviewer.open(f"/receipts/{first}").text


def test_a_script_is_told_how_far_each_file_is(api: Api, reviewer: Browser) -> None:
    [record] = bring(api, COFFEE)
    answer = drop(reviewer, a_pdf(), "scan.pdf")
    assert (answer.status_code, answer.json["new"], answer.json["state"]) == (201, True, "reading")
    again = drop(reviewer, a_pdf(), "scan.pdf")
    assert (again.status_code, again.json["new"], again.json["id"]) == (200, False, answer.json["id"])
    api.drain()
    token = {TOKEN_HEADER: reviewer.token("/account"), "Accept": "application/json"}
    link = f"/receipts/{answer.json['id']}/link"
    told = reviewer.client.post(link, data={"record_id": record}, base_url=ORIGIN, headers=token)
    assert told.json["said"] == "The receipt is linked to the record."
    assert reviewer.open(f"/receipts/{answer.json['id']}/state").json["record"]["state"] == "linked"
    unknown = reviewer.client.post(link, data={"record_id": str(uuid4())}, base_url=ORIGIN, headers=token)
    assert (unknown.status_code, unknown.json["code"]) == (422, "invalid")


def test_what_is_no_receipt_is_told_beside_the_file(api: Api, reviewer: Browser) -> None:
    [record] = bring(api, COFFEE)
    for content, status, said in (
        (HTML, 422, "“odd.png” is by its content none of what a receipt may be: a picture"),
        (SVG, 422, "a PDF or an e-mail (.eml)."),
        (b"", 422, "“odd.png” was not taken: the file is empty."),
        (PNG + bytes(MOST), 413, "“odd.png” is too large: a receipt has at most 49 KiB."),
    ):
        for to in ("/receipts", f"/records/{record}/receipts"):
            refused = upload(reviewer, content, "odd.png", to)
            assert refused.status_code == status, said
            beside = re.search(r'id="file-error" role="alert">([^<]*)<', refused.text)
            assert beside is not None, to
            assert said in beside[1], to
        told = drop(reviewer, content, "odd.png")
        assert (told.status_code, said in told.json["detail"]) == (status, True), said
    assert api.get("/receipts")["items"] == []


def test_a_file_that_is_larger_than_any_is_refused_unread(reviewer: Browser) -> None:
    refused = upload(reviewer, bytes(MOST + (1 << 17)))
    assert refused.status_code == 413
    assert "That did not work" in refused.text


def test_strangers_bring_no_files(api: Api) -> None:
    browser = Browser(api.client.application)
    form = {"form_token": browser.token("/sign-in"), "file": (io.BytesIO(PNG), "receipt.png")}
    answer = browser.client.post("/receipts", data=form, base_url=ORIGIN, content_type="multipart/form-data")
    assert answer.status_code == 401


def test_a_form_with_a_file_proves_where_it_is_from(api: Api, reviewer: Browser) -> None:
    form = {"form_token": "0" * 64, "file": (io.BytesIO(PNG), "receipt.png")}
    answer = reviewer.client.post("/receipts", data=form, base_url=ORIGIN, content_type="multipart/form-data")
    assert (answer.status_code, "asked for by one of our pages" in answer.text) == (403, True)
    assert api.get("/receipts")["items"] == []


def test_a_receipt_for_a_record_is_linked_at_once(api: Api, reviewer: Browser) -> None:
    [record] = bring(api, COFFEE)
    page = f"/records/{record}"
    assert "None is linked to it, and none is like it." in reviewer.open(page).text
    answer = upload(reviewer, PNG, "bill.png", f"{page}/receipts")
    assert answer.headers["Location"] == page
    shown = reviewer.open(page).text
    assert "“bill.png” is kept. It is linked to this record." in shown
    [receipt] = [one["id"] for one in api.get("/receipts")["items"]]
    assert f'href="/receipts/{receipt}"' in shown
    back = reviewer.send(page, {"record_id": record, "to": page}, f"/receipts/{receipt}/unlink")
    assert back.headers["Location"] == page
    assert "None is linked to it" in reviewer.open(page).text
    assert upload(reviewer, PNG, "bill.png", f"/records/{uuid4()}/receipts").status_code == 404


def test_a_suggestion_is_accepted_or_rejected_where_the_record_is(api: Api, reviewer: Browser) -> None:
    first, second = bring(api, COFFEE, {**COFFEE, "text": "CORNER COFFEE HAMBURG"})
    receipt = keep(api, **SAID)
    shown = reviewer.open(f"/records/{first}").text
    assert "It is of this record" in shown
    assert "the same amount, 1 day after the receipt&#39;s day" in shown
    reviewer.send("/receipts", {"record_id": first, "to": f"/records/{first}"}, f"/receipts/{receipt}/reject")
    assert "is not suggested for it again" in reviewer.open(f"/records/{first}").text
    assert "It is of this record" not in reviewer.open(f"/records/{first}").text
    reviewer.send("/receipts", {"record_id": second}, f"/receipts/{receipt}/link")
    assert linked(api, receipt) == [second]


def test_the_list_goes_on_and_is_filtered(api: Api, reviewer: Browser, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("entrypoints.console.receipts.lists.PAGE", 2)
    [record] = bring(api, COFFEE)
    ids = [keep(api, PNG + bytes([n]), f"bill-{n}.png", **SAID | {"amount": f"{n}.00"}) for n in range(1, 6)]
    api.post(f"/receipts/{ids[0]}/links", {"record_id": record})
    seen, page = [], reviewer.open("/receipts?text=bill").text
    for _ in range(3):
        seen += re.findall(r'class="receipts-name" href="/receipts/([^"]+)"', page)
        following = re.search(r'href="(/receipts\?[^"]*after=[^"]*)" rel="next"', page)
        if following is None:
            break
        assert "text=bill" in following[1]
        page = reviewer.open(following[1].replace("&amp;", "&")).text
    assert seen == ids[::-1]
    for query, found in (
        ("status=matched", ids[:1]),
        ("min_amount=4&currency=eur", [ids[4], ids[3]]),
        ("since=2026-03-03", []),
        ("text=BILL-2&until=2026-03-02", ids[1:2]),
    ):
        page = reviewer.open(f"/receipts?{query}").text
        assert re.findall(r'class="receipts-name" href="/receipts/([^"]+)"', page) == found, query
    assert reviewer.open("/receipts?after=nothing").status_code == 422


def test_a_filter_that_does_not_hold_is_shown_with_what_is_wrong(reviewer: Browser) -> None:
    for query, said in (
        ("min_amount=much", "Not a valid number."),
        ("since=yesterday", "Not a valid date."),
        ("status=lost", "Must be one of"),
        ("currency=euros", "String does not match expected pattern."),
    ):
        page = reviewer.open(f"/receipts?{query}")
        assert (page.status_code, said in page.text) == (422, True), query
    assert 'value="much"' in reviewer.open("/receipts?min_amount=much").text


def test_people_say_what_it_says_and_what_was_read_stays_read(api: Api, reviewer: Browser) -> None:
    [record] = bring(api, COFFEE | {"amount": "-13.99"})
    receipt = keep(api, a_pdf(), "scan.pdf")
    page = f"/receipts/{receipt}"
    assert "1.00 more than the receipt says (8 %)" in reviewer.open(page).text
    read = {"merchant": "Corner Coffee Ltd", "amount": "12.99", "currency": "EUR", "day": "2026-03-02"}
    assert send(reviewer, page, read, f"{page}/said").status_code == 303
    assert "Nothing was changed." in reviewer.open(page).text
    assert api.get(page)["by_person"] == []
    answer = send(reviewer, page, read | {"amount": "13.99", "currency": "eur", "merchant": ""}, f"{page}/said")
    assert answer.status_code == 303
    now = api.get(page)
    assert (now["amount"], now["merchant"], now["by_person"]) == ("13.99", None, ["amount", "merchant"])
    shown = reviewer.open(page).text
    assert shown.count("Said by a person.") == 2
    assert f'href="/records/{record}"' in shown
    assert "the same amount, 1 day after the receipt&#39;s day</div>" in shown


def test_what_does_not_hold_is_told_beside_its_field_and_nothing_is_lost(api: Api, reviewer: Browser) -> None:
    page = f"/receipts/{keep(api, **SAID)}"
    for fields, said in (
        ({"amount": "much"}, "Not a valid number."),
        ({"amount": "-3"}, "An amount is a number from 0 on."),
        ({"currency": "EURO"}, "String does not match expected pattern."),
        ({"day": "2026-02-30"}, "Not a valid date."),
        ({"merchant": "x" * 201}, "Longer than maximum length 200."),
    ):
        refused = send(reviewer, page, SAID | fields, f"{page}/said")
        [value] = fields.values()
        assert (refused.status_code, said in refused.text or "Length must be" in refused.text) == (422, True), fields
        assert f'value="{value}"' in refused.text
        assert 'aria-invalid="true"' in refused.text
    assert api.get(page)["version"] == 1


def test_two_people_do_not_overwrite_each_other(api: Api, reviewer: Browser) -> None:
    page = f"/receipts/{keep(api, **SAID)}"
    before = version_on(reviewer.open(page))
    api.call("PATCH", page, {"merchant": "First"})
    refused = reviewer.send(page, {"version": before, **SAID, "merchant": "Second"}, f"{page}/said")
    assert (refused.status_code, 'value="Second"' in refused.text) == (409, True)
    assert "Somebody changed this meanwhile" in refused.text
    assert version_on(refused) != before
    assert reviewer.send(page, {"version": before}, f"{page}/delete").status_code == 409
    assert api.get(page)["merchant"] == "First"


def test_a_record_is_searched_for_and_linked(api: Api, reviewer: Browser) -> None:
    refund = {**COFFEE, "text": "CORNER COFFEE REFUND", "amount": "12.99"}
    paid, back, other = bring(api, COFFEE, refund, {**COFFEE, "text": "QORBEL", "amount": "-1"})
    page = f"/receipts/{keep(api)}"
    for query, found in (
        ("text=corner+coffee&amount=", {paid, back}),
        ("text=&amount=12.99", {paid, back}),
        ("text=refund&amount=12.99", {back}),
        ("text=&amount=", {paid, back, other}),
        ("text=no+such+thing", set()),
    ):
        shown = reviewer.open(f"{page}?{query}").text
        assert set(re.findall(r'name="record_id" value="([^"]+)"', shown)) == found, query
    wrong = reviewer.open(f"{page}?text=&amount=much").text
    assert ("Not an amount, such as 12.99." in wrong, 'value="much"' in wrong) == (True, True)
    for amount, said in (
        ("1e-20000", "with at most 400 decimals"),
        ("1e20000", "Not an amount up to"),
        ("nan", "Not an amount, such as 12.99."),
        ("-Infinity", "Not an amount, such as 12.99."),
    ):
        refused = reviewer.open(f"{page}?text=&amount={amount}")
        assert (refused.status_code, said in refused.text) == (200, True), amount
    for record in (paid, other):
        assert reviewer.send(page, {"record_id": record}, f"{page}/link").headers["Location"] == page
    assert set(linked(api, page.rpartition("/")[2])) == {paid, other}
    assert "more</span>" not in reviewer.open("/receipts").text
    reviewer.send(page, {"record_id": back}, f"{page}/link")
    assert "and 1 more</span>" in reviewer.open("/receipts").text
    reviewer.send(page, {"record_id": back}, f"{page}/unlink")
    shown = reviewer.open(f"{page}?text=&amount=").text
    assert set(re.findall(r'name="record_id" value="([^"]+)"', shown)) == {paid, back, other}
    assert shown.count("linked</span>") == 2


def test_of_two_people_who_accept_different_suggestions_the_second_is_told(api: Api, reviewer: Browser) -> None:
    first, second = bring(api, COFFEE, {**COFFEE, "text": "CORNER COFFEE HAMBURG"})
    receipt = keep(api, **SAID)
    page = f"/receipts/{receipt}"
    for path in ("/receipts", page, f"/records/{first}"):
        assert 'name="suggested" value="1"' in reviewer.open(path).text, path
    accepts = {"record_id": first, "suggested": "1"}
    for _ in range(2):  # the same once more changes nothing
        assert reviewer.send(page, accepts, f"{page}/link").status_code == 303
    refused = reviewer.send(page, accepts | {"record_id": second}, f"{page}/link")
    assert (refused.status_code, "somebody linked this receipt to another record" in refused.text) == (409, True)
    headers = {"Accept": "application/json", TOKEN_HEADER: reviewer.token("/account"), "Origin": ORIGIN}
    form = accepts | {"record_id": second}
    asked = reviewer.client.post(f"{page}/link", data=form, base_url=ORIGIN, headers=headers)
    assert (asked.status_code, asked.json["code"]) == (409, "conflict")
    assert linked(api, receipt) == [first]
    assert 'name="suggested"' not in reviewer.open(f"{page}?text=coffee&amount=").text, "what is found by hand is free"
    assert reviewer.send(page, {"record_id": second}, f"{page}/link").status_code == 303
    assert set(linked(api, receipt)) == {first, second}


def test_what_can_not_be_linked_is_told(api: Api, reviewer: Browser) -> None:
    [record] = bring(api, COFFEE)
    page = f"/receipts/{keep(api)}"
    refused = reviewer.send(page, {"record_id": str(uuid4())}, f"{page}/link")
    assert (refused.status_code, "It was not linked: this record does not exist." in refused.text) == (422, True)
    assert "no record was chosen" in reviewer.send(page, {}, f"{page}/link").text
    for what in ("unlink", "reject"):
        assert reviewer.send(page, {"record_id": record}, f"{page}/{what}").status_code == 404
    away = reviewer.send(page, {"record_id": record, "to": "//evil.example/"}, f"{page}/link")
    assert away.headers["Location"] == "/"


def test_a_receipt_is_deleted_with_its_file(api: Api, reviewer: Browser) -> None:
    page = f"/receipts/{keep(api)}"
    assert send(reviewer, page, {}, f"{page}/delete").headers["Location"] == "/receipts"
    assert "The receipt is deleted, with its file and its links." in reviewer.open("/receipts").text
    for path in ("", "/state", "/content"):
        assert reviewer.open(f"{page}{path}").status_code == 404


def test_the_file_is_handed_out_with_a_policy_that_leaves_it_nothing(api: Api, reviewer: Browser) -> None:
    picture, pdf, mail = keep(api, name="page.html"), keep(api, a_pdf(), "scan.pdf"), keep(api, a_mail(), "mail.eml")
    for receipt, inline, kind, named in (
        (picture, True, "image/png", 'inline; filename="page.html.png"'),
        (picture, False, "image/png", 'attachment; filename="page.html.png"'),
        (pdf, True, "application/pdf", "attachment; filename=scan.pdf"),
        (mail, True, "message/rfc822", "attachment; filename=mail.eml"),
    ):
        answer = reviewer.open(f"/receipts/{receipt}/content{'?inline=1' if inline else ''}")
        assert (answer.status_code, answer.mimetype) == (200, kind)
        assert answer.headers["Content-Security-Policy"] == CONTENT_POLICY
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        assert answer.headers["Content-Disposition"].replace('"', "") == named.replace('"', "")
    page = reviewer.open(f"/receipts/{picture}").text
    assert f'<img src="/receipts/{picture}/content?inline=1"' in page
    for receipt, why in ((pdf, "A PDF is not shown here"), (mail, "An e-mail is not shown here")):
        page = reviewer.open(f"/receipts/{receipt}").text
        assert why in page
        assert "<img" not in page
        assert f'href="/receipts/{receipt}/content" download' in page


def test_pictures_are_shown_within_our_pages_alone(api: Api, reviewer: Browser) -> None:
    content = f"/receipts/{keep(api)}/content?inline=1"
    for site, mode, destination, path, status in (
        ("same-origin", "no-cors", "image", content, 200),
        ("none", "navigate", "document", content, 200),
        ("same-site", "no-cors", "image", content, 403),
        ("cross-site", "no-cors", "image", content, 403),
        ("same-origin", "no-cors", "script", content, 403),
        ("cross-site", "navigate", "iframe", content, 403),
        ("same-origin", "no-cors", "image", "/receipts", 403),
    ):
        headers = {"Sec-Fetch-Site": site, "Sec-Fetch-Mode": mode, "Sec-Fetch-Dest": destination}
        answer = reviewer.client.get(path, base_url=ORIGIN, headers=headers)
        assert answer.status_code == status, (site, mode, destination, path)


def test_review_shows_the_receipts_of_an_item(api: Api, reviewer: Browser) -> None:
    first, second = bring(api, COFFEE, {**COFFEE, "text": "QORBEL", "amount": "-7.50"})
    of_first, of_second = keep(api, **SAID), keep(api, PNG + b"2", "bill.png")
    api.post(f"/receipts/{of_second}/links", {"record_id": second})
    items = {item["record"]["id"]: item["receipts"] for item in reviewer.open("/review/items").json["items"]}
    [suggested], [is_linked] = items[first], items[second]
    assert (suggested["receipt_id"], suggested["state"], suggested["merchant"]) == (
        of_first,
        "suggested",
        "Corner Coffee",
    )
    assert (suggested["amount"], suggested["day"], suggested["score"] > 0.8) == ("12.99", "2026-03-02", True)
    assert (is_linked["receipt_id"], is_linked["state"], is_linked["filename"]) == (of_second, "linked", "bill.png")
    assert 'data-receipts="write"' in reviewer.open("/review").text
    assert 'data-receipts=""' in browser_of(api, Role.VIEWER).open("/review").text


def test_a_viewer_sees_all_and_changes_nothing(api: Api) -> None:
    [record] = bring(api, COFFEE)
    receipt = keep(api, **SAID)
    viewer, page = browser_of(api, Role.VIEWER), f"/receipts/{receipt}"
    texts = {path: viewer.open(path).text for path in ("/receipts", page, f"/records/{record}")}
    assert "Corner Coffee" in texts[page]
    assert "the same amount" in texts[page]
    for path, text in texts.items():
        for word in FORMS:
            assert word not in text, (path, word)
    assert viewer.open(f"{page}/content").status_code == 200
    for what in ACTS:
        assert viewer.send("/account", {"version": "1", "record_id": record}, f"{page}/{what}").status_code == 403
    for to in ("/receipts", f"/records/{record}/receipts"):
        assert upload(viewer, PNG, to=to).status_code == 403


def test_another_tenants_receipts_are_not_there(api: Api, reviewer: Browser) -> None:
    other = new_tenant(api.container, api.client, "Another")
    [theirs], [mine] = bring(other, COFFEE), bring(api, {**COFFEE, "amount": "-99"})
    receipt = keep(other, name="theirs-alone.png", **SAID)
    assert "theirs-alone" not in reviewer.open("/receipts").text
    for path in ("", "/state", "/content"):
        assert reviewer.open(f"/receipts/{receipt}{path}").status_code == 404
    for what in ACTS:
        fields = {"version": "1", "record_id": mine}
        assert reviewer.send("/account", fields, f"/receipts/{receipt}/{what}").status_code == 404, what
    assert upload(reviewer, PNG, to=f"/records/{theirs}/receipts").status_code == 404
    own = keep(api, PNG + b"2")
    assert reviewer.send("/account", {"record_id": theirs}, f"/receipts/{own}/link").status_code == 422
    assert linked(api, own) == []


def test_hostile_names_are_names(api: Api, reviewer: Browser) -> None:
    odd = {**COFFEE, "text": f"odd {HOSTILE}", "counterparty": HOSTILE}
    first, second = bring(api, odd, {**odd, "occurred_at": "2026-03-04"})
    suggested, is_linked = (named(api, PNG + bytes([n]), ODD_NAME) for n in range(2))
    api.call("PATCH", f"/receipts/{suggested}", SAID | {"merchant": HOSTILE})
    api.post(f"/receipts/{is_linked}/links", {"record_id": second})
    api.container.seal_events()
    viewer = browser_of(api, Role.VIEWER)
    for page in (
        "/receipts",
        f"/receipts?text={HOSTILE}&min_amount={HOSTILE}",
        f"/receipts/{suggested}",
        f"/receipts/{suggested}?text={HOSTILE}&amount={HOSTILE}",
        f"/receipts/{is_linked}?text=odd",
        f"/records/{first}",
        f"/records/{second}",
    ):
        assert is_harmless(reviewer.open(page)), page
        assert is_harmless(viewer.open(page)), page
    title = re.search(r"<title>(.*?)</title>", reviewer.open(f"/receipts/{suggested}").text, re.DOTALL)
    assert title is not None
    assert "&lt;script&gt;" in title[1]
    for content in (PNG, HTML):
        said = upload(reviewer, content, "<img src=x>.png")
        page = reviewer.open(said.headers["Location"]) if said.status_code == 303 else said
        assert ("<img src=x" in page.text, "“&lt;img src=x&gt;.png”" in page.text) == (False, True)
    items = reviewer.open("/review/items")
    assert items.mimetype == "application/json"
    assert {one["filename"] for item in items.json["items"] for one in item["receipts"]} == {ODD_NAME}
