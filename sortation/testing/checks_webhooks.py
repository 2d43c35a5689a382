"""Checks of connectors that are sent records. That a delivery is genuine, the host has checked before, by what the
manifest says: the kit signs deliveries, and has the host's own code look at them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import timedelta
from functools import partial
from typing import ClassVar

from core.domain.plugins import Batch, WebhookScheme
from core.domain.webhooks import REPLAY_WINDOW, SECRET_FIELD, Outcome, verify
from core.errors import UnreadableFile, WebhookRefused
from sortation.testing.accounting import refused
from sortation.testing.connections import ConnectorSuite, Play, error_of, expect_contract, tried
from sortation.testing.samples import Delivery, odd_values
from sortation.testing.signing import TIMED, fields_of, header_names, made_secret, signed
from sortation.testing.source import FIRST
from sortation.testing.suite import check_fits, expect, fits, skip

_GARBAGE = (b"", b"not what was agreed", b"\xff\xfe\x00", b'{"cut": ', b"[" * 100_000, b"null", b"12", b'"text"')


class WebhookChecks(ConnectorSuite):
    unsigned: ClassVar[bool] = False
    """Whether the source is known to sign nothing: who knows a connection's address can forge its deliveries."""
    all_of_interest: ClassVar[bool] = False
    """Whether the source delivers nothing but records."""

    def test_webhook_is_verified(self) -> None:
        """The manifest says how deliveries are verified, by headers that the source sends, and the schema takes
        what that needs: `webhook_secret`, or `accept_unsigned` where nothing is signed."""
        deliveries = self._hooked()
        hook = self.webhook
        expect(
            hook.scheme is not WebhookScheme.UNSIGNED or self.unsigned,
            "deliveries are not verified: give a scheme, or say by `unsigned` that the source has none",
        )
        with self.play() as play:
            config = {**play.ctx.config, **fields_of(hook)}
            check_fits(self.manifest.config_schema, config, "what the host verifies deliveries by")
        for number, delivery in enumerate(deliveries, start=1):
            missing = header_names(hook) - {name.lower() for name in delivery.headers}
            expect(
                not delivery.headers or not missing,
                f"delivery {number}: the source does not send {', '.join(sorted(missing))}, which the manifest names",
            )

    def test_webhook_lets_nothing_forged_in(self) -> None:
        """What nobody signed, what another signed or changed, and what was signed more than five minutes ago (where the
        scheme tells when) is refused by the host, and what the source signs is not."""
        deliveries = self._hooked()
        if self.unsigned:
            skip("the suite says that the source signs nothing")
        with self.play() as play:
            for number, delivery in enumerate(deliveries, start=1):
                for what, headers, body, outcome in self._forgeries(delivery):
                    error = error_of(partial(self.received, self.make(), play.ctx, headers, body, FIRST))
                    refused = isinstance(error, WebhookRefused) and error.details["outcome"]
                    expect(
                        refused is outcome,
                        f"delivery {number}, {what}: the host has {refused or 'handed it on'}, not {outcome}",
                    )
                error = error_of(partial(self.parse, self.make(), play.ctx, delivery))
                expect(not isinstance(error, WebhookRefused), f"delivery {number}: the host refuses it, {error}")

    def test_webhook_replays_are_one(self) -> None:
        """An event that is sent again, signed anew, is the same to the host, and gives the same drafts: no id comes
        from what each try has of its own."""
        deliveries = self._hooked()
        again = {"date": "Mon, 02 Mar 2026 08:01:00 GMT", "x-request-id": "another", "user-agent": "another"}
        with self.play() as play:
            ctx, later = play.ctx, FIRST + timedelta(minutes=1)
            secret = str(ctx.config.get(SECRET_FIELD, ""))
            for number, delivery in enumerate(deliveries, start=1):
                body = delivery.written()
                told = []
                for at, more in ((FIRST, {}), (later, again)):
                    headers = self.sent(delivery, secret or made_secret(0), at) | {
                        name: value for name, value in more.items() if name not in header_names(self.webhook)
                    }
                    batch = self.received(self.make(), ctx, headers, body, at)
                    told.append((verify(self.webhook, ctx.config, headers, body, at), batch))
                expect(told[0][0] == told[1][0], f"delivery {number}: sent again, it is another event to the host")
                expect(told[0][1] == told[1][1], f"delivery {number}: sent again, it gives something else")

    def test_webhook_secrets_may_change(self) -> None:
        """While its owner changes the secret, what is signed with the former one or with the new one gives the same:
        the connector leaves signatures to the host."""
        deliveries = self._hooked()
        secrets = [made_secret(0, "-new"), made_secret(0)]
        with self.play() as play:
            ctx = replace(play.ctx, config={**play.ctx.config, SECRET_FIELD: secrets})
            if not fits(self.manifest.config_schema, ctx.config):
                skip("the schema has one secret alone")
            for number, delivery in enumerate(deliveries, start=1):
                wanted = self.parse(self.make(), play.ctx, delivery)
                for secret in secrets:
                    headers = self.sent(delivery, secret, FIRST)
                    batch = self.received(self.make(), ctx, headers, delivery.written(), FIRST)
                    expect(
                        batch == wanted, f"delivery {number}: signed with one of two secrets it gives something else"
                    )

    def test_webhook_reads_deliveries(self) -> None:
        """Each delivery gives as many drafts and receipts as its author says, without a cursor; when it comes again,
        the same."""
        with self.play() as play:
            for number, delivery in enumerate(self._hooked(), start=1):
                batch = self.parse(self.make(), play.ctx, delivery)
                expect(isinstance(batch, Batch), f"delivery {number}: {type(batch).__name__} is no Batch")
                expect(
                    len(batch.drafts) == delivery.drafts,
                    f"delivery {number}: {len(batch.drafts)} drafts, not {delivery.drafts}{refused([batch])}",
                )
                expect(
                    len(batch.receipts) == delivery.receipts,
                    f"delivery {number}: {len(batch.receipts)} receipts, not {delivery.receipts}",
                )
                expect(batch.cursor is None, f"delivery {number}: it has a cursor, which pulling would go on from")
                again = self.parse(self.make(), play.ctx, delivery, FIRST + timedelta(hours=1))
                expect(again == batch, f"delivery {number}: delivered again, it gives something else")

    def test_webhook_ignores_what_is_of_no_interest(self) -> None:
        """A genuine delivery that is not about records, or of a kind that the connector does not know, gives no drafts
        and no error: the source would send it again."""
        deliveries = self._hooked()
        if self.all_of_interest:
            skip("all deliveries of the source are records")
        others = [delivery for delivery in deliveries if not delivery.drafts and not delivery.receipts]
        expect(others, "the suite has no delivery of no interest: give one with `drafts=0`")
        with self.play() as play:
            for delivery in others:
                error = error_of(partial(self.parse, self.make(), play.ctx, delivery))
                expect(error is None, f"a delivery of no interest: {error!r}")

    def test_webhook_refuses_garbage(self) -> None:
        """A delivery that is none gives an error of the contract, such as `SchemaChanged`, or a refusal that says why;
        one with odd values in it also drafts without them. Where the suite says `all_of_interest`, or by which fields
        others are left out, none with odd values in other places is left out without a word."""
        deliveries = self._hooked()
        with self.play() as play:
            for body in _GARBAGE:
                given, error = tried(partial(self._parsed, play, replace(deliveries[0], body=body)))
                told = f"a delivery of {body[:20]!r}"
                expect_contract(error, told)
                expect(not isinstance(error, UnreadableFile), f"{told} is no file: {error}")
                refused = error or any(batch.refusals and not batch.drafts for batch in given)
                expect(refused, f"{told}: neither an error nor a refusal tells of it")
            for number, delivery in enumerate(deliveries, start=1):
                if not isinstance(delivery.body, Mapping | list):
                    continue
                for odd in odd_values(delivery.body):
                    given, error = tried(partial(self._parsed, play, replace(delivery, body=odd.document)))
                    told = f"delivery {number} with {odd}"
                    expect_contract(error, told)
                    if error is None and not odd.usual and self._means_a_record(odd.place):
                        made = sum(len(batch.drafts) for batch in given)
                        expect(
                            made >= delivery.drafts or any(batch.refusals for batch in given),
                            f"{told}: {made} drafts, not {delivery.drafts}, and no refusal tells of it",
                        )

    def _means_a_record(self, place: Sequence[object]) -> bool:
        """Whether the suite says enough of its deliveries to tell that a value there does not decide their interest."""
        return self.all_of_interest or (bool(self.of_interest_by) and self.of_interest_by.isdisjoint(place))

    def _forgeries(self, delivery: Delivery) -> Iterator[tuple[str, Mapping[str, str], bytes, Outcome]]:
        """What is wrong, headers, body, and what the host should make of it."""
        hook, secret, body = self.webhook, str(self._secrets(0).get(SECRET_FIELD, made_secret(0))), delivery.written()
        genuine = self.sent(delivery, secret, FIRST)
        own = {name.lower(): value for name, value in delivery.headers.items()}
        signature = signed(hook, secret, delivery.id, body, FIRST)
        by_another = own | signed(hook, made_secret(9, "-another"), delivery.id, body, FIRST)
        yield "unsigned", {name: own[name] for name in own.keys() - signature.keys()}, body, Outcome.UNSIGNED
        yield "signed by another", by_another, body, Outcome.FORGED
        yield "changed", genuine, body + b" ", Outcome.FORGED
        for sent in (FIRST - REPLAY_WINDOW, FIRST + REPLAY_WINDOW) if hook.scheme in TIMED else ():
            off = timedelta(seconds=1 if sent > FIRST else -1)
            yield f"signed at {sent}", self.sent(delivery, secret, sent + off), body, Outcome.STALE

    def _parsed(self, play: Play, delivery: Delivery) -> list[Batch]:
        return [self.parse(self.make(), play.ctx, delivery)]

    def _hooked(self) -> tuple[Delivery, ...]:
        if self.manifest.webhook is None:
            skip("the connector has no webhook")
        expect(self.deliveries, "the suite has no `deliveries`")
        return self.deliveries
