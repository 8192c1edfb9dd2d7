"""``python -m impactflow`` is ``impactflow``."""

from impactflow.cli import main

main()
