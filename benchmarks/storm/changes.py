"""
Sales that change: edited, cancelled, refunded in part or in full, by refunds that fail, in any order of arrival.

A sale earns by its final state, as long as nothing was bought before its last change arrived: purchases stay bought. So
``storm`` has all of these arrive before it starts the worker, and repeats some of them later, when they must change
nothing.
"""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from random import Random
from typing import Any

from benchmarks.storm.plan import Shot
from benchmarks.storm.senders import SYSTEMS, kept_as, signed
from impactflow.intake.senders.samples import Content, Sale, sample

#: A topic, and the content.
Origin = tuple[str, Content]
#: The age of the sales: long enough for everything that is reported to have happened to them since.
_AGO = timedelta(minutes=10)


@dataclass(frozen=True)
class _Narrator:
    """A maker of a sender's deliveries about one sale."""

    source: str
    sale: str
    sold_at: datetime

    def __call__(
        self, topic: str, minute: int, amount: str = "80.00", items: int = 2, back: str | None = None, **fields: Any
    ) -> Origin:
        """Return the state some minutes after the sale; ``fields`` extend or replace the usual content."""
        given_back = None if back is None else Decimal(back)
        at = self.sold_at + timedelta(minutes=minute)
        sale = Sale(self.sale, at, Decimal(amount), items=items, given_back=given_back)
        content = sample(self.source, topic, f"{self.sale}-{minute}", sale)
        if self.source == "stripe":
            content["data"]["object"] |= fields
            return topic, content
        return topic, content | fields


@dataclass(frozen=True)
class _Story:
    """
    The events of a sale.

    Args:
        kind: The story in a few words.
        source: The source that reports the sale.
        reports: The reports, in the order of the events, a minute apart.
        left: The final state of the sale, and its number of things; None where it comes to nothing.
    """

    kind: str
    source: str
    reports: Callable[[_Narrator], Sequence[Origin]]
    left: tuple[str, int] | None


_PAID, _REFUNDED, _FAILED = "checkout.session.completed", "charge.refunded", "refund.failed"
_PARTLY = {"financial_status": "partially_refunded"}
_STORIES = (
    _Story(
        "edited downwards", "shopify",
        lambda report: [report("orders/paid", 0), report("orders/updated", 1, "50.00", 1)],
        ("50.00", 1),
    ),
    _Story(
        "edited twice", "shopify",
        lambda report: [
            report("orders/paid", 0),
            report("orders/updated", 1, "50.00", 1),
            report("orders/updated", 2, "120.00", 3),
        ],
        ("120.00", 3),
    ),
    _Story(
        "cancelled", "shopify",
        lambda report: [report("orders/paid", 0), report("orders/cancelled", 1)],
        None,
    ),
    _Story(
        "edited, then cancelled", "shopify",
        lambda report: [
            report("orders/paid", 0),
            report("orders/updated", 1, "120.00", 3),
            report("orders/cancelled", 2),
        ],
        None,
    ),
    _Story(
        "refunded in part", "shopify",
        lambda report: [report("orders/paid", 0), report("refunds/create", 1, back="30.00")],
        ("50.00", 2),
    ),
    _Story(
        "refunded in part, which the order shows too", "shopify",
        lambda report: [
            report("orders/paid", 0),
            report("refunds/create", 1, back="30.00", id=f"{report.sale}-back"),
            report("orders/updated", 2, "50.00", 1, refunds=[{"id": f"{report.sale}-back"}], **_PARTLY),
        ],
        ("50.00", 1),
    ),
    _Story(
        "refunded twice, which is all", "shopify",
        lambda report: [
            report("orders/paid", 0),
            report("refunds/create", 1, back="30.00"),
            report("refunds/create", 2, back="50.00"),
        ],
        None,
    ),
    _Story(
        "paid days later", "stripe",
        lambda report: [
            report(_PAID, 0, payment_status="unpaid"),
            report("checkout.session.async_payment_succeeded", 1),
        ],
        ("80.00", 0),
    ),
    _Story(
        "refunded in part, then more", "stripe",
        lambda report: [report(_PAID, 0), report(_REFUNDED, 1, back="10.00"), report(_REFUNDED, 2, back="30.00")],
        ("50.00", 0),
    ),
    _Story(
        "refunded", "stripe",
        lambda report: [report(_PAID, 0), report(_REFUNDED, 1)],
        None,
    ),
    _Story(
        "refunded, which failed", "stripe",
        lambda report: [report(_PAID, 0), report(_REFUNDED, 1), report(_FAILED, 2)],
        ("80.00", 0),
    ),
    _Story(
        "refunded in part, which was called off", "stripe",
        lambda report: [
            report(_PAID, 0),
            report(_REFUNDED, 1, back="30.00"),
            report("charge.refund.updated", 2, back="30.00", status="canceled"),
        ],
        ("80.00", 0),
    ),
    _Story(
        "refunded, which failed, and refunded again", "stripe",
        lambda report: [report(_PAID, 0), report(_REFUNDED, 1), report(_FAILED, 2), report(_REFUNDED, 3)],
        None,
    ),
    _Story(
        "captured in part", "stripe",
        lambda report: [report(_PAID, 0), report("charge.captured", 1, back="30.00")],
        ("50.00", 0),
    ),
    _Story(
        "paid after it was made", "woocommerce",
        lambda report: [
            report("order.created", 0, status="pending", date_paid_gmt=None),
            report("order.updated", 1),
        ],
        ("80.00", 2),
    ),
    _Story(
        "edited upwards", "woocommerce",
        lambda report: [report("order.created", 0), report("order.updated", 1, "120.00", 3)],
        ("120.00", 3),
    ),
    _Story(
        "cancelled", "woocommerce",
        lambda report: [report("order.created", 0), report("order.updated", 1, status="cancelled")],
        None,
    ),
    _Story(
        "put in the trash", "woocommerce",
        lambda report: [report("order.created", 0), report("order.updated", 1), report("order.deleted", 2)],
        None,
    ),
    _Story(
        "refunded in part", "woocommerce",
        lambda report: [report("order.created", 0), report("order.updated", 1, refunds=[{"id": 1, "total": "-30.00"}])],
        ("50.00", 2),
    ),
    _Story(
        "refunded in part, which was taken back", "woocommerce",
        lambda report: [
            report("order.created", 0),
            report("order.updated", 1, refunds=[{"id": 1, "total": "-30.00"}]),
            report("order.updated", 2),
        ],
        ("80.00", 2),
    ),
    _Story(
        "told anew", "standard",
        lambda report: [report("order.paid", 0), report("order.paid", 1, "50.00", 1)],
        ("50.00", 1),
    ),
    _Story(
        "told anew and refunded in part", "standard",
        lambda report: [
            report("order.paid", 0),
            report("order.paid", 1, "120.00", 3),
            report("order.refunded", 2, "120.00", back="30.00"),
        ],
        ("90.00", 3),
    ),
    _Story(
        "refunded", "standard",
        lambda report: [report("order.paid", 0), report("order.refunded", 1)],
        None,
    ),
)  # fmt: skip


