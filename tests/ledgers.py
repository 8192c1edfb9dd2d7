"""Empty ledgers without the time that migrations take, copies of one that is made once; how one is made is tested."""

from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

from impactflow.ledger import Ledger


@cache
def _content() -> bytes:
    with TemporaryDirectory(prefix="impactflow-ledger-") as folder:
        file = Path(folder) / "ledger.db"
        Ledger.open(f"sqlite:///{file}").close()
        return file.read_bytes()


def new_ledger(file: Path) -> str:
    """The URL of a SQLite ledger; an empty one is made where there is no file."""
    if not file.exists():
        file.write_bytes(_content())
    return f"sqlite:///{file}"
