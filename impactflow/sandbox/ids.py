"""Identifiers that look like the providers' own, drawn from a seed."""

import re
from datetime import datetime
from random import Random

_CROCKFORD = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
_ULID = re.compile(f"[0-7][{_CROCKFORD}]{{25}}", re.ASCII | re.IGNORECASE)
_ALPHANUMERIC = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"


class Ids:
    """The identifiers that one provider gives out."""

    def __init__(self, seed: int, provider: str) -> None:
        self._random = Random(f"{seed} ids {provider}")

    def ulid(self, now: datetime) -> str:
        """Ten characters of time in milliseconds, sixteen of chance."""
        number = round(now.timestamp() * 1000) << 80 | self._random.getrandbits(80)
        return "".join(_CROCKFORD[number >> shift & 31] for shift in range(125, -1, -5))

    def text(self, length: int) -> str:
        """Letters and digits."""
        return "".join(self._random.choices(_ALPHANUMERIC, k=length))

    def digits(self, *lengths: int) -> str:
        """Groups of digits joined by hyphens."""
        return "-".join(f"{self._random.randrange(10**length):0{length}}" for length in lengths)


def is_ulid(value: object) -> bool:
    """Whether this is written like a ULID."""
    return isinstance(value, str) and _ULID.fullmatch(value) is not None
