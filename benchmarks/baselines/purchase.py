"""What every baseline has to do, and how a careful program sends it."""

import os

import httpx

#: Purchases at once.
IN_FLIGHT = 8
#: How long a baseline waits for an answer, in seconds; the SDK, which sets no timeout, waits for ever.
TIMEOUT_S = 1.0


def orders() -> list[str]:
    """The orders that are to be placed; the environment says how many."""
    return [f"order-{number}" for number in range(int(os.environ["ORDERS"]))]


def metadata(order_id: str) -> dict[str, str]:
    """What tells the provider's records which order a purchase was for."""
    return {"order_id": order_id, "impactflow_key": f"baseline-{order_id}"}


def buy(order_id: str) -> str:
    """
    Buy one tree for an order.

    Returns:
        When the provider says that it was bought: its name for the purchase.

    Raises:
        httpx.HTTPError: No answer, or one that says no.
        ValueError: An answer that is no JSON.
    """
    answer = httpx.post(
        f"{os.environ['ONECLICKIMPACT_URL']}/v1/plant_tree",
        json={"amount": 1, "metadata": metadata(order_id)},
        headers={"x-api-key": os.environ["ONECLICKIMPACT_API_KEY"]},
        timeout=TIMEOUT_S,
        trust_env=False,
    )
    bought_at: str = answer.raise_for_status().json()["time_utc"]
    return bought_at
