"""Which engine this installation has; loads nothing of it."""

import importlib.metadata


def engine_version() -> str:
    """Name and version, e.g. `neonize/0.5.2`."""
    return f"neonize/{importlib.metadata.version('neonize')}"
