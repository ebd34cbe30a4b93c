"""What the groups of methods share."""

from .rpc import Rpc


class AsyncGroup:
    """Methods of one service; made by `AsyncClient`."""

    def __init__(self, rpc: Rpc) -> None:
        self._rpc = rpc
