"""The conclusion from a number of trials: the greatest probability of a fault that was seen this often."""

from math import exp, lgamma, log, log1p

#: The confidence with which the true share lies below the bound.
CONFIDENCE = 0.95


def upper_bound(events: int, trials: int) -> float:
    """
    The largest share of trials, 0 to 1, that ``events`` in ``trials`` does not contradict; one-sided, 95 %.

    The exact binomial bound of Clopper and Pearson; for no events it is close to ``3 / trials``.
    """
    if events >= trials:
        return 1.0
    low, high = events / trials, 1.0
    while high - low > 1e-12:  # noqa: PLR2004 - far below any printed digit
        middle = (low + high) / 2
        if _at_most(events, trials, middle) > 1 - CONFIDENCE:
            low = middle
        else:
            high = middle
    return high


def _at_most(events: int, trials: int, share: float) -> float:
    """The probability of at most this number of events where each trial has one with this probability."""
    return sum(
        exp(
            lgamma(trials + 1)
            - lgamma(number + 1)
            - lgamma(trials - number + 1)
            + number * log(share)
            + (trials - number) * log1p(-share)
        )
        for number in range(events + 1)
    )
