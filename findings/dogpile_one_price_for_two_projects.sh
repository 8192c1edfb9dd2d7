#!/usr/bin/env bash
# dogpile.cache 1.5.0 makes the key of a cached call of its arguments as text with blanks between them: a project "Oak"
# in the country "New Mexico" and "Oak New" in "Mexico" share one entry, and so do order 1 and order "1". cashews 7.6.0
# keeps blanks apart, but takes 1 for "1" and an empty text for None, too. aiocache 0.12.3 mixes none of them up.
# Guessed: what is called with different arguments has different entries. It matters where prices or rates are cached: a
# project is bought at the price of another.
# Seen (Python 3.11):
#   ('Oak', 'New Mexico') and ('Oak New', 'Mexico'): one for both in dogpile
#   ('order', 1) and ('order', '1'): one for both in dogpile cashews
#   ('', 5) and (None, 5): one for both in cashews
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet dogpile.cache==1.5.0 cashews==7.6.0 aiocache==0.12.3
"$folder/venv/bin/python" - <<'PYTHON' | tee "$folder/seen"
import asyncio

import aiocache
import cashews
from dogpile.cache import make_region


def told(first, second):
    return f"told for {second}" if first != second else f"told for {first}, both times"


CALLS = ((("Oak", "New Mexico"), ("Oak New", "Mexico")), (("order", 1), ("order", "1")), (("", 5), (None, 5)))
region = make_region().configure("dogpile.cache.memory")
cashews.cache.setup("mem://")


@region.cache_on_arguments()
def by_dogpile(project, country):
    return (project, country)


@cashews.cache(ttl="1h")
async def by_cashews(project, country):
    return (project, country)


@aiocache.cached()
async def by_aiocache(project, country):
    return (project, country)


async def show():
    for first, second in CALLS:
        seen = [[by_dogpile(*first), by_dogpile(*second)]]
        for cached in (by_cashews, by_aiocache):
            seen.append([await cached(*first), await cached(*second)])
        names = ("dogpile", "cashews", "aiocache")
        print(f"{first} and {second}: one for both in", *(name for name, (a, b) in zip(names, seen) if a == b))


asyncio.run(show())
PYTHON
diff "$folder/seen" - <<'SEEN'
('Oak', 'New Mexico') and ('Oak New', 'Mexico'): one for both in dogpile
('order', 1) and ('order', '1'): one for both in dogpile cashews
('', 5) and (None, 5): one for both in cashews
SEEN
