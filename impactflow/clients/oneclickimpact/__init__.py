"""The client of 1ClickImpact."""
