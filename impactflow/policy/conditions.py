"""
The conditions of a rule: the orders that it counts, and the products of these orders.

All conditions that are set must hold. Where an order does not say enough to decide, it earns nothing under the rule,
and the reason says what is missing.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from decimal import Decimal
from functools import cached_property
from typing import Annotated, Any, Literal, Self

from pydantic import ConfigDict, Field, model_validator

from impactflow.models import Click, Product
from impactflow.policy.fields import Currency, NotEmpty, Number, Strict, Text, Written, wrong, wrong_at
from impactflow.policy.priced_order import NotEarned, PricedOrder


def _small(text: str) -> str:
    """Return text as it is compared: without regard to capitals."""
    return text.strip().casefold()


class _Some(Strict):
    """A mapping in which at least one field is set."""

    @model_validator(mode="after")
    def _says_something(self) -> Self:
        if not self.is_set:
            raise wrong(f"must have at least one of {', '.join(type(self).model_fields)}")
        return self

    @property
    def is_set(self) -> Mapping[str, Any]:
        """The fields that are set."""
        return {name: value for name in type(self).model_fields if (value := getattr(self, name)) is not None}


def _some_of(*names: str) -> ConfigDict:
    """Return the rule of ``_Some`` as JSON Schema."""
    one: list[Any] = [{"required": [name], "properties": {name: {"not": {"const": None}}}} for name in names]
    return ConfigDict(json_schema_extra={"anyOf": one})


class Products(_Some):
    """Products of an order: those that match at least one of these fields."""

    model_config = _some_of("ids", "names", "gift_cards")
    written = '{names: ["*gift card*"]}'

    ids: Annotated[tuple[Text, ...], NotEmpty()] | None = None
    """The product's id, its variant's id or its SKU, as the shop has them."""
    names: Annotated[tuple[Text, ...], NotEmpty()] | None = None
    """Names, where * stands for any letters and capitals do not matter: "*gift card*"."""
    gift_cards: Literal[True] | None = None
    """Gift cards, where the shop says that a product is one, as Shopify does."""

    def mean(self, product: Product) -> bool:
        """Whether a product matches."""
        if self.gift_cards and product.is_gift_card:
            return True
        name = _small(product.name or "")
        return not self._ids.isdisjoint(product.ids) or any(each.fullmatch(name) for each in self._patterns)

    @cached_property
    def _ids(self) -> frozenset[str]:
        return frozenset(each.strip() for each in self.ids or ())

    @cached_property
    def _patterns(self) -> Sequence[re.Pattern[str]]:
        pieces = [map(re.escape, _small(each).split("*")) for each in self.names or ()]
        return [re.compile(".*".join(each), re.DOTALL) for each in pieces]


class LastClick(_Some):
    """The last click before the order, as Wicked Reports attributes it; each field set here must match, in any case."""

    model_config = _some_of("source", "medium", "campaign", "content", "term")
    written = "{campaign: earth-day}"

    source: Text | None = None
    """The source of the click, such as google."""
    medium: Text | None = None
    """The kind of link, such as cpc or email."""
    campaign: Text | None = None
    """The campaign that the link names."""
    content: Text | None = None
    """The link within the campaign."""
    term: Text | None = None
    """The word that was searched for."""

    def is_like(self, click: Click) -> bool:
        """Whether a click matches."""
        return all(_small(getattr(click, name) or "") == wanted for name, wanted in self._wanted.items())

    @cached_property
    def _wanted(self) -> Mapping[str, str]:
        return {name: _small(value) for name, value in self.is_set.items()}


_Thresholds = Annotated[
    dict[Currency, Number],
    Written("{EUR: 50}"),
    NotEmpty(),
    Field(json_schema_extra={"additionalProperties": False}),
]


class When(Strict):
    """Conditions; all that are set must hold."""

    written = "{min_amount: {EUR: 50}}"

    sources: Annotated[tuple[Text, ...], NotEmpty()] | None = None
    """Only orders that one of these systems sold, as Wicked Reports or the webhook names it: shopify, stripe."""
    not_sources: Annotated[tuple[Text, ...], NotEmpty()] | None = None
    """No orders of these systems: where both a shop and its payment provider report, each sale comes twice."""
    currencies: Annotated[tuple[Currency, ...], NotEmpty()] | None = None
    """Only orders paid in one of these currencies."""
    products: Products | None = None
    """
    Only these products count: the rule takes the order's items and amount without the others. An order without any of
    them earns nothing.
    """
    not_products: Products | None = None
    """These products do not count: the rule takes the order's items and amount without them."""
    not_paid_with: Annotated[tuple[Text, ...], NotEmpty()] | None = None
    """No orders paid only in these ways, as the shop names them: gift_card, cod."""
    subscription: Annotated[bool, Field(strict=True)] | None = None
    """true: only payments of subscriptions; false: none of them."""
    first_order: Annotated[bool, Field(strict=True)] | None = None
    """true: only a customer's first order; false: only later ones. A customer is known by e-mail address."""
    last_click: LastClick | None = None
    """Only orders whose last click, as Wicked Reports attributes it, matches this."""
    min_items: Number | None = None
    """The fewest items that an order must have."""
    min_amount: _Thresholds | None = None
    """
    The smallest amount of an order in its own currency: {EUR: 50, JPY: 8000}. An order in a currency that is not
    named here earns nothing; ``min_amount_usd`` is for all currencies.
    """
    max_amount: _Thresholds | None = None
    """The largest amount of an order in its own currency; an order in a currency not named here earns nothing."""
    min_amount_usd: Number | None = None
    """The smallest amount of an order in USD, by the rates in ``fx``."""
    max_amount_usd: Number | None = None
    """The largest amount of an order in USD, by the rates in ``fx``."""

    @model_validator(mode="after")
    def _some_amount_fits(self) -> Self:
        _check_order(self.min_amount_usd, self.max_amount_usd, ("max_amount_usd",), "min_amount_usd")
        for currency, most in (self.max_amount or {}).items():
            least = (self.min_amount or {}).get(currency)
            _check_order(least, most, ("max_amount", currency), f"min_amount of {currency}")
        return self

    def may_hold_for(self, sources: frozenset[str]) -> bool:
        """Whether an order that these systems sold can meet the conditions on sources."""
        is_wanted = self.sources is None or not sources.isdisjoint(map(_small, self.sources))
        return is_wanted and sources.isdisjoint(map(_small, self.not_sources or ()))

    @property
    def needs_lines(self) -> str | None:
        """The name of a condition that looks at an order's products; None where none does."""
        conditions = {name: getattr(self, name) is not None for name in ("products", "not_products", "min_items")}
        return next((name for name, is_set in conditions.items() if is_set), None)

    def counted(self, sale: PricedOrder) -> PricedOrder:
        """
        Return the sale with only the products that count.

        Raises:
            NotEarned: No product counts, or the order does not list its products.
        """
        if self.products is None and self.not_products is None:
            return sale
        products = sale.order.products
        if not products:
            raise NotEarned("the order lists no products")
        counted = [each for each in products if self._counts(each)]
        if not any(each.quantity for each in counted):
            raise NotEarned("none of its products counts")
        if len(counted) == len(products):
            return sale
        others = [each.amount for each in products if not self._counts(each)]
        known = [amount for amount in others if amount is not None]
        return PricedOrder(
            replace(sale.order, item_count=sum((each.quantity for each in counted), Decimal(0))),
            sale.usd_per,
            left_out=sum((max(each, Decimal(0)) for each in known), Decimal(0)) if len(known) == len(others) else None,
        )

    def _counts(self, product: Product) -> bool:
        wanted = self.products is None or self.products.mean(product)
        return wanted and not (self.not_products is not None and self.not_products.mean(product))

    def check(self, sale: PricedOrder) -> None:
        """
        Check all conditions; those that need no rate come first, so that an order is not held for an unneeded rate.

        Raises:
            NotEarned: A condition does not hold, or the order does not say enough to decide.
            NeedsAttention: The order's currency has no rate.
        """
        self._check_source(sale)
        self._check_customer(sale)
        self._check_click(sale)
        self._check_worth(sale)

    def _check_source(self, sale: PricedOrder) -> None:
        sources, ways = sale.order.sources, {_small(each) for each in sale.order.paid_with}
        if self.sources is not None and sources.isdisjoint(map(_small, self.sources)):
            raise NotEarned(f"its source is not {' or '.join(self.sources)}")
        if self.not_sources is not None and (unwanted := sources.intersection(map(_small, self.not_sources))):
            raise NotEarned(f"its source is {' and '.join(sorted(unwanted))}")
        if self.not_paid_with is not None and ways and ways <= set(map(_small, self.not_paid_with)):
            raise NotEarned(f"it was paid with {' and '.join(sorted(ways))}")

    def _check_customer(self, sale: PricedOrder) -> None:
        subscription, first = sale.order.is_subscription, sale.order.is_first
        if self.subscription is not None and subscription is not self.subscription:
            raise NotEarned(_SUBSCRIPTION[subscription])
        if self.first_order is not None and first is not self.first_order:
            raise NotEarned(_FIRST[first])

    def _check_click(self, sale: PricedOrder) -> None:
        if self.last_click is None:
            return
        if sale.order.last_click is None:
            raise NotEarned("no last click is known: only Wicked Reports has it")
        if not self.last_click.is_like(sale.order.last_click):
            raise NotEarned("its last click is another one")

    def _check_worth(self, sale: PricedOrder) -> None:
        if self.currencies is not None and sale.currency not in self.currencies:
            raise NotEarned(f"{sale.currency} is not one of {', '.join(self.currencies)}")
        if self.min_items is not None and sale.items < self.min_items:
            raise NotEarned(f"the order has fewer than {self.min_items:f} items")
        if self.min_amount is not None and sale.amount < (least := _threshold(self.min_amount, "min_amount", sale)):
            raise NotEarned(f"the order is worth less than {least:f} {sale.currency}")
        if self.max_amount is not None and sale.amount > (most := _threshold(self.max_amount, "max_amount", sale)):
            raise NotEarned(f"the order is worth more than {most:f} {sale.currency}")
        if self.min_amount_usd is not None and sale.amount_usd < self.min_amount_usd:
            raise NotEarned(f"the order is worth less than {self.min_amount_usd:f} USD")
        if self.max_amount_usd is not None and sale.amount_usd > self.max_amount_usd:
            raise NotEarned(f"the order is worth more than {self.max_amount_usd:f} USD")


#: The reasons for an order that is not as a rule wants it.
_SUBSCRIPTION = {
    True: "it is a payment of a subscription",
    False: "it is no payment of a subscription",
    None: "the order does not say whether it is of a subscription",
}
_FIRST = {
    True: "it is the customer's first order",
    False: "it is not the customer's first order",
    None: "the order does not say who bought it",
}


def _threshold(thresholds: Mapping[str, Decimal], name: str, sale: PricedOrder) -> Decimal:
    if sale.currency not in thresholds:
        raise NotEarned(f"{name} has no {sale.currency}")
    return thresholds[sale.currency]


def _check_order(least: Decimal | None, most: Decimal | None, where: tuple[str, ...], named: str) -> None:
    if least is not None and most is not None and least > most:
        raise wrong_at(where, f"must not be below {named}", most)
