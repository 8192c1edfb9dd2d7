"""
Write docs/policy.md from the policy's JSON Schema: ``python docs/policy_page.py``.

What a field means stands beside it in ``impactflow/policy``, and is read from there; the examples stand here, and a
test loads each of them.
"""

import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from impactflow.models import UNIT_OF, Kind, Unit
from impactflow.policy import policy_schema
from impactflow.policy.rules import A_DAY, DEFAULT_LIMIT
from impactflow.units import WHOLE, shown

PAGE = Path(__file__).parent / "policy.md"
HEAD = """\
# The policy, field by field

`policy.yaml` says what each order earns. This page lists every field of it, and is made from the same schema that
`impactflow policy schema` prints, for editors that complete and check YAML. `impactflow policy check` reads your file,
says what it means, and where it is wrong, with the line; `impactflow place --dry-run` shows what it would buy;
`impactflow init` writes a first one.

Conditions with their examples: [conditions](conditions.md); exchange rates: [rates](rates.md).

A field that is left out has its default. A field that is not listed here is an error.
"""
#: The rules, in the order in which the page shows them, each with an example.
RULES = {
    "PlantTrees": "slot: trees\nprovider: oneclickimpact\nimpact: plant_trees\nquantity: {per_order: 1}\n",
    "Offset": "slot: offset\nprovider: cnaught\nimpact: offset\nquantity: {per_item: 2.5}\nunit: kg\n",
    "ImpactAPIDonation": "slot: giving\nprovider: impactapi\nimpact: donate\ncampaign: trees-for-the-future\n"
    "quantity: {percent_of_order: 1}\nwhen: {min_amount: {USD: 50, EUR: 45}}\n",
    "OneClickDonation": "slot: giving\nprovider: oneclickimpact\nimpact: donate\nquantity: {percent_of_order: 1}\n",
    "CleanOcean": "slot: ocean\nprovider: oneclickimpact\nimpact: clean_ocean\n"
    "quantity: {per_amount: {quantity: 1, per: 20, currency: USD}}\nrounding: down\n",
    "CaptureCarbon": "slot: carbon\nprovider: oneclickimpact\nimpact: capture_carbon\nquantity: {per_order: 2}\n"
    "unit: kg\nrounding: up\n",
    "RestoreCoral": "slot: coral\nprovider: oneclickimpact\nimpact: restore_coral\nquantity: {per_order: 1}\n"
    "when: {first_order: true}\n",
}
#: The kinds of quantity and of condition, each with the heading of its section.
_QUANTITIES = {
    "PerOrder": "`per_order`",
    "PerItem": "`per_item`",
    "PercentOfOrder": "`percent_of_order`",
    "PerAmount": "`per_amount`",
    "Share": "What stands in `per_amount`",
}
_CONDITIONS = {
    "When": "Conditions",
    "Products": "What stands in `products` and `not_products`",
    "LastClick": "What stands in `last_click`",
}
_HEADINGS = {
    "Fx": "`fx`: what currencies are worth",
    "CapRule": "`caps`: the most in a period",
    "Refunds": "`refunds`: what a refund undoes",
    "Buy": "`buy`: one purchase for many orders",
    "QuoteLimit": "`quote`: the most that an offset may cost",
    **_QUANTITIES,
    **_CONDITIONS,
}
_FX = """\
```yaml
fx:
  as_of: 2026-11-25
  usd_per: {EUR: 1.1601, GBP: 1.34974}     # one EUR is 1.1601 USD
```

Without `fx` an order in another currency than USD is held where a rule needs its worth (`percent_of_order`,
`per_amount`, `min_amount_usd`, `max_amount_usd`). [`impactflow rates`](rates.md) writes the block from a file of the
European Central Bank.
"""
_UNITS = """\
## Units and limits

`quantity`, `minimum`, `most_per_order`, `approve_above` and `approve_above_per_day` of a rule are all in one unit.
**For donations that unit is the cent**: `approve_above: 5000` is 50 USD. What an order earns is rounded once, to a
whole number of what is bought. Where a rule does not set its limits, those on the right hold: more awaits a person's
approval.

| impact | the rule's unit | bought in whole | limit for one order | limit for what is planned on one UTC day |
|---|---|---|---|---|"""


def page() -> str:
    """The whole page."""
    return "\n".join(_lines(policy_schema())) + "\n"


