"""Checks of connectors that are sent records. That a delivery is genuine and new, the host has checked before."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from functools import partial
from typing import ClassVar

from core.domain.plugins import Batch, WebhookScheme
from core.errors import UnreadableFile
from sortation.testing.connections import ConnectorSuite, Play, error_of, expect_contract, tried
from sortation.testing.samples import Delivery, odd_values
from sortation.testing.source import FIRST
from sortation.testing.suite import expect, skip

_GARBAGE = (b"", b"not what was agreed", b"\xff\xfe\x00", b'{"cut": ', b"[" * 100_000, b"null", b"12", b'"text"')


class WebhookChecks(ConnectorSuite):
    unsigned: ClassVar[bool] = False
    """Whether the source is known to sign nothing: who knows a connection's address can forge its deliveries."""
    all_of_interest: ClassVar[bool] = False
    """Whether the source delivers nothing but records."""

    def test_webhook_is_verified(self) -> None:
        """The manifest says how deliveries are verified, so that the host refuses what is forged, stale or replayed."""
        self._hooked()
        hook = self.manifest.webhook
        assert hook is not None  # noqa: S101 - there is one
        expect(
            hook.scheme is not WebhookScheme.UNSIGNED or self.unsigned,
            "deliveries are not verified: give a scheme, or say by `unsigned` that the source has none",
        )

    def test_webhook_reads_deliveries(self) -> None:
        """Each delivery gives as many drafts as its author says, without a cursor; when it comes again, the same."""
        with self.play() as play:
            for number, delivery in enumerate(self._hooked(), start=1):
                batch = self.parse(self.make(), play.ctx, delivery)
                expect(isinstance(batch, Batch), f"delivery {number}: {type(batch).__name__} is no Batch")
                expect(
                    len(batch.drafts) == delivery.drafts,
                    f"delivery {number}: {len(batch.drafts)} drafts, not {delivery.drafts}",
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
        others = [delivery for delivery in deliveries if not delivery.drafts]
        expect(others, "the suite has no delivery of no interest: give one with `drafts=0`")
        with self.play() as play:
            for delivery in others:
                error = error_of(partial(self.parse, self.make(), play.ctx, delivery))
                expect(error is None, f"a delivery of no interest: {error!r}")

    def test_webhook_refuses_garbage(self) -> None:
        """A delivery that is none gives an error of the contract, such as `SchemaChanged`, or a refusal that says why;
        one with odd values in it also drafts without them."""
        deliveries = self._hooked()
        with self.play() as play:
            for body in _GARBAGE:
                given, error = tried(partial(self._parsed, play, replace(deliveries[0], body=body)))
                told = f"a delivery of {body[:20]!r}"
                expect_contract(error, told)
                expect(not isinstance(error, UnreadableFile), f"{told} is no file: {error}")
                refused = error or any(batch.refusals and not batch.drafts for batch in given)
                expect(refused, f"{told}: neither an error nor a refusal tells of it")
            for delivery in deliveries:
                if isinstance(delivery.body, Mapping | list):
                    for oddity, body in odd_values(delivery.body):
                        odd = replace(delivery, body=body)
                        error = error_of(partial(self.parse, self.make(), play.ctx, odd))
                        expect_contract(error, f"a delivery with {oddity}")

    def _parsed(self, play: Play, delivery: Delivery) -> list[Batch]:
        return [self.parse(self.make(), play.ctx, delivery)]

    def _hooked(self) -> tuple[Delivery, ...]:
        if self.manifest.webhook is None:
            skip("the connector has no webhook")
        expect(self.deliveries, "the suite has no `deliveries`")
        return self.deliveries
