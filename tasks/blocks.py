"""Read a block that Prefect's server keeps; ``credentials`` knows the meaning of an account's block."""

import httpx
from prefect.client.orchestration import PrefectClient
from prefect.client.schemas.objects import BlockDocument
from prefect.exceptions import ObjectNotFound, PrefectHTTPStatusError

from impactflow.errors import ConfigurationError


async def read_block(prefect: PrefectClient, type_slug: str, name: str) -> BlockDocument | None:
    """
    Read a block; None where the server has no such block.

    Args:
        prefect: A client of the server.
        type_slug: The type of the block, such as ``slack-webhook``.
        name: The name of the block.

    Raises:
        ConfigurationError: The server cannot decrypt the block.
    """
    try:
        return await prefect.read_block_document_by_name(name, type_slug)
    except ObjectNotFound:
        return None
    except PrefectHTTPStatusError as failed:
        if failed.response.status_code != httpx.codes.INTERNAL_SERVER_ERROR:
            raise
        raise ConfigurationError(
            f"Prefect's server cannot read its block {type_slug}/{name}: it was saved under another"
            " PREFECT_SERVER_ENCRYPTION_KEY than the server has now, or under none; set the former key for the server,"
            " or delete the block and save it anew"
        ) from None
