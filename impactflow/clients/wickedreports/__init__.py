"""The client of Wicked Reports."""