def changed(rounds: int, random: Random) -> list[Shot]:
    """
    Make deliveries about sales that change, an equal number of each story, in any order of arrival.

    Args:
        rounds: Number of each story.
        random: The source of chance.
    """
    sold_at = datetime.now(UTC) - _AGO
    shots = [
        shot
        for number in range(rounds)
        for place, story in enumerate(_STORIES)
        for shot in _shots(story, _Narrator(story.source, f"changed-{number:04}-{place:02}", sold_at))
    ]
    random.shuffle(shots)
    return shots


def repeated(shots: Sequence[Shot], random: Random) -> list[Shot]:
    """Send some of the same again: all of it is known, or is no news where Shopify sends it under another id."""
    return [_anew(shot) if random.random() < 0.5 else _again(shot) for shot in random.sample(shots, len(shots) // 3)]


def _again(shot: Shot) -> Shot:
    return replace(shot, kind=f"{shot.kind}, told again", statuses=frozenset({200}), sold=None)


def _anew(shot: Shot) -> Shot:
    topic = shot.post.headers.get("x-shopify-topic")
    if topic is None or shot.event is None:
        return _again(shot)
    source, name = shot.event
    post = signed(source, f"{name}-anew", topic=topic, body=shot.post.body)
    return replace(shot, kind=f"{shot.kind}, told anew", post=post, event=(source, f"{name}-anew"), sold=None)


def _shots(story: _Story, report: _Narrator) -> list[Shot]:
    shots = []
    for minute, (topic, content) in enumerate(story.reports(report)):
        name = f"{report.sale}-{minute}"
        post = signed(story.source, name, topic=topic, body=json.dumps(content).encode())
        event = (story.source, kept_as(story.source, name, post))
        shots.append(Shot(f"{story.source}: {story.kind}", post, frozenset({202}), event=event))
    if story.left is None:
        return shots
    amount, items = story.left
    sold = {
        "id": f"{SYSTEMS[story.source]}:{report.sale}",
        "payments": [{"status": "APPROVED"}],
        "products": [{"qty": items}] if items else [],
        "amount": amount,
        "currency": "USD",
    }
    return [replace(shots[0], sold=sold), *shots[1:]]
