"""The parts that an operator installs on a Prefect server and on machines; the flows do not depend on them."""
