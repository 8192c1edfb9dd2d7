"""
Renew the policy's exchange rates: the new ``fx``, remarks for a person, and the new text of the file.

Pure: the command reads and writes the file, ``ecb`` reads the reference rates.
"""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from pathlib import Path

from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError
from ruamel.yaml.nodes import MappingNode, Node

from impactflow.errors import ConfigurationError
from impactflow.policy.document import Fx, Policy
from impactflow.policy.ecb import ReferenceRates
from impactflow.policy.reading import parse_policy

#: A rate that differs by more than this factor is a slip, not the market.
_FAR = 2
#: The relative distance within which two rates count as the same.
_NEAR = Fraction(1, 10)


@dataclass(frozen=True)
class Renewal:
    """
    The policy's exchange rates after the renewal.

    Args:
        fx: The new rates, in the order of the old ones.
        kept: The currencies of ``fx`` that have no new rate, so that the old one stands.
        remarks: Sentences for a person, one for each thing to check.
    """

    fx: Fx
    kept: frozenset[str]
    remarks: tuple[str, ...]


def fx_block(fx: Fx, kept: Collection[str] = ()) -> str:
    """Write the rates as they stand in a policy file; a rate that was kept says so."""
    lines = [
        f"    {currency}: {rate:f}" + ("  # kept: it has no reference rate" if currency in kept else "")
        for currency, rate in fx.usd_per.items()
    ]
    return "\n".join(["fx:", f"  as_of: {fx.as_of}", "  usd_per:", *lines, ""])


def renew(policy: Policy, rates: ReferenceRates, asked: Collection[str] = ()) -> Renewal:
    """
    Renew the rate of each currency that the policy names or that is asked for.

    Where the bank has no rate, an old rate is kept, since without it each order in that currency would be held.

    Raises:
        ConfigurationError: There is no currency to renew.
    """
    old = policy.fx.usd_per if policy.fx else {}
    named = dict.fromkeys([*old, *sorted(policy.currencies - {"USD"}), *asked])
    found = {currency: rates.usd_per(currency) for currency in named}
    if not any(found.values()):
        why = [_why_none(currency, rates) for currency in named] or ["the policy names no currency besides USD"]
        raise ConfigurationError(f"{'; '.join(why)}: ask for others, such as --currencies EUR,GBP")
    usd_per = {currency: rate or old.get(currency) for currency, rate in found.items()}
    remarks = [
        f"{_why_none(currency, rates)}: "
        + (f"the policy's rate of {old[currency]:f} is kept, look it up elsewhere" if currency in old else "left out")
        for currency, rate in found.items()
        if rate is None
    ]
    remarks += [
        remark for currency, rate in found.items() if rate and (remark := _slip(currency, old.get(currency), rate))
    ]
    if policy.fx and rates.day < policy.fx.as_of:
        remarks.append(f"these rates are of {rates.day}, the policy's of {policy.fx.as_of} are newer")
    return Renewal(
        Fx.model_validate({"as_of": rates.day, "usd_per": {name: rate for name, rate in usd_per.items() if rate}}),
        frozenset(currency for currency, rate in found.items() if rate is None and currency in old),
        tuple(remarks),
    )


def _why_none(currency: str, rates: ReferenceRates) -> str:
    last = rates.last_days.get(currency)
    ended = f", the last in the file is of {last}" if last else ""
    return f"there is no reference rate for {currency} on {rates.day}{ended}"


def _slip(currency: str, old: Decimal | None, new: Decimal) -> str | None:
    """Say what is odd about the policy's present rate; None where nothing is odd, or where there is no rate."""
    if old is None:
        return None
    ratio = Fraction(old) / Fraction(new)
    comparison = f"{currency}: the policy says {old:f}, the reference rate is {new:f}"
    if abs(Fraction(old) * Fraction(new) - 1) <= _NEAR < abs(ratio - 1):
        return f"{comparison}: the policy's looks inverse, for what is asked is USD for one {currency}"
    if not Fraction(1, _FAR) <= ratio <= _FAR:
        return f"{comparison}, more than a factor of {_FAR} away: look which is right"
    return None


def renewed_text(text: str, path: Path, policy: Policy, fx: Fx) -> str:
    """
    Put new rates into the text of a policy file; everything else in it stays as it was typed, comments too.

    Args:
        text: The policy file's text.
        path: The file's path.
        policy: The policy that the text holds.
        fx: The new rates; none of the old currencies is missing.

    Raises:
        ConfigurationError: The text is written in a way that cannot be edited safely.
    """
    try:
        for begins, ends, new in sorted(_edits(text, fx), reverse=True):
            text = text[:begins] + new + text[ends:]
        renewed = parse_policy(text, path)
    except (ConfigurationError, YAMLError, KeyError):
        renewed = None
    if renewed is None or renewed.model_dump() != policy.model_copy(update={"fx": fx}).model_dump():
        raise ConfigurationError(f"{path} is written in a way that is not edited safely: replace its fx block by hand")
    return text


def _edits(text: str, fx: Fx) -> Iterator[tuple[int, int, str]]:
    """Yield the edits: the start and end of a stretch of the text, and its new text."""
    line_end = "\r\n" if "\r\n" in text else "\n"
    root = _fields(YAML(typ="safe", pure=True).compose(text))
    if "fx" not in root:
        block = fx_block(fx).replace("\n", line_end)
        yield len(text), len(text), block if text.endswith("\n") else line_end + block
        return
    within = _fields(root["fx"])
    yield *_span(within["as_of"]), fx.as_of.isoformat()
    rates = within["usd_per"]
    old = _fields(rates)
    for currency, node in old.items():
        yield *_span(node), f"{fx.usd_per[currency]:f}"
    added = [f"{currency}: {rate:f}" for currency, rate in fx.usd_per.items() if currency not in old]
    if not old:
        yield *_span(rates), f"{{{', '.join(added)}}}"
        return
    first, _ = rates.value[0]
    apart = ", " if text.startswith("{", rates.start_mark.index) else line_end + " " * first.start_mark.column
    yield first.start_mark.index, first.start_mark.index, "".join(each + apart for each in added)


def _fields(mapping: Node) -> Mapping[str, Node]:
    return {key.value: value for key, value in mapping.value} if isinstance(mapping, MappingNode) else {}


def _span(node: Node) -> tuple[int, int]:
    return node.start_mark.index, node.end_mark.index
