#!/usr/bin/env bash
# pandas 2.3.3: read_json turns JSON strings that look like numbers into numbers, also where they do not fit. Two order
# ids of twenty digits, strings in the file, become one and the same float, and the SKU "1E5" becomes 100000. Guessed:
# what JSON says is a string stays one, or at least if it does not fit into 64 bits.
# Seen (Python 3.11):
#   order: float64, 1 different of 2
#   sku: int64, 2 different of 2: 100000, 2000
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet pandas==2.3.3
"$folder/venv/bin/python" - <<'PYTHON' | tee "$folder/seen"
import io

import pandas as pd

orders = '[{"order": "12345678901234567890", "sku": "1E5"}, {"order": "12345678901234567891", "sku": "2E3"}]'
read = pd.read_json(io.StringIO(orders))
print(f"order: {read['order'].dtype}, {read['order'].nunique()} different of {len(read)}")
print(f"sku: {read['sku'].dtype}, {read['sku'].nunique()} different of {len(read)}: {', '.join(map(str, read['sku']))}")
PYTHON
diff "$folder/seen" - <<'SEEN'
order: float64, 1 different of 2
sku: int64, 2 different of 2: 100000, 2000
SEEN
