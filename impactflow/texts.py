"""
Texts from outside, made fit to be kept and shown by a database, a terminal or a log.

None of these accepts NUL, control characters (a terminal obeys some), halves of surrogate pairs or marks that turn the
direction of writing. Called where text comes in; a text that identifies something is refused there, not rewritten.
"""

from decimal import Decimal


def is_plain(text: str) -> bool:
    """Whether a text can be kept and shown as it is."""
    return text.isprintable()


def plain(text: str) -> str:
    """A text of the same length, with a question mark in place of each character that cannot be shown."""
    return text if text.isprintable() else "".join(letter if letter.isprintable() else "?" for letter in text)


def one_line(text: str) -> str:
    """A message in one line, without characters that cannot be shown."""
    return plain(" ".join(text.split()))


def counted(count: int | Decimal, noun: str, plural: str | None = None) -> str:
    """A number with its noun: "1 order", "2 orders"; a plural that does not end in an added s is passed in."""
    return f"{Decimal(count):f} {noun if count == 1 else plural or f'{noun}s'}"
