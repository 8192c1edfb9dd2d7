"""Ledgers for commands that only read: a missing ledger is reported, and never made."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from impactflow.errors import ConfigurationError
from impactflow.ledger import Ledger
from impactflow.ledger.location import describe, missing, sqlite_file
from impactflow.settings import Settings

_VARIABLE = "IMPACTFLOW_LEDGER_URL"


def missing_file(settings: Settings) -> Path | None:
    """Return the missing file of a SQLite ledger; None where the file exists, or where the ledger is on a server."""
    file = sqlite_file(settings.impactflow_ledger_url)
    return file if file is not None and not file.exists() else None


def require(settings: Settings) -> None:
    """
    Check that there is a ledger, before anything would make an empty one.

    Raises:
        ConfigurationError: There is no ledger.
    """
    file = missing_file(settings)
    if file is not None:
        raise ConfigurationError(missing(file))


def require_ledger_folder(settings: Settings) -> None:
    """
    Check that a ledger can be made where there is none.

    Raises:
        ConfigurationError: The ledger's folder does not exist.
    """
    file = missing_file(settings)
    if file is not None and not file.parent.is_dir():
        raise ConfigurationError(f"{_VARIABLE}: there is no folder {file.parent}: make it, or name another file")


def require_writable(settings: Settings) -> None:
    """
    Check that a ledger can be written where there is none yet.

    Raises:
        ConfigurationError: Nothing can be written into the ledger's folder.
    """
    file = missing_file(settings)
    if file is not None and not os.access(file.parent, os.W_OK | os.X_OK):
        raise ConfigurationError(
            f"{_VARIABLE}: there is no ledger yet, and none can be made in {file.parent}, which cannot be written to:"
            " name a file in another folder"
        )


def open_existing(settings: Settings) -> Ledger:
    """
    Open the ledger.

    Raises:
        ConfigurationError: There is no ledger.
        LedgerError: The ledger cannot be opened.
    """
    require(settings)
    return Ledger.open(settings.impactflow_ledger_url)


@contextmanager
def none_made(settings: Settings) -> Iterator[Settings]:
    """Yield the settings; where there is no ledger yet, with an empty one that is deleted afterwards."""
    if missing_file(settings) is None:
        yield settings
        return
    before = os.environ.get(_VARIABLE)
    with TemporaryDirectory(prefix="impactflow-") as folder:
        url = f"sqlite:///{Path(folder) / 'empty.db'}"
        os.environ[_VARIABLE] = url
        try:
            yield settings.model_copy(update={"impactflow_ledger_url": url})
        except ConfigurationError as error:
            from impactflow.adoption import PurchasesUnknown  # noqa: PLC0415 - ``status`` needs no providers

            if isinstance(error, PurchasesUnknown):  # the new error names the ledger that a run would make
                raise PurchasesUnknown(describe(settings.impactflow_ledger_url), error.found) from None
            raise
        finally:
            os.environ.pop(_VARIABLE)
            if before is not None:
                os.environ[_VARIABLE] = before
