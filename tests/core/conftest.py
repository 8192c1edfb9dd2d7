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
