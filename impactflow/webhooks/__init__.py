"""What others tell us of their own accord: who may, what is kept of it, and what it means."""
