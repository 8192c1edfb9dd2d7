"""
The meaning of an answer: the error, in one line without a key, an e-mail address or an order's content.

Pure. ``http``, the only caller, sends, waits and tries again.
"""

import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import httpx
from pydantic import ValidationError

from impactflow.clients.limits import seconds_until
from impactflow.errors import (
    Forbidden,
    IdempotencyConflict,
    NotFound,
    OutcomeUnknown,
    ProviderError,
    RateLimited,
    Refused,
    Unauthorized,
    Unavailable,
    WrongAddress,
)
from impactflow.texts import one_line

#: The most characters of a provider's own text that a message repeats, and the most broken fields that it names.
LONGEST_QUOTE, MOST_FIELDS = 200, 5
#: Only this much of an answer is searched for the provider's own text.
LONGEST_ERROR_BODY = 65_536
#: The first status of redirects, of refusals, and of breakdowns.
_REDIRECTS, _CLIENT_ERRORS, _SERVER_ERRORS = 300, 400, 500
#: A word with an ``@``, also as a URL writes it; matching only from the start of a word keeps the search quick.
_EMAIL = re.compile(r"(?<![^\s<>\"'(),;:])[^\s<>\"'(),;:]+?(?:@|%(?:25)*40)[^\s<>\"'(),;:]+")


class Misshapen(Unavailable):
    """The answer to a read is not as documented, though nothing was lost; asking again would bring the same."""


@dataclass(frozen=True, slots=True)
class Account:
    """
    A provider's address and key, and the settings that a person would change if one were wrong.

    Args:
        provider: Its name, as in the policy.
        base_url: The URL before every path; it does not end in a slash.
        key: The API key.
        headers: The headers of each request, including the key.
        key_variable: The environment variable of the key.
        url_variable: The environment variable of the URL.
        or_else: Advice for a person where the key is right but not accepted; empty where there is none.
    """

    provider: str
    base_url: str
    key: str = field(repr=False)
    headers: tuple[tuple[str, str], ...] = field(repr=False)
    key_variable: str
    url_variable: str
    or_else: str = ""


@dataclass(frozen=True, slots=True)
class Call:
    """
    One request, with the facts that its errors need.

    Args:
        account: The account that it goes to.
        operation: The provider's name of the operation.
        is_write: Whether it buys or changes something.
        has_key: Whether it carries an idempotency key.
        always_there: Whether it asks for a resource that every account has, so that a 404 means a wrong URL.
        secrets: The secrets that it carries besides the account's key; no message may show them.
    """

    account: Account
    operation: str
    is_write: bool
    has_key: bool = False
    always_there: bool = False
    secrets: tuple[str, ...] = field(default=(), repr=False)

    def unanswered(self, why: str) -> ProviderError:
        """Make the error for no whole answer, though the request may have arrived."""
        if self.is_write:
            return OutcomeUnknown(
                f"{why}: it may have taken effect, and is looked for before it is sent again", **self._who()
            )
        return Unavailable(f"{why}: try again later", **self._who())

    def too_large(self, why: str) -> ProviderError:
        """Make the error for an answer larger than any documented one; it was not read to its end."""
        text = f"the answer was not read, {why}: check {self.account.url_variable}, or ask the provider"
        if self.is_write:
            return OutcomeUnknown(f"{text}; it may have taken effect", **self._who())
        return Misshapen(text, **self._who())

    def unreachable(self, why: str, check: str = "the network") -> Unavailable:
        """Make the error for no connection; nothing was sent."""
        text = f"could not connect ({why}), nothing was sent: check {check} and {self.account.url_variable}"
        return Unavailable(text, **self._who())

    def held_back(self, wait_s: float) -> RateLimited:
        """Make the error for a request that our own limiter did not let go in time; nothing was sent."""
        text = f"the provider's rate limit is used up for {wait_s:.0f} s more; nothing was sent"
        return RateLimited(text, status=None, retry_after_s=wait_s, **self._who())

    def refused(self, why: str) -> Refused:
        """Make the error for a request that breaks a documented limit; nothing was sent."""
        return Refused(f"{why}; nothing was sent", **self._who())

    def failed(self, response: httpx.Response, now: datetime) -> ProviderError:
        """Make the error for a status outside 2xx."""
        status, quoted = response.status_code, quote(response, self._masked)
        more = self._answered(response)
        if status == httpx.codes.TOO_MANY_REQUESTS:
            wait_s = seconds_until(response.headers.get("retry-after"), now)
            return RateLimited(f"too many requests; nothing was done{quoted}", retry_after_s=wait_s, **more)
        if status == httpx.codes.REQUEST_TIMEOUT or not _REDIRECTS <= status < _SERVER_ERRORS:
            return self._broke_down(quoted, more)
        if status == httpx.codes.CONFLICT and self.has_key:
            return OutcomeUnknown(f"the first request with this key is still running{quoted}", **more)
        if status < _CLIENT_ERRORS:
            return self._sent_elsewhere(more)
        return self._declined(status, quoted, more)

    def _broke_down(self, quoted: str, more: dict[str, Any]) -> ProviderError:
        if self.is_write:
            return OutcomeUnknown(f"the provider broke down; it may have taken effect{quoted}", **more)
        return Unavailable(f"the provider is down: try again later{quoted}", **more)

    def _sent_elsewhere(self, more: dict[str, Any]) -> ProviderError:
        """Make the error for a redirect: following it would pass on the key, and some servers act, then redirect."""
        why = f"answered with a redirect, which is not followed: check {self.account.url_variable}"
        if self.is_write:
            return OutcomeUnknown(f"{why}; it may have taken effect", **more)
        return Refused(why, **more)

    def _declined(self, status: int, quoted: str, more: dict[str, Any]) -> Refused:
        match status:
            case 402:
                return Unauthorized(f"the account cannot pay for this: check its billing{quoted}", **more)
            case 401:
                todo = ", ".join(filter(None, (f"check {self.account.key_variable}", self.account.or_else)))
                return Unauthorized(f"the key is not accepted: {todo}{quoted}", **more)
            case 403:
                why = "not allowed to this account, or not as things stand: check its settings at the provider"
                return Forbidden(f"{why}{quoted}", **more)
            case 404:
                return self._not_found(quoted, more)
            case 422 if self.has_key:
                return IdempotencyConflict(f"the idempotency key was used before with another body{quoted}", **more)
            case _:
                return Refused(f"the provider declined{quoted}", **more)

    def _not_found(self, quoted: str, more: dict[str, Any]) -> NotFound | WrongAddress:
        if self.always_there:
            return WrongAddress(f"nothing is there: check the path in {self.account.url_variable}{quoted}", **more)
        return NotFound(f"the provider knows nothing by that name{quoted}", **more)

    def unreadable(self, response: httpx.Response, broken: ValidationError) -> ProviderError:
        """Make the error for a successful answer that is not as documented."""
        why = f"the answer cannot be read: {broken_fields(broken)}"
        more = self._answered(response)
        if self.is_write:
            return OutcomeUnknown(f"{why}; it may have taken effect", **more)
        return Unavailable(why, **more) if is_not_json(broken) else Misshapen(why, **more)

    def undecided(self, error: ProviderError) -> OutcomeUnknown:
        """Make the error for a declined write that may have been done before, where ``error`` prevented the look-up."""
        text = f"declined, perhaps because it was done before, which could not be looked up: {error.message}"
        return OutcomeUnknown(text, status=error.status, request_id=error.request_id, **self._who())

    def _who(self) -> dict[str, Any]:
        return {"provider": self.account.provider, "operation": self.operation}

    def _answered(self, response: httpx.Response) -> dict[str, Any]:
        request_id = _request_id(response)
        masked = None if request_id is None else self._masked(request_id)[:LONGEST_QUOTE]
        return self._who() | {"status": response.status_code, "request_id": masked}

    def _masked(self, text: str) -> str:
        """Return the text without the secrets that were sent and without e-mail addresses."""
        for secret in (*self.secrets, self.account.key):
            text = text.replace(secret, "***")
        return _EMAIL.sub("***", text)


