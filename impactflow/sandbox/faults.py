"""
The faults between a client and a provider: by name, as often as asked, drawn from a seed.

The effect and the answer under each fault:

    fault            strikes           effect           answer
    lost_answer      writes            yes              the connection is reset
    lost_request     writes            no               the connection is reset
    late_effect      writes            up to late_s     at once, by seed: the connection is reset, 504, or an HTML page
                                                        with status 200; the effect comes later
    error_before     reads, writes     no               500, 502 or 503
    error_after      writes            yes              500, 502 or 503
    reset            reads, writes     by seed          the connection is reset
    truncated        reads, writes     yes              the right status, JSON cut in the middle
    html             reads, writes     by seed          an HTML page with status 200 or 502
    hang             reads, writes     by seed          none for hang_s, then the connection is reset
    rate_limited     reads, writes     no               429, half of them with Retry-After
    refused          writes            no               400 or 403, and the same again may be accepted
    late_records     listed purchases  yes              the right one; listings show the purchase up to late_s later
    shifting_pages   listings          -                see below
    passing_404      look-ups          -                404, and again until up to late_s later; once for each name
    short_listing    listings          -                see below
    foreign_answer   look-ups, writes  yes              another of this operation from before, where that can be told
    refused_after    writes            yes              400, 402, 403 or 404
    limited_after    writes            yes              429
    wrong_amount     listed purchases  twice as much    the right status, and what was really bought

A write that the provider refuses has no effect to hide: where a fault would have come after the effect, the client gets
the refusal. ``shifting_pages`` strikes pages after a listing's first: half of the struck pages repeat the item before
them, the others miss their first item, as if it had moved to the page that was read before. ``short_listing`` ends a
listing after a page as if nothing came after it. An item is missed once at most, by either of these two, so that a
listing read again is complete. A ``foreign_answer`` is one that was delivered to another request. ``wrong_amount`` is
the one fault of a provider itself, so neither ``rough`` nor the proof has it: every buyer gets the wrong amount, and a
person has to correct it.

``faulty_network.py`` carries the faults out; this module decides the fault and its time.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum, auto
from random import Random
from types import MappingProxyType
from typing import Self

from impactflow.models import ProviderName

#: The names of the APIs that faults may strike.
PROVIDERS = ("wickedreports", *(name.value for name in ProviderName))


class Nature(Enum):
    """The kind of a request, as far as faults depend on it."""

    #: The request reads something.
    READ = auto()
    #: The request reads one thing by its name.
    LOOK_UP = auto()
    #: The request reads a page of a listing.
    LISTING = auto()
    #: The request changes something.
    WRITE = auto()
    #: The request buys something that a listing shows afterwards.
    LISTED_WRITE = auto()

    @property
    def writes(self) -> bool:
        """Whether the request changes something."""
        return self in {Nature.WRITE, Nature.LISTED_WRITE}


class Effect(Enum):
    """The effect of the request that a fault strikes."""

    NO = auto()
    YES = auto()
    BY_SEED = auto()
    LATER = auto()


@dataclass(frozen=True, slots=True)
class Fault:
    """One fault: the requests that it strikes, and their effect."""

    name: str
    strikes: frozenset[Nature]
    effect: Effect


_WRITES = frozenset({Nature.WRITE, Nature.LISTED_WRITE})
_LOOK_UPS = frozenset({Nature.LOOK_UP})
_LISTINGS = frozenset({Nature.LISTING})
_ALL = frozenset(Nature)

FAULTS: Mapping[str, Fault] = MappingProxyType(
    {
        fault.name: fault
        for fault in (
            Fault("lost_answer", _WRITES, Effect.YES),
            Fault("lost_request", _WRITES, Effect.NO),
            Fault("late_effect", _WRITES, Effect.LATER),
            Fault("error_before", _ALL, Effect.NO),
            Fault("error_after", _WRITES, Effect.YES),
            Fault("reset", _ALL, Effect.BY_SEED),
            Fault("truncated", _ALL, Effect.YES),
            Fault("html", _ALL, Effect.BY_SEED),
            Fault("hang", _ALL, Effect.BY_SEED),
            Fault("rate_limited", _ALL, Effect.NO),
            Fault("late_records", frozenset({Nature.LISTED_WRITE}), Effect.YES),
            Fault("refused", _WRITES, Effect.NO),
            Fault("shifting_pages", _LISTINGS, Effect.YES),
            Fault("passing_404", _LOOK_UPS, Effect.NO),
            Fault("short_listing", _LISTINGS, Effect.YES),
            Fault("foreign_answer", _LOOK_UPS | _WRITES, Effect.YES),
            Fault("refused_after", _WRITES, Effect.YES),
            Fault("limited_after", _WRITES, Effect.YES),
            Fault("wrong_amount", frozenset({Nature.LISTED_WRITE}), Effect.YES),
        )
    }
)

PRESETS: Mapping[str, str] = MappingProxyType(
    {
        "none": "",
        "rough": "lost_answer=0.04,lost_request=0.03,late_effect=0.02,error_before=0.03,error_after=0.03,reset=0.02,"
        "truncated=0.02,html=0.02,hang=0.005,rate_limited=0.03,late_records=0.05,shifting_pages=0.1",
    }
)


@dataclass(frozen=True, slots=True)
class Mishap:
    """A fault that strikes one request, and the chance (0 to 1) that decides its details."""

    fault: Fault
    chance: float

    @property
    def takes_effect(self) -> bool:
        """Whether the request reaches the provider now."""
        return self.fault.effect is Effect.YES or (self.fault.effect is Effect.BY_SEED and self.heads)

    @property
    def heads(self) -> bool:
        """A fair coin."""
        return self.chance < 0.5  # noqa: PLR2004

    @property
    def second_chance(self) -> float:
        """A chance (0 to 1) that is independent of the coin."""
        return self.chance * 2 % 1


@dataclass(frozen=True, slots=True)
class Faults:
    """
    How often each fault strikes which provider.

    Args:
        rates: By provider and name, the share of the requests that it can strike.
    """

    rates: Mapping[tuple[str, str], float] = field(default_factory=dict)

    @classmethod
    def parse(cls, text: str) -> Self:
        """
        Read faults from text.

        Args:
            text: Presets and ``name=share`` separated by commas, such as ``rough,cnaught.hang=0.1``; a provider in
                front limits a fault to that provider, and what comes later replaces what came before.

        Raises:
            ValueError: Naming the unknown fault, preset or provider, or the share that is not valid.
        """
        rates: dict[tuple[str, str], float] = {}
        for item in filter(None, (item.strip() for item in text.split(","))):
            for provider, name, share in _entries(item):
                rates[provider, name] = share
        for provider in PROVIDERS:
            _check_sum(provider, rates)
        return cls(MappingProxyType(rates))

    def share(self, provider: str, name: str) -> float:
        """Return how often this fault strikes this provider, 0 to 1."""
        return self.rates.get((provider, name), 0.0)


class Draws:
    """
    The sequence of mishaps at one provider.

    Two numbers are drawn for each request of any kind, so that the faults of later requests do not depend on the kinds
    of the earlier ones.
    """

    def __init__(self, faults: Faults, provider: str, seed: int) -> None:
        self._random = Random(f"{seed} faults {provider}")
        self._ladders = {nature: _ladder(faults, provider, nature) for nature in Nature}

    def draw(self, nature: Nature) -> Mishap | None:
        """Draw the mishap that strikes the next request, most often none."""
        height, chance = self._random.random(), self._random.random()
        for top, fault in self._ladders[nature]:
            if height < top:
                return Mishap(fault, chance)
        return None


def _ladder(faults: Faults, provider: str, nature: Nature) -> list[tuple[float, Fault]]:
    """The faults that can strike, each with the sum of the shares up to and with its own."""
    rungs = []
    top = 0.0
    for name, fault in FAULTS.items():
        share = faults.share(provider, name)
        if share and nature in fault.strikes:
            top += share
            rungs.append((top, fault))
    return rungs


def _entries(item: str) -> list[tuple[str, str, float]]:
    """The entries of one item between commas, one for each provider that the item names."""
    left, equals, share = item.partition("=")
    if not equals:
        if item not in PRESETS:
            raise ValueError(f"there is no preset {item!r}; there are {', '.join(PRESETS)}")
        return [entry for part in filter(None, PRESETS[item].split(",")) for entry in _entries(part)]
    scope, _, name = left.strip().rpartition(".")
    if name not in FAULTS:
        raise ValueError(f"there is no fault {name!r}; there are {', '.join(FAULTS)}")
    if scope and scope not in PROVIDERS:
        raise ValueError(f"there is no provider {scope!r}; there are {', '.join(PROVIDERS)}")
    return [(provider, name, _share(name, share)) for provider in ([scope] if scope else PROVIDERS)]


def _share(name: str, text: str) -> float:
    try:
        share = float(text)
    except ValueError:
        share = -1.0
    if not 0 <= share <= 1:
        raise ValueError(f"{name} must be a share from 0 to 1, such as 0.05, not {text.strip()!r}")
    return share


def _check_sum(provider: str, rates: Mapping[tuple[str, str], float]) -> None:
    for nature in Nature:
        total = sum(rates.get((provider, name), 0.0) for name, fault in FAULTS.items() if nature in fault.strikes)
        if total > 1 + 1e-9:
            raise ValueError(f"the faults of {provider} add up to {total:.3g}, more than every request")
