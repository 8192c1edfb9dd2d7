"""
The table of all operations, gathered from the code; ``make docs`` writes it to ``docs/operations.md``.

``test_every_operation.py`` beside this file checks that nothing is missing in it, and that the page is up to date.
"""

import ast
import re
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from pathlib import Path
from urllib.parse import urlsplit

from prefect.tasks import Task
from reference import DOCUMENTED, Documented

from impactflow.clients import CNaughtClient, ImpactAPIClient, OneClickImpactClient, WickedReportsClient
from impactflow.clients.operations import Operation, operations
from impactflow.sandbox import Sandbox, environment

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "operations.md"


@dataclass(frozen=True)
class Provider:
    """
    Where the operations of a provider are.

    Args:
        title: What people call it.
        client: Whose methods they are.
        base: What their paths begin with in the sandbox.
        tests: The file of their tests over HTTP.
    """

    title: str
    client: type
    base: str
    tests: str


PROVIDERS = {
    name: Provider(title, client, urlsplit(environment("")[url]).path, f"tests/operations/test_{name}_operations.py")
    for name, title, client, url in (
        ("wickedreports", "Wicked Reports", WickedReportsClient, "WICKED_REPORTS_URL"),
        ("oneclickimpact", "1ClickImpact", OneClickImpactClient, "ONECLICKIMPACT_URL"),
        ("cnaught", "CNaught", CNaughtClient, "CNAUGHT_URL"),
        ("impactapi", "ImpactAPI", ImpactAPIClient, "IMPACTAPI_URL"),
    )
}


@dataclass(frozen=True)
class Row:
    """
    A documented operation and all that serves it; None for what there is not.

    Args:
        documented: As the reference has it.
        operation: The client's method.
        route: The sandbox's route.
        task: The task's full name.
        test: The name of its test over HTTP.
    """

    documented: Documented
    operation: Operation | None
    route: str | None
    task: str | None
    test: str | None


def row(documented: Documented) -> Row:
    """Find what serves an operation."""
    provider = PROVIDERS[documented.provider]
    operation = _by_request(provider.client).get(anonymous(documented.request))
    name = operation.name if operation else ""
    route, task, test = in_sandbox(documented), f"tasks.{documented.provider}.{name}", f"test_{name}"
    return Row(
        documented,
        operation,
        route if route in Sandbox().routes() else None,
        task if isinstance(getattr(import_module(f"tasks.{documented.provider}"), name, None), Task) else None,
        test if test in _tests(provider.tests) else None,
    )


def anonymous(request: str) -> str:
    """A request with ``*`` for its variable parts, whatever they are called."""
    return re.sub(r"\{\w+\}", "*", request)


def in_sandbox(documented: Documented) -> str:
    """The request as the sandbox names it."""
    method, path = anonymous(documented.request).split(" ")
    return f"{method} {PROVIDERS[documented.provider].base}{path}"


@cache
def _by_request(client: type) -> dict[str, Operation]:
    return {anonymous(operation.request): operation for operation in operations(client).values()}


@cache
def _tests(file: str) -> set[str]:
    tree = ast.parse((ROOT / file).read_text())
    return {each.name for each in tree.body if isinstance(each, ast.AsyncFunctionDef)}


def page() -> str:
    """What ``docs/operations.md`` says."""
    additions = sum(documented.is_addition for documented in DOCUMENTED)
    return f"""# Every operation of the four APIs

Made from the code by `make docs`, and held against the references by a test: {len(DOCUMENTED) - additions} documented
operations, and {additions} that a vendor has besides (+).

A *write* buys or changes something, and nothing repeats it by itself. A task takes the account's block first, then what
the method takes; a listing's task returns all that is listed. Each operation is tested over HTTP, by the test that is
named, and against recorded samples.
""" + "".join(_section(name, provider) for name, provider in PROVIDERS.items())


def _section(name: str, provider: Provider) -> str:
    lines = "\n".join(_line(row(documented)) for documented in DOCUMENTED if documented.provider == name)
    return f"""
## {provider.title}

Methods of `{provider.client.__name__}`. Tests: [over HTTP](../{provider.tests}),
[against samples](../tests/clients/test_{name}_client.py).

| operation | | request | method | sandbox | task | test |
|---|---|---|---|---|---|---|
{lines}
"""


def _line(found: Row) -> str:
    documented, operation = found.documented, found.operation
    name = f"{documented.name} +" if documented.is_addition else documented.name
    kind = "write" if operation and operation.writes else "read"
    codes = (documented.request, operation and operation.name, found.route, found.task, found.test)
    return " | ".join([f"| {name}", kind, *(f"`{code}`" for code in codes)]) + " |"


if __name__ == "__main__":
    PAGE.parent.mkdir(exist_ok=True)
    PAGE.write_text(page())
