"""Resource names: callers may give the bare id."""


def session_name(session: str) -> str:
    """`shop` and `sessions/shop` are the same session."""
    return session if "/" in session else f"sessions/{session}"


def operation_name(operation: str) -> str:
    """`x1` and `operations/x1` are the same operation."""
    return operation if "/" in operation else f"operations/{operation}"


def location_name(location: str) -> str:
    """`local` and `storageLocations/local` are the same place; empty stays empty."""
    return location if not location or "/" in location else f"storageLocations/{location}"


def trash_name(item: str) -> str:
    """`x1` and `trash/x1` are the same item."""
    return item if "/" in item else f"trash/{item}"
