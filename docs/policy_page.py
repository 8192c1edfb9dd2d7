"""
Write docs/policy.md from the policy's JSON Schema: ``python docs/policy_page.py``.

What a field means stands beside it in ``impactflow/policy``, and is read from there; the examples stand here, and a
test loads each of them.
"""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from impactflow.policy import policy_schema

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
_QUANTITIES = ("PerOrder", "PerItem", "PercentOfOrder", "PerAmount", "Share")
_CONDITIONS = ("When", "Products", "LastClick")


def page() -> str:
    """The whole page."""
    return "\n".join(_lines(policy_schema())) + "\n"


def _lines(schema: Mapping[str, Any]) -> Iterator[str]:
    kinds = schema["$defs"]
    yield HEAD
    yield "## The file\n"
    yield from _table(schema)
    yield "\n## `fx`: what currencies are worth\n"
    yield from _table(kinds["Fx"])
    yield "\n## What every rule may say\n"
    common = {
        name: said
        for name, said in kinds["PlantTrees"]["properties"].items()
        if all(kinds[kind]["properties"].get(name) == said for kind in RULES)
    }
    yield from _table({"properties": common, "required": kinds["PlantTrees"]["required"]})
    for kind, example in RULES.items():
        own = {name: said for name, said in kinds[kind]["properties"].items() if name not in common}
        yield f"\n### {_title(kinds[kind])}\n"
        yield from _table({"properties": own, "required": kinds[kind]["required"]})
        yield "\n```yaml"
        yield "- " + example.strip().replace("\n", "\n  ")
        yield "```"
    yield "\n## How much: `quantity`\n\nOne of these.\n"
    for kind in _QUANTITIES:
        yield from _section(kinds, kind)
    yield "## Which orders: `when`\n"
    for kind in _CONDITIONS:
        yield from _section(kinds, kind)


def _title(kind: Mapping[str, Any]) -> str:
    said = kind["properties"]
    return f"`impact: {said['impact']['const']}` from `provider: {said['provider']['const']}`"


def _section(kinds: Mapping[str, Any], name: str) -> Iterator[str]:
    yield f"### {name}\n"
    if about := kinds[name].get("description"):
        yield _prose(about) + "\n"
    yield from _table(kinds[name])
    yield ""


def _table(kind: Mapping[str, Any]) -> Iterator[str]:
    yield "| field | takes | default | |"
    yield "|---|---|---|---|"
    for name, said in kind["properties"].items():
        default = "required" if name in kind.get("required", ()) else _default(said.get("default"))
        takes = "a list of rules, as below" if name == "rules" else _takes(said)
        yield f"| `{name}` | {takes} | {default} | {_prose(said.get('description', ''))} |"


def _default(value: Any) -> str:
    if value is None or value == [] or (isinstance(value, dict) and not any(value.values())):
        return "none"
    return f"`{value if isinstance(value, str) else json.dumps(value)}`"


def _prose(text: str) -> str:
    return " ".join(text.replace("``", "`").split())


def _takes(said: Mapping[str, Any]) -> str:
    """What a field's value is, in a few words."""
    if "$ref" in said:
        return f"`{said['$ref'].rpartition('/')[2]}`"
    for several in ("anyOf", "oneOf"):
        if several in said:
            each = [_takes(one) for one in said[several] if one.get("type") != "null"]
            return " or ".join(dict.fromkeys(each))
    if "const" in said:
        return f"`{json.dumps(said['const']) if not isinstance(said['const'], str) else said['const']}`"
    if "enum" in said:
        return ", ".join(f"`{each}`" for each in said["enum"])
    return _plain(said)


def _plain(said: Mapping[str, Any]) -> str:
    match said.get("type"):
        case "array":
            return f"a list of {_takes(said['items'])}".replace("a text", "texts")
        case "object" if "discriminator" not in said:
            return "a mapping"
        case "boolean":
            return "`true` or `false`"
        case "number" | "integer":
            return "a number"
        case "string" if said.get("format") == "date":
            return "a day such as `2026-01-31`"
        case _:
            return "a text"


if __name__ == "__main__":
    PAGE.write_text(page())
