"""The client of CNaught."""