def broken_fields(broken: ValidationError) -> str:
    """Say which fields are not as documented, without their content."""
    errors = broken.errors(include_input=False, include_url=False, include_context=False)
    if is_not_json(broken):
        return "it is not JSON"
    named = [f"field {place(error['loc'])}: {_in_words(error['type'], error['msg'])}" for error in errors[:MOST_FIELDS]]
    return "; ".join(named) + ("; and more" if len(errors) > MOST_FIELDS else "")


#: The ends of pydantic's error names where a value is of another kind, rather than out of bounds.
_OF_KIND = ("_type", "_parsing", "_unicode", "_from_float")
#: The words for an error in a field, by the start of pydantic's error name.
_WRONG = {
    "missing": "it is missing",
    "string": "it is no text",
    "int": "it is no whole number",
    "float": "it is no number",
    "decimal": "it is no number",
    "finite_number": "it is no number",
    "bool": "it is neither true nor false",
    "list": "it is no list",
    "tuple": "it is no list",
    "dict": "it is no object with fields",
    "model": "it is no object with fields",
    "date": "it is no time",
}


def _in_words(kind: str, message: str) -> str:
    """Say what is wrong, for a reader who knows the sender but not pydantic."""
    if kind in {"missing", "finite_number"} or kind.endswith(_OF_KIND):
        for name, words in _WRONG.items():
            if kind.startswith(name):
                return words
    if kind.endswith(("too_short", "too_long")):
        return "it is blank or too short" if kind.endswith("short") else "it is too long"
    return message.removeprefix("Value error, ").replace("Input should be", "it should be")


def place(parts: tuple[int | str, ...]) -> str:
    """Write a field's place as text; a name in a mapping may hold any text."""
    return ".".join(_named(part) for part in parts) or "(all)"


def _named(part: int | str) -> str:
    """Write a name so that a log and a database can keep it, without e-mail addresses."""
    return _EMAIL.sub("***", one_line(str(part)))[:LONGEST_QUOTE]


def is_not_json(broken: ValidationError) -> bool:
    """Whether the answer was cut short, or was a page for people; asking again may help."""
    return broken.errors(include_input=False, include_url=False)[0]["type"] == "json_invalid"


def quote(response: httpx.Response, mask: Callable[[str], str]) -> str:
    """Repeat the provider's own words in one line, masked; empty where there are none."""
    text = mask(one_line(" ".join(_words(response.content[:LONGEST_ERROR_BODY]))))
    return f" (they say: {text[:LONGEST_QUOTE]})" if text else ""


def _words(body: bytes) -> Iterator[str]:
    """Find a machine's code and a person's sentence in an error body of any of the four providers."""
    try:
        found = json.loads(body)
    except (ValueError, RecursionError):
        return
    if isinstance(found, dict) and isinstance(found.get("error"), dict):
        found = found["error"]
    if isinstance(found, dict):
        for names in (("code", "title"), ("message", "detail")):
            yield from (found[name] for name in names if isinstance(found.get(name), str))


def _request_id(response: httpx.Response) -> str | None:
    if header := response.headers.get("x-request-id"):
        return one_line(header)
    found = re.search(rb'"correlation_id"\s*:\s*"([\w-]{1,100})"', response.content[:LONGEST_ERROR_BODY])
    return found[1].decode() if found else None
