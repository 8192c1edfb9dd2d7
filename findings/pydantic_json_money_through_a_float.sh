#!/usr/bin/env bash
# pydantic 2.14.4 reads a JSON number into a Decimal by way of a float, so that its JSON reader and Python's do not agree
# on the same document and the same model: of an amount in ether (eighteen decimals) the last digit is rounded away, and
# "10.00" has lost its cents. A whole number of any length stays exact, and so does a text. Guessed: a Decimal holds the
# digits that the document has.
# Seen (Python 3.11):
#   0.123456789012345678: by pydantic 0.12345678901234568, by json 0.123456789012345678
#   10.00: by pydantic 10, by json 10.00
#   123456789012345678901: by pydantic 123456789012345678901, by json 123456789012345678901
#   "0.123456789012345678": by pydantic 0.123456789012345678, by json 0.123456789012345678
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet pydantic==2.14.4
"$folder/venv/bin/python" - <<'PYTHON' | tee "$folder/seen"
import json
from decimal import Decimal

from pydantic import BaseModel


class Donation(BaseModel):
    amount: Decimal


for number in ("0.123456789012345678", "10.00", "123456789012345678901", '"0.123456789012345678"'):
    text = f'{{"amount": {number}}}'
    by_pydantic = Donation.model_validate_json(text).amount
    by_json = Donation.model_validate(json.loads(text, parse_float=Decimal)).amount
    print(f"{number}: by pydantic {by_pydantic}, by json {by_json}")
PYTHON
diff "$folder/seen" - <<'SEEN'
0.123456789012345678: by pydantic 0.12345678901234568, by json 0.123456789012345678
10.00: by pydantic 10, by json 10.00
123456789012345678901: by pydantic 123456789012345678901, by json 123456789012345678901
"0.123456789012345678": by pydantic 0.123456789012345678, by json 0.123456789012345678
SEEN
