"""
Tables and texts for Prefect's pages. A run that has bought something never fails because of an unwritten page.

The keys of artifacts never change, so that a person finds the history of each. Prefect's pages read a text in a cell of
a table as Markdown: callers escape texts that others wrote.
"""

import logging
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import httpx
from prefect.artifacts import acreate_markdown_artifact, acreate_table_artifact
from prefect.client.orchestration import get_client
from prefect.client.schemas.filters import ArtifactCollectionFilter, ArtifactCollectionFilterKey
from prefect.exceptions import PrefectHTTPStatusError

log = logging.getLogger(__name__)

#: The largest whole number that a browser shows exactly.
_LARGEST = 2**53


async def show_table(rows: Sequence[Mapping[str, Any]], *, key: str, description: str) -> None:
    """Write a table, under a key of lower case letters, digits and dashes."""
    cells = [{name: _cell(value) for name, value in row.items()} for row in rows]
    with harmless(key):
        await acreate_table_artifact(cells, key=key, description=description)


async def show_rest(rows: Sequence[Mapping[str, Any]], *, key: str, description: str, empty: str) -> None:
    """Write a table of the work left; once nothing is left, replace the last table with a text that says so."""
    if rows:
        await show_table(rows, key=key, description=description)
        return
    with harmless(key):
        async with get_client() as client:
            wanted = ArtifactCollectionFilter(key=ArtifactCollectionFilterKey(any_=[key]))
            last = await client.read_latest_artifacts(artifact_filter=wanted)
        if last and last[0].description != empty:
            await acreate_table_artifact([], key=key, description=empty)


async def show_text(text: str, *, key: str, description: str) -> None:
    """Write a text in Markdown, under a key of lower case letters, digits and dashes."""
    with harmless(key):
        await acreate_markdown_artifact(text, key=key, description=description)


@contextmanager
def harmless(what: str) -> Iterator[None]:
    """Let a run go on where Prefect's server cannot take ``what``."""
    try:
        yield
    except (httpx.HTTPError, PrefectHTTPStatusError) as error:
        log.warning(
            "%s could not be shown on Prefect's pages (%s); the run goes on",
            what,
            type(error).__name__,
            extra={"action": "not_shown"},
        )


def _cell(value: Any) -> Any:
    return str(value) if isinstance(value, int) and abs(value) > _LARGEST else value
