"""
The rules of a policy, one model for each kind of impact from each seller, and what one order earns under a rule.

The models are the specification: a file that they accept loads, and ``policy schema`` prints them. Limits are those of
the providers' references (read 2026-11-21), checked before anything is bought.
"""

from collections.abc import Mapping
from decimal import Decimal
from fractions import Fraction
from functools import cached_property
from math import ceil, floor
from types import MappingProxyType
from typing import Annotated, Any, ClassVar, Literal, Self, get_args

from pydantic import ConfigDict, Discriminator, Field, Tag, model_validator

from impactflow.models import UNIT_OF, Impact, Kind, ProviderName, Unearned, parts_of
from impactflow.policy.conditions import When
from impactflow.policy.fields import UNLIMITED, HoldDays, Limit, Number, Slot, Strict, Text, wrong_at
from impactflow.policy.pools import Buy
from impactflow.policy.priced_order import NeedsAttention, NotEarned, PricedOrder
from impactflow.policy.quantities import (
    DonationQuantity,
    PerAmount,
    PercentOfOrder,
    PerItem,
    Quantity,
    Rounding,
    rounded,
)
from impactflow.units import WHOLE

_GRAMS: Mapping[str, Fraction] = MappingProxyType(
    {"g": Fraction(1), "kg": Fraction(1000), "lb": Fraction("453.59237")}  # the international pound, exact since 1959
)

#: The most for one order that is bought without a person's approval where the rule says nothing, in ``UNIT_OF``: the
#: impact of a shop's largest orders under common rules, and at most some hundred USD, so that a slip costs little.
DEFAULT_LIMIT: Mapping[Kind, int] = MappingProxyType(
    {
        Kind.PLANT_TREES: 500,
        Kind.CLEAN_OCEAN: 1_000,
        Kind.CAPTURE_CARBON: 10_000,
        Kind.RESTORE_CORAL: 500,
        Kind.DONATE: 50_000,  # 500 USD
        Kind.OFFSET: 5_000_000,  # 5 t
    }
)
#: A customer who is named in a rule, rather than by its default.
_ASKED = ("customer", True)
#: The default limit of a slot for one day, as a multiple of the limit for one order.
A_DAY = 100


class Refunds(Strict):
    """The effect of a refund on what was bought for the order."""

    full: Literal["keep", "undo"] = "keep"
    """
    A full refund: keep what was bought, or undo it (cancel it at the provider), by `impactflow refunds`. What cannot be
    cancelled is credit: the next orders are covered with it before anything is bought.
    """
    partial: Literal["keep", "pro_rata"] = "keep"
    """
    A refund of a part: keep what was bought, or make credit of what the order does not earn any more by its amount
    after the refund (pro_rata), in rules that count money. Needs Partially Refunded in ``eligible_payments``.
    """


