"""neonize's Go library as C functions: those that a host calls, and no others.

neonize's own binding (`neonize._binder`) sets up some 130 functions, which costs every host 3 MB;
this one takes the same library with the same signatures (a test compares them). Strings and
buffers that Go returns are C memory: they are copied and freed here.
"""

import ctypes
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

Text = ctypes.c_char_p
Size = ctypes.c_int

# Callbacks of a session: QR code and login status; event; log. All arguments are pointers that are
# valid only during the call.
TextCallback = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_void_p)
EventCallback = ctypes.CFUNCTYPE(None, ctypes.c_char_p, ctypes.c_void_p, ctypes.c_int, ctypes.c_int)
LogCallback = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_int)


class Buffer(ctypes.Structure):
    """Bytes in C memory."""

    _fields_ = (("ptr", ctypes.c_void_p), ("size", ctypes.c_size_t))


class ProxySettings(ctypes.Structure):
    """Where connections go through; everything else is optional."""

    _fields_ = (
        ("proxyAddress", ctypes.c_char_p),
        ("noWebsocket", ctypes.c_bool),
        ("onlyLogin", ctypes.c_bool),
        ("noMedia", ctypes.c_bool),
    )


# What returns text (as an address, to be freed), what returns a buffer, and what returns a value.
TEXTS: Final = {
    "Neonize": (
        *(Text, Text, Text, Size, ctypes.c_int, Text),
        *(TextCallback, TextCallback, EventCallback, LogCallback),
        *(Text, Size, Text, Size, Text, Size, ctypes.POINTER(ProxySettings)),
    ),
    "Logout": (Text,),
    "GetAllDevices": (Text, LogCallback),
}
BUFFERS: Final = {
    "PairPhone": (Text, Text, Size),
    "SendMessage": (Text, Text, Size, Text, Size),
    "GetPNFromLID": (Text, Text, Size),
}
VALUES: Final = {
    "GetVersion": ((), ctypes.c_char_p),
    "IsConnected": ((Text,), ctypes.c_bool),
    "IsLoggedIn": ((Text,), ctypes.c_bool),
    "Disconnect": ((Text,), None),
    "FreeString": ((ctypes.c_void_p,), None),
    "FreeBytesStruct": ((ctypes.POINTER(Buffer),), None),
}


class Library:
    """The loaded library; one per process, and no fork after it."""

    def __init__(self, path: Path, version: str) -> None:
        """Loads it. Raises OSError if it cannot be, or is not of this version."""
        self._library = ctypes.CDLL(str(path))
        for name, (arguments, result) in VALUES.items():
            self._declare(name, arguments, result)
        loaded = self._library.GetVersion().decode()
        if loaded != version:
            raise OSError(f"neonize's library is {loaded}, its package is {version}")
        for name, arguments in TEXTS.items():
            self._declare(name, arguments, ctypes.c_void_p, self._take_text)
        for name, arguments in BUFFERS.items():
            self._declare(name, arguments, ctypes.POINTER(Buffer), self._take_buffer)

    def __getattr__(self, name: str) -> Any:
        """A function of the library."""
        return getattr(self._library, name)

    def _declare(
        self,
        name: str,
        arguments: tuple[Any, ...],
        result: Any,
        take: Callable[..., bytes] | None = None,
    ) -> None:
        function = getattr(self._library, name)
        function.argtypes = arguments
        function.restype = result
        if take is not None:
            function.errcheck = take

    def _take_text(self, address: int, _: object, __: object) -> bytes:
        if not address:
            return b""
        try:
            return ctypes.string_at(address)
        finally:
            self._library.FreeString(address)

    def _take_buffer(self, pointer: Any, _: object, __: object) -> bytes:
        if not pointer:
            return b""
        try:
            buffer = pointer.contents
            return ctypes.string_at(buffer.ptr, buffer.size) if buffer.size else b""
        finally:
            self._library.FreeBytesStruct(pointer)
