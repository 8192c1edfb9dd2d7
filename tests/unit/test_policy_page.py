"""The page on the policy is made from the schema, and its examples load."""

import re
import runpy
from pathlib import Path

import pytest
from ruamel.yaml import YAML

from impactflow.policy import Fx, policy_schema
from impactflow.policy.reading import load_policy

DOCS = Path(__file__).parents[2] / "docs"
WRITER = runpy.run_path(str(DOCS / "policy_page.py"))


def test_n18_the_page_says_what_the_schema_says():
    """``python docs/policy_page.py`` writes it anew."""
    assert WRITER["page"]() == (DOCS / "policy.md").read_text()


def test_n18_every_field_is_on_the_page():
    """Of the file, of each rule, quantity and condition."""
    schema, page = policy_schema(), (DOCS / "policy.md").read_text()
    for kind in (schema, *schema["$defs"].values()):
        for field in kind.get("properties", {}):
            assert f"| `{field}` |" in page


@pytest.mark.parametrize("rule", WRITER["RULES"])
def test_n18_each_example_loads_and_is_of_its_kind(rule, tmp_path):
    """Whatever the page shows can be copied."""
    content = {"store": "acme", "rules": [YAML(typ="safe").load(WRITER["RULES"][rule])]}
    content["rules"][0].setdefault("when", {})
    file = tmp_path / "policy.yaml"
    with file.open("w") as opened:
        YAML(typ="safe").dump(content, opened)
    assert [type(each).__name__ for each in load_policy(file).rules] == [rule]


def test_n18_each_kind_of_value_is_explained_on_the_page():
    """No name of the program's own stands for a value, and each link leads to a heading."""
    page = (DOCS / "policy.md").read_text()
    anchors = {
        re.sub("[^a-z0-9_ -]", "", heading.lower()).replace(" ", "-")
        for heading in re.findall("^#+ (.*)$", page, re.MULTILINE)
    }
    assert not {each for each in policy_schema()["$defs"] if f"`{each}`" in page}
    assert set(re.findall(r"\]\(#([^)]*)\)", page)) <= anchors
    assert "| `rounding` | `nearest`, `up`, `down`, `carry` | `nearest` |" in page


def test_n18_the_example_of_exchange_rates_loads():
    """As it stands on the page."""
    page = (DOCS / "policy.md").read_text()
    (block,) = re.findall("```yaml\n(fx:.*?)```", page, re.DOTALL)
    assert Fx.model_validate(YAML(typ="safe").load(re.sub(r"([0-9]+\.[0-9]+)([,}])", r"1\2", block))["fx"]).usd_per


EXAMPLES = re.findall("```yaml\n(.*?)```", (DOCS / "conditions.md").read_text(), re.DOTALL)


@pytest.mark.parametrize("number", range(len(EXAMPLES)))
def test_n18_the_examples_of_conditions_load(number, tmp_path):
    """As they stand on their page, below a store's name."""
    (tmp_path / "policy.yaml").write_text("store: acme\n" + EXAMPLES[number])
    assert load_policy(tmp_path / "policy.yaml").rules[0].when.model_fields_set
