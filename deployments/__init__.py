"""What an operator installs on a Prefect server and on machines; the flows themselves know nothing of it."""