class Rule(Strict):
    """What all rules have in common."""

    #: The most that the provider sells at once, in ``UNIT_OF`` the impact.
    most: ClassVar[int] = 10_000_000
    #: The fields that are sent to the provider, where they are set.
    option_fields: ClassVar[tuple[str, ...]] = ()

    slot: Slot
    """A lasting name, part of every idempotency key: renaming it would buy again."""
    provider: ProviderName
    """The seller."""
    impact: Kind
    """The impact that is bought."""
    quantity: DonationQuantity
    """The quantity: exactly one of the ways."""
    rounding: Rounding = Rounding.NEAREST
    """
    The way to a whole number of the smallest thing that can be bought; nearest: halves go up; carry, with ``buy``: none
    for an order, since fractions are added up over the orders of a purchase, and what is left over goes to the next.
    """
    buy: Annotated[Literal["per_order"] | Buy, Field(exclude=True)] = "per_order"
    """
    One purchase for each order, or one for many. A purchase for many is made for no customer; an order about which a
    person decides is still bought for by itself.
    """
    minimum: Number | None = None
    """
    The smallest purchase: less than this buys nothing, and with ``buy`` waits for more. Counted as the rule's quantity
    is: in trees, coral fragments, kg or lb (``unit``), and in cents for donations, where 500 is 5 USD.
    """
    most_per_order: Number | None = None
    """The most that one order earns, counted as the rule's quantity is: an order that comes to more earns just this."""
    approve_above: Limit | None = None
    """
    The most that is bought for one order without a person's approval; 0: always ask, unlimited: never ask. Counted
    as the rule's quantity is: in trees, coral fragments, kg or lb (``unit``), and in cents for donations, where 5000 is
    50 USD. Unless set: 500 trees, 1,000 lb of waste, 10,000 lb of CO2 captured, 500 coral fragments, 500 USD given, 5 t
    of CO2 offset. With ``buy`` the limit goes for a purchase for many orders, too, if it is set.
    """
    approve_above_per_day: Limit | None = None
    """
    The most that is planned in this slot on one UTC day without a person's approval; unlimited: no limit. Counted as
    ``approve_above`` is, in cents for donations. Unless set: a hundred times what ``approve_above`` is unless set.
    """
    hold_days: HoldDays | None = None
    """Days after the sale before which nothing is bought in this slot. Unless set: the policy's ``hold_days``."""
    price_usd: Annotated[Number | None, Field(exclude=True)] = None
    """
    The price in USD of one unit of the rule's quantity, for ``impactflow plan`` and for caps in USD. Donations cost
    what they are.
    """
    refunds: Annotated[Refunds | None, Field(exclude=True)] = None
    """The effect of a refund on what was bought in this slot. Unless set: the policy's ``refunds``."""
    when: When = When()
    """Conditions on the order; without any, every order earns the impact."""

    @model_validator(mode="after")
    def _room_for_a_purchase(self) -> Self:
        if self.most_of_order is not None and self.most_of_order < (1 if self.is_pooled else self.least):
            smallest = "the rule's minimum" if self.minimum else "the smallest thing that can be bought"
            raise wrong_at(("most_per_order",), f"must not be less than {smallest}", self.most_per_order)
        return self

    @model_validator(mode="after")
    def _carries_to_other_orders(self) -> Self:
        if self.rounding is Rounding.CARRY and not self.is_pooled:
            message = "needs one purchase for many orders, such as buy: {every: day} or buy: {at_least: 1}"
            raise wrong_at(("rounding",), message, self.rounding.value)
        return self

    def earn(self, sale: PricedOrder, hold_days: int) -> Impact | Unearned:
        """
        Return the impact that the order earns by this rule, or why it earns none, or why it waits for a person.

        Args:
            sale: The order.
            hold_days: The days of hold where the rule says none.
        """
        hold_days = hold_days if self.hold_days is None else self.hold_days
        try:
            counted = self.when.counted(sale)
            self.when.check(counted)
            return self._impact(sale, hold_days, exact=self._earned(counted), held=None)
        except NotEarned as nothing:
            return Unearned(self.slot, str(nothing))
        except NeedsAttention as needs:
            return self._impact(sale, hold_days, exact=None, held=str(needs))

    def counts_items_of(self, source: str) -> str | None:
        """Name the part of the rule, such as per_item, that looks at items of this system's orders; None for none."""
        if not self.when.may_hold_for(frozenset({source})):
            return None
        if isinstance(self.quantity, PerItem):
            return "per_item"
        return self.when.needs_lines

    @property
    def counts_money(self) -> bool:
        """Whether the quantity goes by the order's amount."""
        return isinstance(self.quantity, PerAmount | PercentOfOrder)

    @property
    def takes_credit(self) -> bool:
        """Whether an order may be covered by what was bought for others: not where the seller writes to customers."""
        return True

    def lot(self, quantity: int) -> Impact:
        """Return the impact to be bought at once for many orders, in ``UNIT_OF`` the impact."""
        return Impact(
            slot=self.slot,
            provider=self.provider,
            kind=self.impact,
            quantity=quantity,
            options=self._options,
            approval_limit=None if self.approve_above is None else self.approval_limit,
            day_limit=self.day_limit,
        )

    def _earned(self, sale: PricedOrder) -> Fraction:
        """Return the quantity in ``UNIT_OF`` the impact; rounded once, here, unless fractions are carried."""
        unit = UNIT_OF[self.impact]
        exact = self.quantity.of(sale) * self.scale
        if self.rounding is not Rounding.CARRY:
            exact = Fraction(rounded(exact, self.rounding))
        if self.most_of_order is not None:
            exact = min(exact, Fraction(self.most_of_order))
        if self.is_pooled and not parts_of(exact):
            raise NotEarned(f"it comes to less than anything of a {unit}")
        if not self.is_pooled and exact < self.least:
            # Without the quantity, so that all such orders are reported as one number.
            raise NotEarned(f"it comes to less than the minimum of {self.least} {unit}")
        if exact > self.most:
            raise NeedsAttention(
                f"it comes to {floor(exact)} {unit}, above the most that {self.provider} sells at once: {self.most}"
            )
        return exact

    @property
    def _options(self) -> dict[str, str | bool]:
        return {name: value for name in self.option_fields if (value := getattr(self, name))}

    def _impact(self, sale: PricedOrder, hold_days: int, *, exact: Fraction | None, held: str | None) -> Impact:
        return Impact(
            slot=self.slot,
            provider=self.provider,
            kind=self.impact,
            quantity=None if exact is None else max(1, rounded(exact, self.rounding)),
            options=self._options,
            on_behalf_of_customer=self._for_customer and not self.is_pooled and sale.order.customer_email is not None,
            held=held,
            approval_limit=self.approval_limit,
            is_default_limit=self.approve_above is None,
            day_limit=self.day_limit,
            hold_days=hold_days,
            share=exact if self.is_pooled else None,
        )

    @property
    def is_pooled(self) -> bool:
        """Whether one purchase is made for many orders."""
        return isinstance(self.buy, Buy)

    @cached_property
    def usd_of_one(self) -> Fraction | None:
        """The price in USD of one of ``UNIT_OF`` the impact; None where the rule says no price."""
        if self.impact is Kind.DONATE:
            return Fraction(1, 100)
        return None if self.price_usd is None else Fraction(self.price_usd) / self.scale

    def cost_usd(self, quantity: int) -> Decimal | None:
        """The cost of a quantity in ``UNIT_OF`` the impact, in USD to the cent; None where the rule says no price."""
        if self.usd_of_one is None:
            return None
        return Decimal(rounded(quantity * self.usd_of_one * 100, Rounding.NEAREST)) / 100

    @cached_property
    def least(self) -> int:
        """The smallest purchase, in ``UNIT_OF`` the impact."""
        return max(1, ceil(Fraction(self.minimum) * self.scale)) if self.minimum is not None else 1

    @cached_property
    def most_of_order(self) -> int | None:
        """The most that one order earns, in ``UNIT_OF`` the impact; None for no limit."""
        return None if self.most_per_order is None else floor(Fraction(self.most_per_order) * self.scale)

    @cached_property
    def approval_limit(self) -> int | None:
        """The most that is bought without a person's approval, in ``UNIT_OF`` the impact; None for no limit."""
        return self._limit(self.approve_above, DEFAULT_LIMIT[self.impact])

    @cached_property
    def day_limit(self) -> int | None:
        """The most that is planned on one UTC day without a person's approval, in the same unit; None for no limit."""
        return self._limit(self.approve_above_per_day, A_DAY * DEFAULT_LIMIT[self.impact])

    def _limit(self, limit: Decimal | str | None, default: int) -> int | None:
        if limit is None:
            return default
        return None if limit == UNLIMITED else floor(Fraction(limit) * self.scale)

    @cached_property
    def scale(self) -> Fraction:
        """The number of ``UNIT_OF`` the impact in one of the rule's unit."""
        return Fraction(1)

    @property
    def counts_in(self) -> str:
        """The unit of the rule's quantity, minimum and limits, for a person."""
        return WHOLE[UNIT_OF[self.impact]]

    @property
    def _for_customer(self) -> bool:
        return False


