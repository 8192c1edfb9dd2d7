"""
Escapes: text from a shop or a provider, made harmless for a terminal, a spreadsheet or a page that shows it.

Order ids, reasons and names of purchases are other people's text. Each medium reads some of it as a command: a terminal
obeys control characters, a spreadsheet computes what begins like a formula, a page follows links. The functions here
change only how a text is shown; the ledger keeps the text as it came.

Only ``public_id`` changes the text that is kept: an order's id reaches providers, logs and pages, which must hold no
e-mail address.
"""

import hashlib
import re

#: Control characters but tab and line feed, and marks that reverse the order of letters: both can forge a text.
_COMMANDS = re.compile(
    r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff]"
)
#: The characters that spreadsheets take for the beginning of a formula, in their wide forms, too.
_FORMULA = frozenset("=+-@\t\r\n\uff1d\uff0b\uff0d\uff20")
_NUMBER = re.compile(r"[+-]?[0-9][0-9.,]*")
#: The characters of links, pictures, HTML, code, emphasis and table cells; at the beginning those of a heading or a
#: list, which would not be shown: the order ``1001.`` is a list that begins at 1001.
_MARKDOWN = re.compile(
    r"[\\`*\[\]<>|~@]|(?<=[A-Za-z]):(?=//)|(?<=[wW])\.|(?<![A-Za-z0-9])_|_(?![A-Za-z0-9])|^[#+=-]+(?=\s|$)"
    r"|(?<=^[0-9])[.)](?=\s|$)" + "".join(rf"|(?<=^[0-9]{{{digits}}})[.)](?=\s|$)" for digits in range(2, 10))
)
_ADDRESS = re.compile(r"[^\s@<>()\[\],;:\"'/|]+@[^\s@<>()\[\],;:\"'/|]+")


def for_terminal(text: str) -> str:
    r"""Write out characters that a terminal would obey, as Python writes them: ``\x1b`` for an escape."""
    return _COMMANDS.sub(lambda found: found[0].encode("unicode_escape").decode(), text)


def for_spreadsheet(text: str) -> str:
    """Put an apostrophe before a text that a spreadsheet would compute; plain numbers stay."""
    return f"'{text}" if text[:1] in _FORMULA and not _NUMBER.fullmatch(text) else text


def for_page(text: str) -> str:
    """
    Keep a page that reads Markdown from finding links, pictures or HTML in a text; one line, no e-mail address.

    Prefect's pages read the cells of a table as Markdown too.
    """
    return _MARKDOWN.sub(lambda found: f"\\{found[0]}", " ".join(for_terminal(without_addresses(text)).split()))


def public_id(order_id: str) -> str:
    """The id of an order everywhere: the shop's own id, or a digest of it if the id holds an e-mail address."""
    if without_addresses(order_id) == order_id:
        return order_id
    return f"order-{hashlib.sha256(order_id.encode()).hexdigest()[:16]}"


def without_addresses(text: str) -> str:
    """Put stars in the place of each e-mail address."""
    return _ADDRESS.sub("***", text) if "@" in text else text
