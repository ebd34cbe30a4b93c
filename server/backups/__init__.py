"""Backups, restores and the operations that carry them out."""