def _lines(schema: Mapping[str, Any]) -> Iterator[str]:
    kinds = schema["$defs"]
    yield HEAD
    yield "## The file\n"
    yield from _table(schema, kinds)
    yield f"\n## {_HEADINGS['Fx']}\n"
    yield _FX
    yield from _table(kinds["Fx"], kinds)
    for kind in ("CapRule", "Refunds", "Buy", "QuoteLimit"):
        yield f"\n## {_HEADINGS[kind]}\n"
        yield _prose(kinds[kind]["description"]) + "\n"
        yield from _table(kinds[kind], kinds)
    yield "\n" + _UNITS
    yield from _units()
    yield "\n## What every rule may say\n"
    common = {
        name: field
        for name, field in kinds["PlantTrees"]["properties"].items()
        if all(kinds[kind]["properties"].get(name) == field for kind in RULES)
    }
    yield from _table({"properties": common, "required": kinds["PlantTrees"]["required"]}, kinds)
    for kind, example in RULES.items():
        own = {name: field for name, field in kinds[kind]["properties"].items() if name not in common}
        yield f"\n### {_title(kinds[kind])}\n"
        yield from _table({"properties": own, "required": kinds[kind]["required"]}, kinds)
        yield "\n```yaml"
        yield "- " + example.strip().replace("\n", "\n  ")
        yield "```"
    yield "\n## How much: `quantity`\n\nExactly one of these, such as `{per_order: 1}`.\n"
    for kind in _QUANTITIES:
        yield from _section(kinds, kind)
    yield "## Which orders: `when`\n"
    for kind in _CONDITIONS:
        yield from _section(kinds, kind)


def _title(kind: Mapping[str, Any]) -> str:
    fields = kind["properties"]
    return f"`impact: {fields['impact']['const']}` from `provider: {fields['provider']['const']}`"


def _section(kinds: Mapping[str, Any], name: str) -> Iterator[str]:
    yield f"### {_HEADINGS[name]}\n"
    if about := kinds[name].get("description"):
        yield _prose(about) + "\n"
    yield from _table(kinds[name], kinds)
    yield ""


def _units() -> Iterator[str]:
    """What each impact counts in, and its limits where the rule says none."""
    for impact in Kind:
        unit = UNIT_OF[impact]
        (most, name), (a_day, _) = shown(DEFAULT_LIMIT[impact], unit), shown(A_DAY * DEFAULT_LIMIT[impact], unit)
        counts = "kg or lb, as `unit` says" if unit in {Unit.LB, Unit.GRAM} else WHOLE[unit]
        cents = f" ({DEFAULT_LIMIT[impact]:,} cents)" if unit is Unit.USD_CENT else ""
        yield f"| `{impact}` | {counts} | {WHOLE[unit]} | {most:,f} {name}{cents} | {a_day:,f} {name} |"


def _table(kind: Mapping[str, Any], kinds: Mapping[str, Any]) -> Iterator[str]:
    yield "| field | takes | default | |"
    yield "|---|---|---|---|"
    for name, field in kind["properties"].items():
        default = "required" if name in kind.get("required", ()) else _default(field.get("default"))
        takes = "a list of rules, as below" if name == "rules" else _takes(field, kinds)
        yield f"| `{name}` | {takes} | {default} | {_prose(field.get('description', ''))} |"


def _default(value: Any) -> str:
    if value is None or value == [] or (isinstance(value, dict) and not any(value.values())):
        return "none"
    return f"`{value if isinstance(value, str) else json.dumps(value)}`"


def _prose(text: str) -> str:
    return " ".join(text.replace("``", "`").split())


def _takes(field: Mapping[str, Any], kinds: Mapping[str, Any]) -> str:
    """What a field's value is, in a few words."""
    if "$ref" in field:
        name = field["$ref"].rpartition("/")[2]
        return _takes(kinds[name], kinds) if "enum" in kinds[name] else _link(name)
    for several in ("anyOf", "oneOf"):
        if several in field:
            each = [_takes(one, kinds) for one in field[several] if one.get("type") != "null"]
            return " or ".join(dict.fromkeys(each))
    if "const" in field:
        return f"`{json.dumps(field['const']) if not isinstance(field['const'], str) else field['const']}`"
    if "enum" in field:
        return ", ".join(f"`{each}`" for each in field["enum"])
    return _plain(field, kinds)


def _link(name: str) -> str:
    """A section of this page, as GitHub makes anchors of headings."""
    anchor = re.sub("[^a-z0-9_ -]", "", _HEADINGS[name].lower()).replace(" ", "-")
    words = _HEADINGS[name] if name in _QUANTITIES and name != "Share" else "these fields"
    return f"[{words}](#{anchor})"


def _plain(field: Mapping[str, Any], kinds: Mapping[str, Any]) -> str:
    match field.get("type"):
        case "array":
            return f"a list of {_takes(field['items'], kinds)}".replace("a text", "texts")
        case "object" if "discriminator" not in field:
            return "numbers by currency: `{EUR: 50}`"
        case "boolean":
            return "`true` or `false`"
        case "number" | "integer":
            return "a number"
        case "string" if field.get("format") == "date":
            return "a day such as `2026-01-31`"
        case _:
            return "a text"


if __name__ == "__main__":
    PAGE.write_text(page())
