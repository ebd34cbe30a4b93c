"""Lengths of time as people write them."""

import re
from datetime import timedelta
from typing import Any

import click
from google.protobuf.duration_pb2 import Duration

UNITS = {"d": 86_400, "h": 3600, "m": 60, "s": 1}
_PART = re.compile(r"(\d+)([dhms])")


class LengthOfTime(click.ParamType):  # type: ignore[type-arg]  # generic in later clicks only
    """`30s`, `5m`, `6h`, `7d`, `1d12h`, or `0`."""

    name = "time"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> timedelta:
        """Reads it; anything else is a wrong command line."""
        parts = _PART.findall(value)
        if value != "0" and (not parts or "".join(map("".join, parts)) != value):
            self.fail(f"{value!r} is not like 30s, 5m, 6h, 7d or 0", param, ctx)
        return timedelta(seconds=sum(int(number) * UNITS[unit] for number, unit in parts))


TIME = LengthOfTime()


def written(duration: Duration) -> str:
    """As it is read; `0` for none."""
    left, found = duration.seconds, ""
    for unit, seconds in UNITS.items():
        count, left = divmod(left, seconds)
        found += f"{count}{unit}" if count else ""
    return found or "0"
