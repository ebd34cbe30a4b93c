"""How the demo is told: steps with their times."""

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console


class Stage:
    """Tells steps one after the other, for a person or as JSON."""

    def __init__(self, *, as_json: bool) -> None:
        self._as_json = as_json
        self._console = Console(highlight=False, markup=False, emoji=False)
        self._count = 0
        self._started = time.monotonic()

    @contextmanager
    def step(self, title: str) -> Iterator[None]:
        """One step; its time is told when it ends well."""
        self._count += 1
        if not self._as_json:
            self._console.print(f"\n{self._count}. {title}", style="bold")
        began = time.monotonic()
        yield
        took = time.monotonic() - began
        if self._as_json:
            print(json.dumps({"step": self._count, "title": title, "seconds": round(took, 3)}))
        else:
            self._console.print(f"   done in {took:.1f} s", style="green")

    def tell(self, text: str, style: str = "") -> None:
        """A detail of the running step."""
        if not self._as_json:
            self._console.print(f"   {text}", style=style, soft_wrap=True)

    def draw(self, picture: str) -> None:
        """Something that must keep its shape."""
        if not self._as_json:
            print(picture)

    def close(self) -> None:
        """The whole time."""
        took = time.monotonic() - self._started
        if self._as_json:
            print(json.dumps({"ok": True, "seconds": round(took, 3)}))
        else:
            self._console.print(f"\nAll of it in {took:.0f} s.", style="bold green")
