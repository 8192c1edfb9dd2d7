#!/usr/bin/env bash
# standardwebhooks 1.1.0 takes a signing secret in URL-safe base64 without a word and signs with another key: the letters
# - and _ are skipped, not decoded, so no delivery of a sender that decodes them is ever accepted. Guessed: the
# constructor raises, or decodes them.
# Seen (Python 3.11):
#   the key has 32 bytes; from base64 32 are used, from URL-safe base64 28; the signatures are not equal
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet standardwebhooks==1.1.0
"$folder/venv/bin/python" - <<'PYTHON' | tee "$folder/seen"
import base64
from datetime import UTC, datetime

from standardwebhooks.webhooks import Webhook

key = bytes([*range(248, 256), *range(200, 224)])
plain = Webhook(base64.b64encode(key).decode())
url_safe = Webhook(base64.urlsafe_b64encode(key).decode())
moment = datetime(2026, 1, 1, tzinfo=UTC)
equal = plain.sign("id", moment, "{}") == url_safe.sign("id", moment, "{}")
print(
    f"the key has {len(key)} bytes; from base64 {len(plain._whsecret)} are used, "
    f"from URL-safe base64 {len(url_safe._whsecret)}; the signatures are {'' if equal else 'not '}equal"
)
PYTHON
diff "$folder/seen" - <<'SEEN'
the key has 32 bytes; from base64 32 are used, from URL-safe base64 28; the signatures are not equal
SEEN
