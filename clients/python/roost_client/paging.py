"""Lists, page after page."""

from collections.abc import AsyncGenerator, Awaitable, Callable
from typing import Protocol, TypeVar


class Page(Protocol):
    """Any List response."""

    next_page_token: str


AnyPage = TypeVar("AnyPage", bound=Page)


async def pages(
    fetch: Callable[[str], Awaitable[AnyPage]],
) -> AsyncGenerator[AnyPage, None]:
    """Every page; `fetch` gets the token of the one before, empty for the first."""
    token = ""
    while True:
        page = await fetch(token)
        yield page
        token = page.next_page_token
        if not token:
            return
