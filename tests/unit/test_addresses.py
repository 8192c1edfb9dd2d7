"""An address is found in any text, however it is written there, and no other address is taken for it."""

import json
import time
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import given
from hypothesis import strategies as st

from impactflow.ledger.addresses import FORGOTTEN, folded, found_in, is_plain, named_in, read, without

ANA = "ana@example.com"
LETTERS = st.characters(codec="utf-8", categories=["Ll", "Lu", "Nd"])
NAMES = st.lists(st.text(LETTERS, min_size=1, max_size=8), min_size=1, max_size=3).map(".".join)
ADDRESSES = st.builds("{}@{}.com".format, NAMES, st.from_regex(r"[a-z]{1,9}", fullmatch=True))


def is_ana(found):
    """Whether a folded address is the one that is forgotten."""
    return found == ANA


@pytest.mark.parametrize(
    "text",
    [
        ANA, "ANA@Example.COM", "write to ana@example.com.", "<ana@example.com>", "to='ana@example.com'",
        "mailto:ana@example.com?subject=x", "email=ana@example.com&x=1", "...ana@example.com", "ana@example.com-",
        "\u201cana@example.com\u201d", "\u8054\u7cfbana@example.com\u8c22\u8c22", "a@b@ana@example.com",
    ],
)  # fmt: skip
def test_the_address_is_taken_out_of_a_text(text):
    """What stands around it stays."""
    assert ANA in found_in(text)
    cleared = without(text, is_ana)
    assert (cleared.count(FORGOTTEN), ANA in cleared.casefold()) == (1, False)
    assert cleared.replace(FORGOTTEN, "").casefold() == text.casefold().replace(ANA, "")


@pytest.mark.parametrize(
    "text",
    [
        "susana@example.com", "my-ana@example.com", "my.ana@example.com", "x+ana@example.com", "o'ana@example.com",
        "ana@example.community", "ana@example.com.au", "ana@example.co", "ana@", "@example.com", "ana", "",
    ],
)  # fmt: skip
def test_another_address_stays(text):
    """Of which it is a part."""
    assert ANA not in found_in(text)
    assert text == without(text, is_ana)


@given(address=ADDRESSES)
def test_it_is_found_however_it_is_written(address):
    """In JSON, in a form, in HTML, in one within the other, in any alphabet."""
    coded = [
        json.dumps({"email": address}),
        json.dumps({"email": address}).replace("@", "\\u0040"),
        json.dumps({"inner": json.dumps({"email": address}).replace("@", "\\u0040")}),
        json.dumps(f"first line\n{address}"),
        quote(f"email={address}"),
        quote_plus(f"to {address}"),
        quote(quote(address)),
        address.replace("@", "&#64;"),
        read(json.dumps({"email": address}, ensure_ascii=False).encode("utf-16")),
    ]
    for text in coded:
        assert folded(address) in found_in(text), text
        assert folded(address) not in found_in(without(text, lambda found: found == folded(address)))


@pytest.mark.parametrize(
    "text",
    [
        "ana%2Btag@example.com", "ana&plus;tag@example.com", "ana&#43;tag@example.com", "ana\\u002btag@example.com",
        "ana+tag@example%2Ecom", "ana+tag@example&period;com", "ana%252Btag%40example.com",
        "&amp;#97;na+tag@example.com",
        "ana+tag&amp;commat;example.com", "%26%2397%3Bna+tag@example.com",
    ],
)  # fmt: skip
def test_any_letter_of_an_address_may_be_a_code(text):
    """Not only the @."""
    assert "ana+tag@example.com" in found_in(text)
    assert FORGOTTEN == without(text, lambda found: found == "ana+tag@example.com")


def test_a_plus_is_a_plus_outside_of_forms():
    """Also where another letter is a code."""
    text = "by tag+ana@example.com \\u00fc &amp; co"
    assert text == without(text, is_ana)


@pytest.mark.parametrize(
    "text", [ANA, " Ana+x@Example.com ", "o'ana@example.com", "_ana@example.com", "a&b@example.com"]
)
def test_one_address_alone_is_plain(text):
    """And is all that such a field names."""
    assert is_plain(text)
    assert named_in(text) == {folded(text)}


@pytest.mark.parametrize(
    "text",
    [
        "Ana <ana@example.com>", "ana@example.com.", "ana@example.com;", "mailto:ana@example.com", "'ana@example.com'",
        ".ana@example.com", "ben@example.com, ana@example.com", "ana%40example.com", "&#97;na@example.com",
    ],
)  # fmt: skip
def test_an_address_with_more_around_it_is_not_plain(text):
    """A field that has it names the customer all the same."""
    assert not is_plain(text)
    assert ANA in named_in(text)


@given(address=ADDRESSES, other=ADDRESSES)
def test_no_address_is_taken_for_another(address, other):
    """In a text that has only the other one."""
    text = f"Of {other}, as asked."
    is_one = folded(address) == folded(other)
    assert (without(text, lambda found: found == folded(address)) != text) == is_one


@pytest.mark.parametrize("part", ["@", "'@", "a.", "a@a.", "'" * 100 + "@a", "\\u0040", "%2540", "[", "&#64;", "\\"])
def test_the_time_grows_with_the_length_only(part):
    """A sender may write two megabytes that were made to take long."""

    def seconds(length):
        text = (part * length)[:length] + ANA
        began = time.process_time()
        found_in(text)
        return time.process_time() - began

    assert seconds(200_000) < 8 * seconds(50_000) + 0.5
