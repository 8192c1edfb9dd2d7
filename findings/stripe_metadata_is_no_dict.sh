#!/usr/bin/env bash
# In stripe 16.1.0 what a webhook tells is no dict any more, and metadata shows it last: a session without any metadata
# is true in an `if`, `get` raises AttributeError, and a merchant's own key named "keys" turns the error of dict() into
# "'str' object is not callable", for dict() takes that text for the method of a mapping. `to_dict()` brings what is
# meant. Guessed: metadata is a dict with attributes, empty metadata is false, and dict() copies it.
# Seen (Python 3.11):
#   empty metadata: true, to_dict() {}
#   get: AttributeError
#   dict() of {"gift": "yes"}: TypeError, StripeObject is not iterable
#   dict() of {"keys": "2"}: TypeError, 'str' object is not callable
#   json.dumps: TypeError
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet stripe==16.1.0
"$folder/venv/bin/python" - <<'PYTHON' | tee "$folder/seen"
import hashlib
import hmac
import json
import time

import stripe


def told(metadata):
    session = {"id": "cs_1", "object": "checkout.session", "amount_total": 8010, "metadata": metadata}
    event = {"id": "evt_1", "object": "event", "type": "checkout.session.completed", "data": {"object": session}}
    body, now = json.dumps(event), int(time.time())
    signature = hmac.new(b"whsec_made_up", f"{now}.{body}".encode(), hashlib.sha256).hexdigest()
    read = stripe.Webhook.construct_event(body, f"t={now},v1={signature}", "whsec_made_up")
    return read.data.object.metadata


def tried(what):
    try:
        return what()
    except Exception as error:
        return f"{type(error).__name__}, {str(error).partition(' or a mapping')[0]}"


print(f"empty metadata: {str(bool(told({}))).lower()}, to_dict() {told({}).to_dict()}")
print(f"get: {tried(lambda: told({'gift': 'yes'}).get('gift')).partition(',')[0]}")
for metadata in ({"gift": "yes"}, {"keys": "2"}):
    print(f"dict() of {json.dumps(metadata)}: {tried(lambda: dict(told(metadata)))}")
print(f"json.dumps: {tried(lambda: json.dumps(told({'gift': 'yes'}))).partition(',')[0]}")
PYTHON
diff "$folder/seen" - <<'SEEN'
empty metadata: true, to_dict() {}
get: AttributeError
dict() of {"gift": "yes"}: TypeError, StripeObject is not iterable
dict() of {"keys": "2"}: TypeError, 'str' object is not callable
json.dumps: TypeError
SEEN
