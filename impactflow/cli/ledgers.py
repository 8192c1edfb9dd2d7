"""Ledgers for commands that only read: what is not there is said, and never made."""

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
    """The file of a SQLite ledger that is not there; None where it is, or where the ledger is on a server."""
    file = sqlite_file(settings.impactflow_ledger_url)
    return file if file is not None and not file.exists() else None


def require(settings: Settings) -> None:
    """
    See that there is a ledger, before anything would make an empty one.

    Raises:
        ConfigurationError: There is none.
    """
    file = missing_file(settings)
    if file is not None:
        raise ConfigurationError(missing(file))


def require_ledger_folder(settings: Settings) -> None:
    """
    See that a ledger can be made where there is none.

    Raises:
        ConfigurationError: Its folder is not there.
    """
    file = missing_file(settings)
    if file is not None and not file.parent.is_dir():
        raise ConfigurationError(f"{_VARIABLE}: there is no folder {file.parent}: make it, or name another file")


def require_writable(settings: Settings) -> None:
    """
    See that a ledger can be written where there is none yet.

    Raises:
        ConfigurationError: Nothing can be written into its folder.
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
        ConfigurationError: There is none.
        LedgerError: It cannot be opened.
    """
    require(settings)
    return Ledger.open(settings.impactflow_ledger_url)


@contextmanager
def none_made(settings: Settings) -> Iterator[Settings]:
    """The settings; where there is no ledger yet, with an empty one that is gone afterwards."""
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

            if isinstance(error, PurchasesUnknown):  # it names the ledger that a run would make
                raise PurchasesUnknown(describe(settings.impactflow_ledger_url), error.found) from None
            raise
        finally:
            os.environ.pop(_VARIABLE)
            if before is not None:
                os.environ[_VARIABLE] = before
