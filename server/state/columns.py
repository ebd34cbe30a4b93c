"""Column types that both databases store alike."""

from datetime import UTC, datetime, timedelta

from sqlalchemy import BigInteger, Dialect, Integer
from sqlalchemy.types import TypeDecorator

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MICROSECOND = timedelta(microseconds=1)

# A primary key that SQLite can use as its row id.
BIG_KEY = BigInteger().with_variant(Integer(), "sqlite")


def to_micros(instant: datetime) -> int:
    """Microseconds since 1970; exact, and sorts like the instant."""
    return (instant - EPOCH) // MICROSECOND


class Instant(TypeDecorator[datetime]):
    """An aware UTC datetime as microseconds since 1970."""

    impl = BigInteger
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> int | None:  # noqa: ARG002
        """To the database."""
        return None if value is None else to_micros(value)

    def process_result_value(self, value: int | None, dialect: Dialect) -> datetime | None:  # noqa: ARG002
        """From the database."""
        return None if value is None else EPOCH + value * MICROSECOND
