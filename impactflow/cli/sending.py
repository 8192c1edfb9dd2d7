"""
Send test deliveries to a receiver, as their sender would.

A test delivery is signed with the secret that the receiver checks. Its id says that it is a test, so that it has no
effect. It also carries its sender's own mark of a test, or reports an order that was never paid.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from http import HTTPStatus
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import typer

from impactflow.callbacks import callback_path
from impactflow.cli.command import DONE, UNDONE
from impactflow.cli.console import out, print_json
from impactflow.cli.trying import event_in_words
from impactflow.clock import Clock, SystemClock
from impactflow.errors import ConfigurationError, ImpactError
from impactflow.intake.senders import events
from impactflow.intake.senders.mapping import Senders, load_senders
from impactflow.intake.senders.paths import place
from impactflow.intake.senders.samples import TOPICS, Sale, sample
from impactflow.ledger.deliveries import TEST_NAME, Delivery
from impactflow.settings import load_settings
from impactflow.webhooks.signing import Unsigned
from impactflow.webhooks.sources import CALLBACK, CNAUGHT, Scheme, Secrets

#: The address where `impactflow webhooks` listens by default.
_DEFAULT_URL = "http://127.0.0.1:8080"
_TIMEOUT_S = 30.0
#: Sales that were never made: Shopify's is the one of its own test notifications; no WooCommerce shop counts that far.
_SOLD: Mapping[str, int | str] = {
    "shopify": 820982911946154508,
    "woocommerce": 999_999_999_999,
    "stripe": "cs_test_impactflow",
}
_CUSTOMER = "impactflow-test@example.com"
#: The key of no placement.
_KEY = "impactflow" + "0" * 40


@dataclass(frozen=True, slots=True)
class _Sent:
    """
    The result of one delivery.

    Args:
        kind: The topic of the delivery.
        status: The HTTP status of the answer.
        result: The receiver's word for what it did; None where it refused the delivery.
        said: The result in a sentence.
        means: The meaning for a run; None for a test.
        is_read: Whether a run can read the delivery.
    """

    kind: str
    status: int
    result: str | None
    said: str
    means: str | None = None
    is_read: bool = True

    @property
    def accepted(self) -> bool:
        """Whether the receiver keeps the delivery, and a run can read it."""
        return self.result in {"stored", "known"} and self.is_read


def send_deliveries(
    source: str, kind: str | None, url: str | None, file: Path | None, *, as_json: bool, clock: Clock | None = None
) -> int:
    """
    Send one delivery, or one of each kind, print the results, and return the exit status.

    Args:
        source: The sender.
        kind: The topic to send; None for every topic that the receiver handles.
        url: The receiver's URL; None for the receiver on this machine.
        file: The file to send in place of a test.
        as_json: Whether a program reads the output.
        clock: Gives the time.

    Raises:
        ConfigurationError: The sender has no secret here, or the file cannot be read.
        typer.BadParameter: There is no such sender, or it has no such kind.
        ImpactError: No receiver answers.
    """
    settings = load_settings()
    senders = load_senders(settings.impactflow_senders)
    sending = _Sending(source, Secrets.of(settings, senders.schemes), senders, clock or SystemClock())
    if file is not None and kind is None:
        raise typer.BadParameter(f"--file needs the kind of its delivery: {', '.join(sending.kinds)}")
    if kind is not None and kind not in sending.kinds:
        raise typer.BadParameter(f"no delivery of {source} about {kind!r} is handled: {', '.join(sending.kinds)}")
    # This variable allows plain http for this machine only; its https URL is the proxy's, which --url can name.
    configured = settings.impactflow_webhooks_url or ""
    base = (url or (configured if configured.startswith("http://") else _DEFAULT_URL)).rstrip("/")
    body = None if file is None else _content(file)
    try:
        with httpx.Client(timeout=_TIMEOUT_S, trust_env=False) as client:
            sent = [sending.send(client, base, each, body) for each in ([kind] if kind else sending.kinds)]
    except (httpx.TransportError, httpx.InvalidURL, httpx.UnsupportedProtocol) as failed:
        todo = "start one with `impactflow webhooks`, or name another with --url"
        raise ImpactError(f"no receiver answers at {base} ({failed}): {todo}") from None
    _show(base, source, sent, as_json=as_json)
    return DONE if all(each.accepted for each in sent) else UNDONE


class _Sending:
    """Deliveries of one sender."""

    def __init__(self, source: str, secrets: Secrets, senders: Senders, clock: Clock) -> None:
        schemes = {scheme.source: scheme for scheme in secrets.schemes}
        if source not in {*schemes, CNAUGHT}:
            raise typer.BadParameter(f"there is no sender {source!r}: {', '.join([*schemes, CNAUGHT])} are known")
        if source in secrets.not_served:
            raise ConfigurationError(
                f"{secrets.not_served[source]} is not set: put the secret there by which the receiver knows that a"
                f" delivery is {source}'s"
            )
        self._source = source
        self._scheme: Scheme | None = schemes.get(source)
        self._secret = secrets.signing[source][0] if self._scheme else secrets.callback or ""
        self._senders = senders
        self._sender = senders.senders.get(source)
        self._clock = clock

    @property
    def kinds(self) -> Sequence[str]:
        """The sender's topics that the receiver handles."""
        return TOPICS[self._source] if self._sender is None else tuple(self._sender.topics)

    def send(self, client: httpx.Client, base: str, kind: str, body: bytes | None) -> _Sent:
        """Send one delivery, by default a test."""
        is_test = body is None
        name = f"{TEST_NAME}{uuid4().hex}" if body is None else f"sent-{hashlib.sha256(body).hexdigest()[:32]}"
        path, headers, content = self._signed(name, kind, self._test(name, kind) if body is None else body)
        answer = client.post(base + path, content=content, headers={**headers, "content-type": "application/json"})
        sent = self._sent(kind, answer, is_test=is_test)
        return (
            sent if body is None else self._read(sent, Delivery("", self._source, name, kind, self._clock.now(), body))
        )

    def _read(self, sent: _Sent, delivery: Delivery) -> _Sent:
        """Read a file's delivery as a run will, so that a person sees its meaning before the run."""
        read = event_in_words(events.read(delivery, self._senders))
        return replace(sent, means=read.sentence, is_read=read.means != "broken")

    def _signed(self, name: str, kind: str, body: bytes) -> tuple[str, Mapping[str, str], bytes]:
        if self._scheme is None:
            return callback_path(self._secret, _KEY), {}, body
        headers = self._scheme.sign(self._secret, Unsigned(name, kind, body, self._clock.now()))
        if (topic := self._scheme.topic(headers, json.loads(body))) not in {None, kind}:
            raise typer.BadParameter(f"--file holds a delivery about {topic}, not about {kind}")
        return f"/webhooks/{self._source}", headers, body

    def _test(self, name: str, kind: str) -> bytes:
        """Return a delivery of a sale that was never made; of a sender's own fields it has only the topic's."""
        if self._sender is not None:
            content = place(self._sender.topic, kind)
        else:
            sold = _SOLD.get(self._source, TEST_NAME + "sale")
            sale = Sale(sold, self._clock.now(), customer_email=_CUSTOMER, is_test=True)
            content = sample(self._source, kind, name, sale)
        return json.dumps(content).encode()

    def _sent(self, kind: str, answer: httpx.Response, *, is_test: bool) -> _Sent:
        body = _object(answer)
        result = body.get("result") if answer.is_success else None
        match result:
            case "stored" if kind == CALLBACK and self._scheme is None:
                sentence = "stored: the next run asks CNaught about no placement, and nothing follows"
            case "stored" if is_test:
                sentence = "stored: the next run takes it for a test, and nothing is bought"
            case "stored":
                sentence = "stored: the next run does what it says, and buys what was sold in it"
            case "known":
                sentence = "known: it was stored before, and nothing follows"
            case "ignored":
                sentence = "not kept: this receiver does not handle it"
            case _ if "error" in body:
                sentence = f"refused: {body['error']}"
            case _ if answer.status_code == HTTPStatus.NOT_FOUND:
                sentence = f"not served there: set {self._variable} where the receiver runs, and start it again"
            case _:
                sentence = "answered by something that is no receiver of impactflow's: see that --url is the receiver's"
        return _Sent(kind, answer.status_code, result, sentence)

    @property
    def _variable(self) -> str:
        return self._scheme.variable if self._scheme else "IMPACTFLOW_CALLBACK_SECRET"


def _object(answer: httpx.Response) -> Mapping[str, Any]:
    try:
        value = answer.json()
    except ValueError:
        return {}
    return value if isinstance(value, dict) else {}


def _content(file: Path) -> bytes:
    try:
        body = file.read_bytes()
        is_object = isinstance(json.loads(body), dict)
    except OSError as failed:
        raise ConfigurationError(f"{file} cannot be read ({failed.strerror})") from None
    except (ValueError, RecursionError):
        is_object = False
    if not is_object:
        raise ConfigurationError(f"{file} is no JSON object, which is what a sender sends")
    return body


def _show(base: str, source: str, sent: Sequence[_Sent], *, as_json: bool) -> None:
    if as_json:
        accepted = all(each.accepted for each in sent)
        deliveries = [asdict(each) for each in sent]
        print_json({"url": base, "source": source, "deliveries": deliveries, "accepted": accepted})
        return
    width = max(len(each.kind) for each in sent)
    for each in sent:
        out.print(f"{each.kind:{width}}  {each.status}  {each.said}", markup=False)
        if each.means:
            out.print(f"What a run reads in it: {each.means}", markup=False)
