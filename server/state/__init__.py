"""The state database: one SQLite file by default, PostgreSQL by URL."""

from .database import Database

__all__ = ["Database"]
