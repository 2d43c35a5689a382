"""kombu's Redis transport, mended in one place.

When the broker goes away between a delivery and its acknowledgement, kombu raises before it forgets the delivery, and
Celery only logs that. The deliveries that can't be acknowledged fill the prefetch window, the worker asks for nothing
any more, and so never notices that the broker is back. Here a failed acknowledgement is forgotten too: redelivery is
the reaper's.
"""

from __future__ import annotations

from kombu.transport import redis, virtual


class QoS(redis.QoS):
    def ack(self, delivery_tag: str) -> None:
        try:
            super().ack(delivery_tag)  # type: ignore[no-untyped-call]
        except Exception:
            virtual.QoS.ack(self, delivery_tag)  # type: ignore[no-untyped-call]
            raise


class Channel(redis.Channel):
    QoS = QoS


class Transport(redis.Transport):
    Channel = Channel
