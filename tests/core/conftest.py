"""Worlds for the tests of the core."""

import pytest
from refunding import UNDO
from world import RULE_OF, policy_of, sold


@pytest.fixture
def world_of(new_world, ledger_url):
    """Makes a world with a ledger in SQLite and in Postgres, whose policy undoes refunds."""

    def new(provider, orders=1, policy=UNDO, **more):
        return new_world(
            orders=[sold(number) for number in range(1, orders + 1)],
            policy=policy_of(RULE_OF[provider], **policy),
            ledger_url=ledger_url,
            **more,
        )

    return new


@pytest.fixture
def pooled(new_world, ledger_url):
    """Makes a world whose rules buy for many orders at once, with its ledger in SQLite and in Postgres."""

    def new(*rules, orders=(), faults="", **fields):
        policy = policy_of(*rules, **fields)
        return new_world(orders=list(orders), policy=policy, ledger_url=ledger_url, faults=faults)

    return new


@pytest.fixture
def credited(new_world, ledger_url):
    """Makes a world with the orders, whose policy undoes refunds, with its ledger in SQLite and in Postgres."""

    def new(*rules, orders, metadata="echo", **fields):
        policy = policy_of(*rules, **(UNDO | fields))
        return new_world(orders=list(orders), policy=policy, ledger_url=ledger_url, metadata=metadata)

    return new
