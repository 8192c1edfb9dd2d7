"""
E-mail addresses in texts of any kind: the ledger finds them to forget them.

Pure. The time grows with the length of a text only: what an address may consist of is bounded, and nothing is parsed.
"""

import json
import re
from collections.abc import Callable, Iterator
from html import unescape
from urllib.parse import unquote, unquote_plus

#: In the place of an address that was in a text.
FORGOTTEN = "(forgotten)"
#: What begins a code of another letter: in JSON, in HTML, in a form.
_CODES = ("\\", "&", "%")
#: Of these a text that holds an address has at least one, however it is written.
SIGNS = ("@", *_CODES)
#: The longest name before the @ and the longest host after it; mail allows 64 and 255 characters.
_LONGEST_NAME, _LONGEST_HOST = 128, 255
#: How often one text may be written within another.
_DEEPEST = 3
#: What no address has, except between quotation marks.
_OUTSIDE = frozenset('"<>()[],;:\\@')
#: What joins two parts of an address; a text may also have them before one.
_JOINERS = frozenset("._+-'")
_ESCAPED = re.compile(r"\\(?:u([0-9a-fA-F]{4})|([\s\S]))")
_SPACES = frozenset("nrtbf")
#: A letter in a code.
_CODED = re.compile(r"\\|%[0-9a-fA-F]{2}|&#?\w+;")
#: What no address begins with where it is the only thing in a text.
_BEFORE = frozenset("'.")


def folded(address: str) -> str:
    """An address as it is compared."""
    return address.strip().casefold()


def read(body: bytes) -> str:
    """A body as text."""
    return body.decode(json.detect_encoding(body), errors="replace")


def found_in(text: str) -> frozenset[str]:
    """All that may be an address in a text, folded, however it is written there."""
    return frozenset(folded(form[first:last]) for form in _forms(text) for first, last in _spans(form))


def is_address(text: str) -> bool:
    """Whether a text is one address and nothing else, and surely not in a code."""
    whole = text.strip()
    return not _CODED.search(whole) and (0, len(whole)) in _spans(whole)


def is_plain(text: str) -> bool:
    """Whether a text is one address, in no code, and nothing else."""
    whole = text.strip()
    is_coded = "\\" in whole or unquote(unescape(whole)) != whole
    return not is_coded and whole[:1] not in _BEFORE and (0, len(whole)) in _spans(whole)


def named_in(field: str) -> frozenset[str]:
    """The addresses, folded, in what was written in the place of one: the text itself, and all that is found in it."""
    return frozenset({folded(field)}) | (frozenset() if is_plain(field) else found_in(field))


def without(text: str, is_theirs: Callable[[str], bool]) -> str:
    """
    A text without some addresses; of a text that holds one in a code, nothing is left.

    Args:
        text: The text.
        is_theirs: Whether an address, folded, is one of these.
    """
    parts, end = [], 0
    for first, last in _spans(text):  # the longest reading of an address comes first
        if first >= end and is_theirs(folded(text[first:last])):
            parts += [text[end:first], FORGOTTEN]
            end = last
    left = "".join([*parts, text[end:]])
    return FORGOTTEN if any(map(is_theirs, found_in(left))) else left


def _forms(text: str) -> Iterator[str]:
    """The text, and what it may be a code for: JSON, HTML, a form, or one of these within another."""
    yield text
    for _ in range(_DEEPEST):
        if not any(code in text for code in _CODES):
            return
        plain = unescape(_ESCAPED.sub(_unescaped, text))
        plain = plain.encode("utf-16", "surrogatepass").decode("utf-16", "replace")  # a letter may be written as two
        yield plain
        if "%" in plain:  # in a form a plus is a space, and the @ of an address is a code
            yield unquote_plus(plain)
        coded, text = text, unquote(plain)
        if text == coded:
            return
        yield text


def _unescaped(found: re.Match[str]) -> str:
    code, letter = found.groups()
    return chr(int(code, 16)) if code else " " if letter in _SPACES else letter


def _spans(text: str) -> Iterator[tuple[int, int]]:
    """The places of what may be addresses; the longest before its parts."""
    at = text.find("@")
    while at >= 0:
        if text[at + 1 : at + 2].isalnum():
            ends = [*_ends(text, at)]
            for begin in dict.fromkeys(_beginnings(text, _first(text, at), at)):
                yield from ((begin, end) for end in ends)
        at = text.find("@", at + 1)


def _first(text: str, at: int) -> int:
    first, least = at, max(0, at - _LONGEST_NAME)
    while first > least and not (text[first - 1].isspace() or text[first - 1] in _OUTSIDE):
        first -= 1
    return first


def _beginnings(text: str, first: int, at: int) -> Iterator[int]:
    """Where an address may begin: where its characters do, or behind one that need not belong to it."""
    for begin in (first, *(index + 1 for index in range(first, at) if not _belongs(text[index]))):
        joined = begin
        while joined < at and text[joined] in _JOINERS:
            joined += 1
        if joined < at:
            yield from (begin, joined)


def _ends(text: str, at: int) -> Iterator[int]:
    """Where an address may end: where its host does, or before a letter that need not belong to it."""
    last, first = min(len(text), at + 1 + _LONGEST_HOST), at + 1
    shortest = None
    end = first
    while end < last and (text[end].isalnum() or text[end] in "._-"):
        if shortest is None and not _belongs(text[end]):
            shortest = end
        end += 1
    for each in dict.fromkeys((end, shortest or end)):
        stripped = first + len(text[first:each].rstrip("._-"))
        if stripped > first:
            yield stripped


def _belongs(letter: str) -> bool:
    """Whether a character next to an address surely belongs to it: letters of scripts without spaces need not."""
    is_cased = letter.isascii() or letter.lower() != letter.upper()
    return (letter.isalnum() and is_cased) or letter in _JOINERS