class _Weighed(Rule):
    """A rule about a weight, which may be given in either unit."""

    unit: Literal["kg", "lb"]
    """The unit of the rule's quantity and limits: 1 lb is 0.45359237 kg."""

    @cached_property
    def scale(self) -> Fraction:
        """The number of ``UNIT_OF`` the impact in one of the rule's unit."""
        return _GRAMS[self.unit] / _GRAMS[UNIT_OF[self.impact]]

    @property
    def counts_in(self) -> str:
        """The unit of the rule's quantity, minimum and limits, for a person."""
        return self.unit


class _OneClickImpact(Rule):
    """What 1ClickImpact sells."""

    model_config = ConfigDict(
        json_schema_extra={
            "not": {
                "properties": {"notify": {"const": True}, "on_behalf_of": {"const": "merchant"}},
                "required": ["notify", "on_behalf_of"],
            }
        }
    )
    option_fields: ClassVar[tuple[str, ...]] = ("notify",)

    provider: Literal[ProviderName.ONECLICKIMPACT]
    """1ClickImpact."""
    on_behalf_of: Literal["customer", "merchant"] = "customer"
    """customer: 1ClickImpact receives the customer's e-mail address, if the order has one; merchant: never."""
    notify: Annotated[bool, Field(strict=True)] = False
    """true: 1ClickImpact writes to the customer."""

    @model_validator(mode="after")
    def _someone_to_notify(self) -> Self:
        if self.notify and self.on_behalf_of == "merchant":
            raise wrong_at(
                ("notify",), "must be false where on_behalf_of is merchant: there is no customer to tell", True
            )
        if self.is_pooled and (self.notify or (self.on_behalf_of, "on_behalf_of" in self.model_fields_set) == _ASKED):
            field = "notify" if self.notify else "on_behalf_of"
            raise wrong_at((field,), "cannot be with buy: a purchase for many orders is made for no customer", True)
        return self

    @property
    def takes_credit(self) -> bool:
        """Whether an order may be covered by what was bought for others: not where the seller writes to customers."""
        return not self.notify

    @property
    def _for_customer(self) -> bool:
        return self.on_behalf_of == "customer"


