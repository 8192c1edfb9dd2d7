"""What rules ask of an order, in the columns of a file: held against what the policy earns without them."""

from datetime import UTC, datetime
from decimal import Decimal

import pytest
from world import GIVING, OFFSET, TREES, policy_of

from impactflow.intake.columns import columns_needed
from impactflow.models import Order, Payment

PER_ITEM = TREES | {"quantity": {"per_item": 1}}
PER_ORDER = TREES | {"quantity": {"per_order": 1}}
#: What an order is without a column.
WITHOUT = {
    "amount": {"amount": None},
    "currency": {"currency": None},
    "item_count": {"item_count": None},
    "customer_email": {"is_first": None},
    "subscription": {"is_subscription": None},
}
#: What ``first_order`` and ``subscription`` ask for here is so.
FULL = {
    "amount": Decimal(80), "currency": "USD", "item_count": Decimal(2), "is_first": True, "is_subscription": True
}  # fmt: skip


@pytest.mark.parametrize(
    "rule",
    [
        PER_ORDER,
        PER_ITEM,
        GIVING,
        OFFSET | {"quantity": {"per_amount": {"quantity": 1, "per": 10, "currency": "EUR"}}},
        PER_ORDER | {"when": {"min_items": 2}},
        PER_ORDER | {"when": {"currencies": ["USD"]}},
        PER_ORDER | {"when": {"min_amount": {"USD": 10}}},
        PER_ORDER | {"when": {"max_amount_usd": 100}},
        PER_ORDER | {"when": {"first_order": True}},
        PER_ORDER | {"when": {"subscription": True}},
        PER_ORDER | {"when": {"not_paid_with": ["cod"]}},
    ],
)
def test_m4_the_columns_that_a_rule_needs_are_those_without_which_it_earns_nothing(rule):
    """Neither one more nor one less."""
    policy = policy_of(rule, fx={"as_of": "2026-03-01", "usd_per": {"EUR": Decimal("1.1")}})

    def earns(**changes):
        at = datetime(2026, 3, 1, tzinfo=UTC)
        order = Order("file:1", ("src:file:1",), at, payments=(Payment("APPROVED"),), **FULL | changes)
        return bool(policy.earnings(order).impacts)

    assert earns()
    needed = {column for column, fields in WITHOUT.items() if not earns(**fields)}
    assert {column: [rule["slot"]] for column in needed} == columns_needed(policy)


def test_m4_a_rule_for_one_system_needs_the_file_to_name_it():
    """Lines that name none are the file's own."""
    assert {"source_system": ["trees"]} == columns_needed(policy_of(PER_ORDER | {"when": {"sources": ["shopify"]}}))
    assert {} == columns_needed(policy_of(PER_ORDER | {"when": {"sources": ["file"]}}))
