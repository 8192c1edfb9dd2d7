"""``python -m impactflow`` is ``impactflow``."""

import sys

# It looks into the working directory first, where somebody's own folder `flows` or `tasks` would be taken for ours.
if not sys.flags.safe_path:
    sys.path.append(sys.path.pop(0))

from impactflow.cli import main

main()
