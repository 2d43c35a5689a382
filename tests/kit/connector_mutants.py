"""Broken connectors: each is a good one with one small change, and names the check that must catch it."""

from __future__ import annotations

from typing import NamedTuple


class Mutant(NamedTuple):
    """`old` of the good module becomes `new`; `suite` is that of the good connector, `check` the one that must fail."""

    suite: str
    check: str
    old: str
    new: str


_STEP = """following = {"since": cursor["since"], "page": cursor["page"] + 1, "newest": newest or None}"""
_YIELD = "yield Batch(drafts=drafts, refusals=refusals, cursor=following if last else cursor)"
_REQUEST = """answer = ctx.http.request("GET", f"https://ledger.example/{stream}", params=params)"""
_PAGE = """items, more = self._page(ctx, request.stream, cursor["since"], cursor["page"])"""
_AMOUNT = 'amount = Decimal(item["amount"])\n'
_READ_LINES = """            lines = request.file.read().decode().splitlines()"""
_REFUSE = 'refusals.append(Refusal(position=position, reason=f"{type(error).__name__}: {error}"))'
_REFUSE_LINE = _REFUSE.replace("=position", "=number")
_LOG = """        ctx.log.info("read %s up to %s", request.stream, cursor["since"])"""
_IMPORTS = "import json\n"

