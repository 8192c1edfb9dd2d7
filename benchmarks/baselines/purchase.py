"""The task of every baseline, and the request as a careful program sends it."""

import os

import httpx

#: Number of purchases at a time.
IN_FLIGHT = 8
#: The time that a baseline waits for an answer, in seconds; the SDK, which sets no timeout, waits for ever.
TIMEOUT_S = 1.0


def orders() -> list[str]:
    """The orders to place; the environment gives their number."""
    return [f"order-{number}" for number in range(int(os.environ["ORDERS"]))]


def metadata(order_id: str) -> dict[str, str]:
    """The metadata that shows in the provider's records which order a purchase was for."""
    return {"order_id": order_id, "impactflow_key": f"baseline-{order_id}"}


def buy(order_id: str) -> str:
    """
    Buy one tree for an order.

    Returns:
        The time of the purchase according to the provider: its name for the purchase.

    Raises:
        httpx.HTTPError: No answer, or a refusal.
        ValueError: An answer that is not JSON.
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
