"""What the proof knows of each seller."""

from pathlib import Path

from impactflow.models import ProviderName
from impactflow.policy.reading import parse_policy
from impactflow.proof.bookkeeping import POLICY
from impactflow.proof.sellers import SELLERS


def test_the_seeds_and_the_pretend_shop_buy_from_every_seller():
    """A seller that either of them leaves out would never be put to the proof."""
    assert [*SELLERS] == [*ProviderName]
    assert {rule.provider for rule in parse_policy(POLICY, Path("policy.yaml")).rules} == set(ProviderName)


def test_the_rules_of_a_descriptor_are_of_its_seller():
    """Its click and its purchases of others are about no other seller."""
    for name, seller in SELLERS.items():
        assert {rule["provider"] for rule, _ in seller.rules.values()} == {name}