MUTANTS: dict[str, Mutant] = {
    # What it says of itself.
    "a misspelt method": Mutant("Ledger", "test_manifest_is_complete", "def parse_webhook(", "def parse_web_hook("),
    "a schema that its configuration does not fit": Mutant(
        "Ledger", "test_schema_describes_the_configuration", '"required": ["api_key"]', '"required": ["api_key", "id"]'
    ),
    "a second secret that is not marked": Mutant(
        "Ledger",
        "test_schema_describes_the_configuration",
        '"company": {',
        '"password": {"type": "string", "title": "Password"}, "company": {',
    ),
    "an example that is none": Mutant(
        "Ledger", "test_schema_describes_the_configuration", '"examples": ["main"]', '"examples": [1]'
    ),
    "a secret within an object": Mutant(
        "Ledger",
        "test_schema_describes_the_configuration",
        '"company": {',
        '"more": {"type": "object", "title": "More", "properties": {"pin": {"type": "string", "writeOnly": True}}}, '
        '"company": {',
    ),
    "a slow import": Mutant(
        "Ledger",
        "test_import_is_cheap",
        _IMPORTS,
        _IMPORTS + "import time\nend = time.process_time() + 0.6\nwhile time.process_time() < end: pass\n",
    ),
    "an import that prints": Mutant("Lines", "test_import_is_cheap", _IMPORTS, _IMPORTS + "print('hello')\n"),
    "an import that starts a thread": Mutant(
        "Lines",
        "test_import_is_cheap",
        _IMPORTS,
        _IMPORTS + "import threading, time\nthreading.Thread(target=time.sleep, args=(1,), daemon=True).start()\n",
    ),
    # What it makes.
    "amounts that are floats": Mutant(
        "Lines", "test_drafts_are_valid", "amount=Decimal(amount),", "amount=float(amount),"
    ),
    "amounts through floats": Mutant(
        "Ledger", "test_reads_everything", _AMOUNT, 'amount = Decimal(float(item["amount"]))\n'
    ),
    "amounts without a sign": Mutant(
        "Ledger", "test_reads_everything", _AMOUNT, 'amount = abs(Decimal(item["amount"]))\n'
    ),
    "amounts without a sign, in a file": Mutant(
        "Lines", "test_reads_its_files", "amount=Decimal(amount),", "amount=abs(Decimal(amount)),"
    ),
    "instants without a zone": Mutant(
        "Ledger", "test_drafts_are_valid", 'fromisoformat(item["at"])', 'fromisoformat(item["at"]).replace(tzinfo=None)'
    ),
    "raw payloads that are no JSON": Mutant(
        "Ledger", "test_drafts_are_valid", "raw=dict(item)", 'raw={"amount": amount}'
    ),
    "ids that are made up": Mutant(
        "Lines", "test_ids_are_stable_and_distinct", "external_id=external_id or None", "external_id=str(id(object()))"
    ),
    "ids by place in the batch": Mutant(
        "Lines", "test_ids_are_stable_and_distinct", 'f"{line[:200]}#{seen[line]}"', 'f"{number - start}"'
    ),
    "ids that are not distinct": Mutant(
        "Lines", "test_ids_are_stable_and_distinct", 'f"{line[:200]}#{seen[line]}"', 'f"{line[:200]}"'
    ),
    "batches as large as the source's pages": Mutant(
        "Ledger", "test_batches_are_small", "part = items[start : start + request.batch_size]", "part = items[start:]"
    ),
    "lines that are skipped between batches": Mutant(
        "Lines",
        "test_file_sizes_of_batches_change_nothing",
        "range(0, len(lines), request.batch_size)",
        "range(0, max(len(lines) - 1, 1), request.batch_size)",
    ),
    "what can't be read is left out": Mutant(
        "Lines",
        "test_reads_its_files",
        _REFUSE_LINE,
        "del error",
    ),
    "an odd row is left out": Mutant("Lines", "test_odd_rows_are_refused", _REFUSE_LINE, "del error"),
    # Whose files it takes.
    "sure of any file": Mutant("Lines", "test_leaves_other_files_alone", "return 0.0", "return 0.5"),
    "never sure": Mutant("Lines", "test_detects_its_own_files", "return 0.9", "return 0.2"),
    "detection that breaks down": Mutant(
        "Lines", "test_detects_its_own_files", '.decode("utf-8", "replace")', ".decode()"
    ),
    "broken files that break it": Mutant(
        "Lines", "test_broken_files_are_refused", "except UnicodeDecodeError", "except KeyError"
    ),
    "a file error of the wrong kind": Mutant(
        "Lines", "test_broken_files_are_refused", 'raise UnreadableFile(f"it', 'raise SchemaChanged(f"it'
    ),
    "a pattern that goes through blanks again and again": Mutant(
        "Lines",
        "test_monotonous_files_are_quick",
        '        first = sample.partition(b"\\n")[0]',
        "        import re\n        re.search(rb'\\s+x', sample[:20_000])\n"
        '        first = sample.partition(b"\\n")[0]',
    ),
    "any separator will do": Mutant(
        "Lines", "test_file_bad_configuration", "if not any(separator in line for line in lines):", "if not lines:"
    ),
    # What it keeps and touches.
    "a secret in the log": Mutant(
        "Ledger", "test_secrets_stay_secret", _LOG, '        ctx.log.debug("asking with %s", ctx.config)'
    ),
    "a secret in an error": Mutant(
        "Ledger",
        "test_secrets_stay_secret",
        'raise SchemaChanged("the ledger answers no JSON")',
        'raise SchemaChanged(f"no JSON with {ctx.config}")',
    ),
    "a secret in what is stored": Mutant(
        "Ledger",
        "test_secrets_stay_secret",
        _YIELD,
        "from dataclasses import replace\n                "
        'drafts = tuple(replace(d, attributes={"by": ctx.config.get("api_key")}) for d in drafts)\n                '
        + _YIELD,
    ),
    "a secret in the address": Mutant(
        "Ledger",
        "test_secrets_stay_secret",
        '"page": str(page),',
        '"page": str(page), "key": ctx.config.get("api_key", ""),',
    ),
    "the key in a second header": Mutant(
        "Ledger",
        "test_secrets_stay_secret",
        _REQUEST,
        _REQUEST.replace("params=params", 'params=params, headers={"X-Key": ctx.config.get("api_key", "")}'),
    ),
    "the key in a body, from the second page on": Mutant(
        "Ledger",
        "test_secrets_stay_secret",
        _REQUEST,
        _REQUEST.replace(
            "params=params", 'params=params, content=ctx.config.get("api_key", "").encode() if page > 1 else None'
        ),
    ),
    "the token in a header of its own": Mutant(
        "LedgerByOAuth2",
        "test_secrets_stay_secret",
        _REQUEST,
        _REQUEST.replace("params=params", "params=params, headers={'X-Token': 'canary-token-0-1'}"),
    ),
    "the secret of deliveries in a header": Mutant(
        "Ledger",
        "test_secrets_stay_secret",
        _REQUEST,
        _REQUEST.replace("params=params", 'params=params, headers={"X-Hook": ctx.config.get("webhook_secret", "")}'),
    ),
    "a secret in what it shows of itself": Mutant(
        "Ledger",
        "test_secrets_stay_secret",
        "        more = True\n        while more:",
        "        type(self).__repr__ = lambda _, c=ctx: str(c.config)\n        more = True\n        while more:",
    ),
    "a connection that is kept in the class": Mutant(
        "Ledger",
        "test_tenants_do_not_mix",
        _REQUEST,
        "type(self).kept = ctx = getattr(type(self), 'kept', ctx)\n        " + _REQUEST,
    ),
    "a currency that is kept in the class": Mutant(
        "Lines",
        "test_tenants_do_not_mix",
        "        if request.file is None:",
        '        type(self).currency = getattr(type(self), "currency", ctx.default_currency)\n'
        "        from dataclasses import replace\n"
        "        ctx = replace(ctx, default_currency=type(self).currency)\n        if request.file is None:",
    ),
    "a socket of its own": Mutant(
        "Ledger",
        "test_touches_nothing_else",
        "        more = True\n        while more:",
        "        import socket\n        try:\n            socket.create_connection(('127.0.0.1', 9), 0.1)\n"
        "        except OSError:\n            pass\n        more = True\n        while more:",
    ),
    "a file of its own": Mutant(
        "Lines",
        "test_touches_nothing_else",
        _READ_LINES,
        "            import os\n            path = os.path.expanduser('~/.lines-cache')\n"
        "            try:\n                open(path, 'a').close(); os.remove(path)\n"
        "            except OSError:\n                pass\n" + _READ_LINES,
    ),
    "a process of its own": Mutant(
        "Lines",
        "test_touches_nothing_else",
        _READ_LINES,
        "            import subprocess; subprocess.run(['true'])\n" + _READ_LINES,
    ),
    "needs a file of the host's": Mutant(
        "Lines", "test_works_shut_in", _READ_LINES, "            open('/etc/hostname').close()\n" + _READ_LINES
    ),
    # What it reads.
    "a check that reads nothing": Mutant(
        "Ledger", "test_check_fails_where_reading_fails", "                self._page(ctx, stream.name, None, 1)\n", ""
    ),
    "a folder that has gone is an empty one": Mutant(
        "Drop",
        "test_check_fails_where_reading_fails",
        'return [StreamCheck(stream="invoices", ok=False, reason=str(error))]',
        'return [StreamCheck(stream="invoices", ok=True, reason=str(error))]',
    ),
    "a file for another": Mutant(
        "Drop",
        "test_reads_everything",
        'os.path.join(ctx.config["folder"], name)',
        'os.path.join(ctx.config["folder"], names[0])',
    ),
    "a cursor past files that are not read": Mutant(
        "Drop", "test_resumes_after_every_batch", 'cursor={"after": name})', 'cursor={"after": names[-1]})'
    ),
    "a check of the first stream alone": Mutant(
        "Ledger",
        "test_check_tells_of_each_stream",
        "for stream in self.discover(ctx):",
        "for stream in self.discover(ctx)[:1]:",
    ),
    "the first page alone": Mutant(
        "Ledger", "test_reads_everything", 'bool(found.get("more"))', 'bool(found.get("next"))'
    ),
    "everything before anything": Mutant(
        "Ledger",
        "test_reads_lazily",
        "    def read(self, ctx: Context, request: ReadRequest) -> Iterator[Batch]:\n        cursor = dict(",
        "    def read(self, ctx, request):\n        return iter(list(self._read(ctx, request)))\n\n"
        "    def _read(self, ctx, request):\n        cursor = dict(",
    ),
    "no cursor but at the end": Mutant(
        "Ledger", "test_cursors_are_small_and_json", _YIELD, _YIELD.replace("else cursor", "else None")
    ),
    "a cursor that is no JSON": Mutant(
        "Ledger",
        "test_cursors_are_small_and_json",
        _YIELD,
        _YIELD.replace("cursor=", 'cursor={"at": datetime.min} and {**').replace(
            " if last else cursor)", ', "at": datetime.min} if last else cursor)'
        ),
    ),
    "a cursor that grows": Mutant(
        "Ledger",
        "test_cursors_are_small_and_json",
        _YIELD,
        _YIELD.replace("else cursor", 'else {**cursor, "seen": "x" * 9_000}'),
    ),
    "a cursor ahead of what was yielded": Mutant(
        "Ledger",
        "test_resumes_after_every_batch",
        _YIELD,
        _YIELD.replace("else cursor", 'else {**cursor, "page": cursor["page"] + 2}'),
    ),
    "pages that are counted from the wrong one": Mutant(
        "Ledger", "test_resumes_after_every_batch", _STEP, _STEP.replace("+ 1", "+ 2")
    ),
    "a source that fails is one that ends": Mutant(
        "Ledger",
        "test_resumes_after_a_failure",
        f"            {_PAGE}\n",
        f"            try:\n                {_PAGE}\n            except Exception:\n"
        "                if cursor['page'] > 1:\n                    return\n                raise\n",
    ),
    "what changed after the last, not since": Mutant(
        "Ledger",
        "test_ties_at_the_cursor",
        '{"since": since} if since else {}',
        '{"since": str(datetime.fromisoformat(since).replace(microsecond=1))} if since else {}',
    ),
    "what happened since, not what changed": Mutant(
        "Ledger",
        "test_late_records",
        "                drafts, refusals = _sorted_out(part, start)\n",
        '                part = [i for i in part if not cursor["since"] or i.get("at", "9") >= cursor["since"][:10]]\n'
        "                drafts, refusals = _sorted_out(part, start)\n",
    ),
    "since the newest so far, page by page": Mutant(
        "Ledger",
        "test_unsorted_pages",
        _STEP,
        _STEP.replace('cursor["since"], "page": cursor["page"] + 1', 'newest or cursor["since"], "page": 1'),
    ),
    "an empty page ends it": Mutant(
        "Ledger",
        "test_empty_pages",
        "more = True\n        while more:",
        "items = more = True\n        while items and more:",
    ),
    "an empty page breaks it": Mutant(
        "Ledger",
        "test_empty_pages",
        "            following = {",
        '            items[0]["id"]\n            following = {',
    ),
    "no look at the page before": Mutant(
        "Ledger", "test_deleted_meanwhile", 'max(cursor["page"] - 1, 1)', 'cursor["page"]'
    ),
    "what is forgotten is no error": Mutant(
        "Feed",
        "test_deleted_records",
        'raise CursorInvalid("the feed has forgotten where it was")',
        "return []",
    ),
    "what is forgotten is a bad configuration": Mutant("Feed", "test_deleted_records", ", accept=[410]", ""),
    "any cursor will do": Mutant(
        "Ledger", "test_unknown_cursor", "            raise CursorInvalid\n", "            return\n"
    ),
    "a migration that breaks": Mutant(
        "Ledger", "test_old_state_migrates", 'isinstance(cursor.get("since"), str)', 'isinstance(cursor["since"], str)'
    ),
    "a migration that skips": Mutant(
        "Ledger",
        "test_old_state_migrates",
        '{"since": cursor["since"], "page": 1,',
        '{"since": cursor["since"], "page": 3,',
    ),
    # What it makes of failures.
    "401 is no error": Mutant(
        "Ledger",
        "test_401_needs_reauthorisation",
        _REQUEST,
        _REQUEST.replace("params=params", "params=params, accept=[401]"),
    ),
    "403 is an empty page": Mutant(
        "Ledger",
        "test_403_is_permission_denied",
        _REQUEST,
        _REQUEST.replace("params=params", "params=params, accept=[403]")
        + "\n        if answer.status == 403:\n            return [], False",
    ),
    "how long to wait gets lost": Mutant(
        "Ledger",
        "test_429_is_rate_limited",
        f"        {_REQUEST}\n",
        f"        from sortation import RateLimited\n        try:\n            {_REQUEST}\n"
        "        except RateLimited as error:\n            raise RateLimited('slowly') from error\n",
    ),
    "5xx is a changed schema": Mutant(
        "Ledger",
        "test_5xx_is_transient",
        _REQUEST,
        _REQUEST.replace("params=params", "params=params, accept=[500, 503]"),
    ),
    "a time-out is an end": Mutant(
        "Ledger",
        "test_time_out_is_transient",
        f"        {_REQUEST}\n",
        f"        from sortation import Transient\n        try:\n            {_REQUEST}\n"
        "        except Transient as error:\n            if 'does not answer' in str(error):\n"
        "                return [], False\n            raise\n",
    ),
    "tries again by itself": Mutant(
        "Ledger",
        "test_leaves_trying_again_to_the_host",
        f"        {_REQUEST}\n",
        f"        for attempt in range(5):\n            try:\n                {_REQUEST}\n                break\n"
        "            except Exception:\n                if attempt == 4:\n                    raise\n",
    ),
    "404 is an empty page": Mutant(
        "Ledger",
        "test_404_is_bad_configuration",
        _REQUEST,
        _REQUEST.replace("params=params", "params=params, accept=[404]")
        + "\n        if answer.status == 404:\n            return [], False",
    ),
    "a page that is forgotten is an end": Mutant(
        "Ledger",
        "test_forgotten_place_is_told",
        _REQUEST,
        _REQUEST.replace("params=params", "params=params, accept=[410]")
        + "\n        if answer.status == 410:\n            return [], False",
    ),
    "an entry that is not found is an end": Mutant(
        "Feed",
        "test_forgotten_place_is_told",
        "accept=[410])",
        "accept=[404, 410])\n        if answer.status == 404:\n            return []",
    ),
    "a cursor that is refused is an end": Mutant(
        "LedgerByOAuth2",
        "test_forgotten_place_is_told",
        _REQUEST,
        _REQUEST.replace("params=params", "params=params, accept=[400] if since else []")
        + "\n        if answer.status == 400:\n            return [], False",
    ),
    "no JSON breaks it": Mutant(
        "Ledger", "test_garbage_is_schema_changed", "except ValueError as error:", "except KeyError as error:"
    ),
    "another shape is an empty page": Mutant(
        "Ledger",
        "test_garbage_is_schema_changed",
        'raise SchemaChanged("the ledger\'s answer has no items")',
        "return [], False",
    ),
    "an odd value breaks it": Mutant(
        "Ledger", "test_odd_values_are_refused", "(KeyError, ValueError, TypeError, InvalidOperation)", "KeyError"
    ),
    "an odd item is left out": Mutant("Ledger", "test_odd_values_are_refused", _REFUSE, "continue"),
    "an odd entry ends its page": Mutant("Feed", "test_odd_values_are_refused", _REFUSE, "break"),
    "a wrong company is no error": Mutant(
        "Ledger", "test_bad_configuration", '"company": ctx.config.get("company", "main")', '"company": "main"'
    ),
    "401 is its own business": Mutant(
        "LedgerByOAuth2",
        "test_token_expires_meanwhile",
        _REQUEST,
        "kept = self.__dict__.setdefault('kept', {'Authorization': 'Bearer canary-token-0-1'})\n        "
        + _REQUEST.replace("params=params", "params=params, authenticated=False, headers=kept"),
    ),
    "a token that it asks for itself": Mutant(
        "LedgerByOAuth2",
        "test_two_processes_renew_once",
        _REQUEST,
        'ctx.http.request("POST", "https://ledger.example/t", authenticated=False, accept=[400])\n        ' + _REQUEST,
    ),
    # Webhooks.
    "deliveries that nobody verifies": Mutant(
        "Ledger", "test_webhook_is_verified", "scheme=WebhookScheme.HMAC", "scheme=WebhookScheme.UNSIGNED"
    ),
    "no secret to verify by": Mutant("Ledger", "test_manifest_is_complete", '"webhook_secret": {', '"secret": {'),
    "a signature in another header": Mutant(
        "Ledger", "test_webhook_is_verified", 'signature_header="x-signature"', 'signature_header="x-hub-signature"'
    ),
    "deliveries that anybody may send": Mutant(
        "Ledger", "test_webhook_lets_nothing_forged_in", "scheme=WebhookScheme.HMAC", "scheme=WebhookScheme.UNSIGNED"
    ),
    "ids by what each try has anew": Mutant(
        "Ledger",
        "test_webhook_replays_are_one",
        'data = event.get("data")',
        'data = {**event.get("data"), "id": message.headers.get("x-request-id", "first")}',
    ),
    "a signature that it checks itself": Mutant(
        "Ledger",
        "test_webhook_secrets_may_change",
        '        if event.get("type")',
        "        import hmac\n"
        '        right = hmac.new(ctx.config["webhook_secret"].encode(), message.body, "sha256").hexdigest()\n'
        '        if right != message.headers["x-signature"]:\n            return Batch()\n'
        '        if event.get("type")',
    ),
    "deliveries that differ each time": Mutant(
        "Ledger",
        "test_webhook_reads_deliveries",
        'data = event.get("data")',
        'data = {**event.get("data"), "id": str(message.received_at)}',
    ),
    "a delivery with a cursor": Mutant(
        "Ledger",
        "test_webhook_reads_deliveries",
        "        return Batch(drafts=drafts, refusals=refusals)",
        '        return Batch(drafts=drafts, refusals=refusals, cursor={"since": None})',
    ),
    "a delivery of no interest is an error": Mutant(
        "Ledger",
        "test_webhook_ignores_what_is_of_no_interest",
        "            return Batch()\n        data",
        '            raise SchemaChanged("what is this?")\n        data',
    ),
    "garbage breaks it": Mutant("Ledger", "test_webhook_refuses_garbage", "(ValueError, RecursionError)", "KeyError"),
    "an odd delivery is left out": Mutant("Ledger", "test_webhook_refuses_garbage", _REFUSE, "continue"),
    "garbage is of no interest": Mutant(
        "Ledger",
        "test_webhook_refuses_garbage",
        'raise SchemaChanged("the delivery is no JSON") from error',
        "return Batch()",
    ),
}
