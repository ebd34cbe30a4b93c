"""Roost's Python client."""
