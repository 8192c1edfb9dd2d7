#!/usr/bin/env bash
# frictionless 5.21.0 finds out that a European export has semicolons, and takes its amounts for places on Earth: 10,50
# is the point 10 degrees east and 50 north, so a row holds [10.0, 50.0] and the report says that the file is valid. An
# amount above 180 is an error then, and None in its row, where nine of ten amounts are small. The field's own option
# decimalChar is what one has to set. Guessed: text, or a number with a decimal comma. It matters where a shop's CSV is
# checked before its amounts are added up.
# Seen (Python 3.11):
#   up to 29,50: geopoint, valid, the last row has [29.0, 50.0]
#   and 200,00 behind it: geopoint, not valid, the last row has None
#   told decimalChar: number, valid, the last row has 200.00
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet frictionless==5.21.0
cat > "$folder/orders.py" <<'PYTHON'
from pathlib import Path

from frictionless import Detector, Resource, validate


def seen(told, amounts, **options):
    Path("orders.csv").write_text("order;total\n" + "".join(f"N{at};{amount}\n" for at, amount in enumerate(amounts)))
    valid = validate("orders.csv", **options).valid
    with Resource("orders.csv", **options) as export:
        last = export.read_rows()[-1]["total"]
        kind = export.schema.get_field("total").type
    print(f"{told}: {kind}, {'' if valid else 'not '}valid, the last row has {last}")


small = [f"{euros},50" for euros in range(10, 30)]
seen("up to 29,50", small)
seen("and 200,00 behind it", [*small, "200,00"])
told = Detector(schema_patch={"fields": {"total": {"type": "number", "decimalChar": ","}}})
seen("told decimalChar", [*small, "200,00"], detector=told)
PYTHON
(cd "$folder" && venv/bin/python orders.py) | tee "$folder/seen"
diff "$folder/seen" - <<'SEEN'
up to 29,50: geopoint, valid, the last row has [29.0, 50.0]
and 200,00 behind it: geopoint, not valid, the last row has None
told decimalChar: number, valid, the last row has 200.00
SEEN
