"""`python -m server`."""