class PlantTrees(_OneClickImpact):
    """Trees; whole ones."""

    option_fields = ("category", "notify")

    impact: Literal[Kind.PLANT_TREES]
    """Trees planted."""
    quantity: Quantity
    """The number of trees."""
    category: Literal["food"] | None = None
    """food: trees that feed people."""


class CleanOcean(_OneClickImpact, _Weighed):
    """Waste taken out of the ocean; whole pounds."""

    impact: Literal[Kind.CLEAN_OCEAN]
    """Waste removed from the ocean."""
    quantity: Quantity
    """The amount of waste, in ``unit``."""
    unit: Literal["kg", "lb"] = "lb"
    """The unit of the rule's quantity and limits: 1 lb is 0.45359237 kg."""


class CaptureCarbon(_OneClickImpact, _Weighed):
    """CO2 captured; whole pounds."""

    impact: Literal[Kind.CAPTURE_CARBON]
    """CO2 captured."""
    quantity: Quantity
    """The amount of CO2, in ``unit``."""
    unit: Literal["kg", "lb"] = "lb"
    """The unit of the rule's quantity and limits: 1 lb is 0.45359237 kg."""


class RestoreCoral(_OneClickImpact):
    """Coral; whole fragments."""

    impact: Literal[Kind.RESTORE_CORAL]
    """Coral restored."""
    quantity: Quantity
    """The number of fragments."""


