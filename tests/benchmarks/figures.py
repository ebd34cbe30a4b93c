"""Figures: min, median and max over repeats, beside a target where there is one."""

import statistics
from dataclasses import dataclass, field


@dataclass
class Figure:
    """One measured thing."""

    name: str
    unit: str
    target: str = ""
    values: list[float] = field(default_factory=list)

    @property
    def median(self) -> float:
        """The middle value."""
        return statistics.median(self.values)

    def row(self) -> str:
        """One line of the report."""
        low, middle, high = min(self.values), self.median, max(self.values)
        return (
            f"{self.name:<44} {low:>9.2f} {middle:>9.2f} {high:>9.2f} {self.unit:<6}"
            f" n={len(self.values):<5} {self.target}"
        )


class Table:
    """Figures by name, made when first asked for."""

    def __init__(self) -> None:
        self.figures: dict[str, Figure] = {}

    def add(self, name: str, value: float | None, unit: str = "ms") -> None:
        """One more measurement."""
        if value is not None:
            self.figures.setdefault(name, Figure(name, unit)).values.append(value)

    def median(self, name: str) -> float:
        """Of what was measured."""
        return self.figures[name].median

    def ratio(self, what: str, of: str, to: str, most: float) -> str:
        """A line that compares two medians with a target."""
        value = self.median(of) / self.median(to)
        verdict = "ok" if value <= most else "MISSED"
        return f"{what:<52} {value:>6.2f} x   target <= {most:<5} {verdict}"


def report(figures: list[Figure]) -> str:
    """The whole table."""
    head = f"{'figure':<44} {'min':>9} {'median':>9} {'max':>9}"
    return "\n".join([head, *(figure.row() for figure in figures if figure.values)])
