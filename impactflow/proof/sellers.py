"""
The sellers as the proof meets them, a descriptor for each: the rest of the proof has what is one seller's from here.

The earnings are worked out without ``impactflow.policy``, and the requests are written without ``impactflow.clients``.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from decimal import ROUND_HALF_UP, Decimal
from types import MappingProxyType
from typing import Any

from impactflow.models import ProviderName
from impactflow.sandbox import Request, cnaught, impactapi, oneclickimpact
from impactflow.sandbox.books import Purchase

#: A rule of a policy without its slot, and how much of the ledger's unit it earns for one item.
Earning = tuple[Mapping[str, Any], int]


@dataclass(frozen=True)
class Seller:
    """
    A seller.

    Args:
        rules: By slot, a rule for each kind of action that the seeds buy.
        earned: Returns the quantity that a paid order, as Wicked Reports writes it, earns under the policy of
            ``cli.pretend_shop``, in the ledger's unit; 0 for nothing.
        cancelling: Returns the requests that a person's click on the seller's pages sends to cancel a purchase.
        bought_by_others: Returns the request by which another buyer buys at the same account, from the impact, the
            quantity in the ledger's unit, and more fields of the body, as JSON behind a comma; None where such a
            purchase could never be taken for ours.
        decides_unless: The weaknesses under which the seller's answers do not decide what happened to a placement.
        names_customers: Whether its rules say by ``on_behalf_of`` whether the seller gets the customer's address.
    """

    rules: Mapping[str, Earning]
    earned: Callable[[Mapping[str, Any]], int]
    cancelling: Callable[[Purchase], Sequence[Request]]
    bought_by_others: Callable[[str, int, bytes], Request] | None = None
    decides_unless: frozenset[str] = frozenset()
    names_customers: bool = False


_OF_ONECLICKIMPACT = {"x-api-key": oneclickimpact.API_KEY}
_OF_CNAUGHT = {"authorization": f"Bearer {cnaught.API_KEY}"}
_OF_IMPACTAPI = {"authorization": f"Bearer {impactapi.API_KEY}"}
#: Paths where 1ClickImpact's word for an action differs from ours.
_PATHS = {"plant_trees": "plant_tree", "donate": "donate_money"}
#: The rates of the pretend shop's policy.
_USD_PER = {"USD": "1", "EUR": "1.08", "GBP": "1.27", "CAD": "0.70", "AUD": "0.64"}


def _one_tree(_: Mapping[str, Any]) -> int:
    return 1


def _grams_for_items(order: Mapping[str, Any]) -> int:
    return sum(2_500 * product.get("qty", 1) for product in order.get("products") or ())


def _percent_in_cents(order: Mapping[str, Any]) -> int:
    if order.get("amount") is None or order.get("currency") is None:
        return 0
    cents = Decimal(str(order["amount"])) * Decimal(_USD_PER[order["currency"]])  # one percent, times a hundred cents
    return int(cents.quantize(Decimal(1), ROUND_HALF_UP))


def _cancelling_impact(purchase: Purchase) -> Sequence[Request]:
    user_id, time_utc = purchase.ref.split("|")
    body = json.dumps({"user_id": user_id, "time_utc": time_utc}).encode()
    return [Request("POST", "/oneclickimpact/v1/cancel_impact", "", _OF_ONECLICKIMPACT, body)]


def _cancelling_order(purchase: Purchase) -> Sequence[Request]:
    return [Request("POST", f"/cnaught/v1/orders/{purchase.ref}/cancel", "", _OF_CNAUGHT)]


def _cancelling_intents(purchase: Purchase) -> Sequence[Request]:
    paths = [f"/impactapi/donation_intents/{intent}/cancel" for intent in purchase.intents]
    return [Request("PUT", path, "", _OF_IMPACTAPI) for path in paths]


def _others_impact(impact: str, quantity: int, fields: bytes) -> Request:
    path = f"/oneclickimpact/v1/{_PATHS.get(impact, impact)}"
    return Request("POST", path, "", _OF_ONECLICKIMPACT, b'{"amount":%d%s}' % (quantity, fields))


def _others_order(_: str, grams: int, fields: bytes) -> Request:
    return Request("POST", "/cnaught/v1/orders", "", _OF_CNAUGHT, b'{"amount_kg":%d%s}' % (grams // 1000, fields))


#: The sellers. The chances of every seed depend on the order of the sellers and of their rules.
SELLERS: Mapping[ProviderName, Seller] = MappingProxyType(
    {
        ProviderName.ONECLICKIMPACT: Seller(
            rules={
                "trees": ({"provider": "oneclickimpact", "impact": "plant_trees", "quantity": {"per_item": 1}}, 1),
                "ocean": ({"provider": "oneclickimpact", "impact": "clean_ocean", "quantity": {"per_item": 2}}, 2),
                "carbon": ({"provider": "oneclickimpact", "impact": "capture_carbon", "quantity": {"per_item": 3}}, 3),
                "coral": ({"provider": "oneclickimpact", "impact": "restore_coral", "quantity": {"per_item": 1}}, 1),
                "gift": ({"provider": "oneclickimpact", "impact": "donate", "quantity": {"per_item": 25}}, 25),
            },
            earned=_one_tree,
            cancelling=_cancelling_impact,
            bought_by_others=_others_impact,
            names_customers=True,
        ),
        ProviderName.CNAUGHT: Seller(
            rules={
                "offset": ({"provider": "cnaught", "impact": "offset", "quantity": {"per_item": Decimal("2.5")}}, 2_500)
            },
            earned=_grams_for_items,
            cancelling=_cancelling_order,
            bought_by_others=_others_order,
            decides_unless=frozenset({"metadata_dropped"}),
        ),
        ProviderName.IMPACTAPI: Seller(
            rules={
                "giving": (
                    {
                        "provider": "impactapi",
                        "impact": "donate",
                        "campaign": "trees-for-the-future",
                        "quantity": {"per_item": 40},
                    },
                    40,
                )
            },
            earned=_percent_in_cents,
            cancelling=_cancelling_intents,
        ),
    }
)
#: The rule for each kind of action, by slot.
RULES: Mapping[str, Earning] = MappingProxyType(
    {slot: earning for seller in SELLERS.values() for slot, earning in seller.rules.items()}
)