class OneClickDonation(_OneClickImpact):
    """Money given through 1ClickImpact; whole cents."""

    most = 1_000_000_000
    option_fields = ("category", "notify")

    impact: Literal[Kind.DONATE]
    """Money given."""
    quantity: DonationQuantity
    """The number of cents (``per_order: 50`` is 0.50 USD), or the percentage of the order."""
    category: Text | None = None
    """The cause, as the account has it."""


class QuoteLimit(Strict):
    """The most that an offset may cost; CNaught is asked for its price before each order, and a dearer one waits."""

    at_most_usd_per_t: Number
    """The most in USD for a tonne of CO2."""


class Offset(_Weighed):
    """CO2 offset through CNaught; whole grams."""

    #: CNaught states no limit; this is our own guard against a slip: ten thousand tonnes, in grams.
    most = 10_000_000_000
    option_fields = ("portfolio_id", "description")

    provider: Literal[ProviderName.CNAUGHT]
    """CNaught."""
    impact: Literal[Kind.OFFSET]
    """CO2 offset."""
    quantity: Quantity
    """The amount of CO2, in ``unit``."""
    unit: Literal["kg", "lb"] = "kg"
    """The unit of the rule's quantity and limits: 1 lb is 0.45359237 kg."""
    portfolio_id: Text | None = None
    """One of the account's portfolios; without this, the default portfolio."""
    description: Text | None = None
    """Shown on the certificate, to anyone."""
    quote: Annotated[QuoteLimit | None, Field(exclude=True)] = None
    """The most that it may cost when it is bought."""

    @property
    def _options(self) -> dict[str, str | bool]:
        most = {"at_most_usd_per_t": f"{self.quote.at_most_usd_per_t:f}"} if self.quote else {}
        return super()._options | most


class ImpactAPIDonation(Rule):
    """Money given through ImpactAPI; whole cents."""

    most = 1_000_000_000
    option_fields = ("campaign",)

    provider: Literal[ProviderName.IMPACTAPI]
    """ImpactAPI."""
    impact: Literal[Kind.DONATE]
    """Money given."""
    quantity: DonationQuantity
    """The number of cents (``per_order: 50`` is 0.50 USD), or the percentage of the order."""
    campaign: Text
    """The campaign that receives the money: its slug or id."""


def _sold(rule: Any) -> str:
    """Return the tag of the model that fits a rule, from its provider and impact."""
    if isinstance(rule, Rule):
        return f"{rule.provider} {rule.impact}"
    if isinstance(rule, dict):
        return f"{rule.get('provider')} {rule.get('impact')}"
    return str(rule)


_AnyModel = (
    Annotated[PlantTrees, Tag("oneclickimpact plant_trees")]
    | Annotated[CleanOcean, Tag("oneclickimpact clean_ocean")]
    | Annotated[CaptureCarbon, Tag("oneclickimpact capture_carbon")]
    | Annotated[RestoreCoral, Tag("oneclickimpact restore_coral")]
    | Annotated[OneClickDonation, Tag("oneclickimpact donate")]
    | Annotated[Offset, Tag("cnaught offset")]
    | Annotated[ImpactAPIDonation, Tag("impactapi donate")]
)


def _offers() -> str:
    """Each seller with what it sells, for a person."""
    impacts: dict[str, list[str]] = {}
    for rule in get_args(_AnyModel):
        (tag,) = rule.__metadata__
        seller, impact = tag.tag.split()
        impacts.setdefault(seller, []).append(impact)
    return ", or ".join(f"{seller} with {' or '.join(sold)}" for seller, sold in impacts.items())


AnyRule = Annotated[
    _AnyModel,
    Discriminator(_sold, custom_error_type="policy", custom_error_message=f"provider and impact must be {_offers()}"),
]
