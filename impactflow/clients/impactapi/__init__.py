"""The client of ImpactAPI."""
