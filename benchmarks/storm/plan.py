"""The deliveries of a storm: a number of honest ones, and others with all possible errors."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from enum import Enum
from random import Random
from typing import Any

from benchmarks.storm.senders import REFUNDS, SYSTEMS, Post, kept_as, signed, sold
from impactflow.webhooks.bounds import Bounds

_SIGNING = ("standard", "shopify", "woocommerce", "stripe")
SOURCES = (*_SIGNING, "cnaught")
_TIMED = ("standard", "stripe")
#: A size greater than the receiver accepts.
_OVERSIZED = Bounds().max_bytes + 50_000
#: The number of deliveries of each kind in a thousand; the others are honest.
_SHARES = {
    "told twice at once": 60,
    "told again later": 60,
    "refunded before it is told": 40,
    "wrong signature": 60,
    "changed body": 40,
    "old timestamp": 40,
    "missing header": 20,
    "cut short": 20,
    "not JSON": 20,
    "other topic": 20,
    "oversized": 10,
    "oversized, length untold": 10,
    "connection lost": 10,
}


class Manner(Enum):
    """A way to send a body."""

    WHOLE = "at once"
    CHUNKED = "in pieces, its length untold"
    DRIPPING = "a little at a time, in time"
    STALLING = "so slowly that it never ends"
    LOST = "half of it, and then the connection is closed"


@dataclass(frozen=True)
class Shot:
    """
    One request of the storm.

    Args:
        kind: The kind of the request, honest or with an error.
        post: The request to send.
        statuses: The right answers.
        manner: The way to send it.
        event: The event that must be in the ledger afterwards, source and name; None where no event may be.
        sold: The sale to buy for, as Wicked Reports would write it; None where there must be none or Wicked Reports has
            it.
        refund: The refund of the sale; sent, and answered, before everything else.
        again: Whether the same is sent once more after everything else.
        twice: Whether the same is sent twice at once.
    """

    kind: str
    post: Post
    statuses: frozenset[int]
    manner: Manner = Manner.WHOLE
    event: tuple[str, str] | None = None
    sold: Mapping[str, Any] | None = None
    refund: "Shot | None" = None
    again: bool = False
    twice: bool = False


def plan(count: int, slow: int, listed: Sequence[Mapping[str, Any]], random: Random) -> list[Shot]:
    """
    Mix a storm.

    Args:
        count: Number of deliveries.
        slow: Number of deliveries that never end, each for as long as the receiver waits, and the same number again
            that are only slow.
        listed: Orders of Wicked Reports; the sources send what they can about them.
        random: The source of chance.
    """
    kinds = [kind for kind, share in _SHARES.items() for _ in range(max(1, count * share // 1000))]
    kinds += ["slow", "too slow"] * slow
    shots = [shot for order in listed if (shot := _listed_too(order))]
    kinds += ["honest"] * (count - len(kinds) - len(shots))
    shots += [_shot(kind, number, random) for number, kind in enumerate(kinds)]
    random.shuffle(shots)
    return shots


def honest(source: str, name: str, kind: str = "honest") -> Shot:
    """A delivery without errors, of a sale that no other source reports; for CNaught, a callback."""
    if source == "cnaught":
        key = f"impactflow{hashlib.sha256(name.encode()).hexdigest()[:40]}"
        return Shot(kind, signed(source, key), frozenset({200}), event=(source, key))
    sale = sold(name)
    order = {
        "id": f"{SYSTEMS[source]}:{name}",
        "payments": [{"status": "APPROVED"}],
        "products": [{"qty": sale.items}] if source != "stripe" else [],  # Stripe's events list none
        "amount": sale.amount,
        "currency": sale.currency,
    }
    return _stored_once(kind, source, name, signed(source, name, sale=sale), order)


def _listed_too(order: Mapping[str, Any]) -> Shot | None:
    """A delivery of a sale in Wicked Reports, unless that order lacks a part or was paid back there."""
    source = {system: source for source, system in SYSTEMS.items()}.get(order["sourceSystem"])
    paid = {payment["status"] for payment in order.get("payments") or ()} == {"APPROVED"}
    if source is None or not paid or not {"amount", "currency", "products"} <= order.keys():
        return None
    amount, items = (
        Decimal(str(order["amount"])).quantize(Decimal("0.01")),
        sum(each["qty"] for each in order["products"]),
    )
    sale = sold(order["sourceId"], amount=amount, currency=order["currency"], items=items)
    name = f"listed-{order['sourceId']}"
    post = signed(source, name, sale=sale)
    return _stored_once("also in Wicked Reports", source, name, post)


def _stored_once(kind: str, source: str, name: str, post: Post, sold: Mapping[str, Any] | None = None) -> Shot:
    """A shot that is stored once."""
    return Shot(kind, post, frozenset({202}), event=(source, kept_as(source, name, post)), sold=sold)


def _refunded(kind: str, name: str, random: Random) -> Shot:
    source = random.choice(_SIGNING)
    post = signed(source, f"{name}-back", topic=REFUNDS[source], sale=sold(name))
    refund = _stored_once("refund", source, f"{name}-back", post)
    return replace(honest(source, name, kind), sold=None, refund=refund)


def _shot(kind: str, number: int, random: Random) -> Shot:
    source, name = random.choice(SOURCES), f"storm-{number:06}"
    right = honest(source, name, kind)
    special = {
        "honest": right,
        "told twice at once": replace(right, statuses=frozenset({200, 202}), twice=True),
        "told again later": replace(right, again=True),
        "slow": replace(right, manner=Manner.DRIPPING),
        "too slow": Shot(kind, right.post, frozenset({408}), Manner.STALLING),
        "connection lost": Shot(kind, right.post, frozenset({0}), Manner.LOST),
        "oversized, length untold": Shot(kind, _oversized(source, name), frozenset({413}), Manner.CHUNKED),
    }
    if kind in special:
        return special[kind]
    if kind == "refunded before it is told":
        return _refunded(kind, name, random)
    wrong, status = _wrong(kind, source, name, random)
    return Shot(kind, wrong, frozenset({status}))


def _wrong(kind: str, source: str, name: str, random: Random) -> tuple[Post, int]:
    """A delivery that must not be taken for an event, and the answer to it."""
    signing = random.choice(_SIGNING)
    post = signed(signing, name)
    other = signed(source, name, secret="whsec_bm90IHRoZSByaWdodCBvbmUsIG5vIGluZGVlZA==")
    return {
        "wrong signature": (other, 404 if source == "cnaught" else 401),
        "changed body": (replace(post, body=post.body.replace(b"80", b"90")), 401),
        "old timestamp": (signed(random.choice(_TIMED), name, age_s=random.randint(310, 10**6)), 401),
        "missing header": (replace(post, headers={}), 400),
        "cut short": (replace(post, body=post.body[: len(post.body) // 2]), 401),
        "not JSON": (signed(source, name, body=b"an order, honestly"), 400),
        "other topic": (signed(signing, name, topic="customer.created"), 202),
        "oversized": (_oversized(source, name), 413),
    }[kind]


def _oversized(source: str, name: str) -> Post:
    return replace(signed(source, name), body=b"{" + b" " * _OVERSIZED)
