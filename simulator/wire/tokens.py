"""The token dictionaries of the node encoding, read from neonize's shared library.

They are data of the protocol version that the library speaks, so the library itself is the
one source that can never disagree with it. A Go string is a pair of words, address and
length; in a position independent ELF file each address is a relative relocation. The single
byte dictionary is an array of strings, the double byte one an array of four slices of them.

Source: https://github.com/tulir/whatsmeow/tree/main/binary/token
"""

import importlib.util
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

DICTIONARY_0 = 236
"""First tag that names a double byte dictionary; every tag below is a word or 0."""

_SINGLE_FIRST = "xmlstreamstart"
_DOUBLE_FIRST = ("read-self", "active", "fbns")
_DICTIONARIES = 4
_DICTIONARY_SIZE = 256
_STRING_SIZE = 16
_SLICE_SIZE = 24
_RELATIVE = {62: 8, 183: 1027}
"""Type of a relative relocation, by the ELF machine (x86-64, AArch64)."""
_SHT_RELA = 4
_SHT_NOBITS = 8


class TokensNotFound(Exception):
    """The library is not an ELF file of the expected shape."""


@dataclass(frozen=True, slots=True)
class Tokens:
    """The dictionaries, in both directions."""

    single: tuple[str, ...]
    double: tuple[tuple[str, ...], ...]
    encoded: dict[str, bytes]
    """What stands for a word on the wire: one byte, or dictionary and index."""

    @classmethod
    def of(cls, single: Sequence[str], double: Sequence[Sequence[str]]) -> "Tokens":
        """Both directions from the words; a word's shortest encoding wins."""
        encoded: dict[str, bytes] = {}
        for number, words in enumerate(double):
            for index, word in enumerate(words):
                encoded.setdefault(word, bytes((DICTIONARY_0 + number, index)))
        for index, word in enumerate(single):
            if word:
                encoded[word] = bytes((index,))
        return cls(tuple(single), tuple(tuple(words) for words in double), encoded)


@cache
def load_tokens() -> Tokens:
    """The dictionaries of the installed neonize, whose library is read, never loaded."""
    return read_tokens(library_path())


def library_path() -> Path:
    """Where the installed neonize keeps its shared library."""
    spec = importlib.util.find_spec("neonize")
    for folder in (spec.submodule_search_locations or ()) if spec else ():
        for path in sorted(Path(folder).glob("neonize-*.so")):
            return path
    raise TokensNotFound("no shared library of neonize is installed (Linux only)")


def read_tokens(path: Path) -> Tokens:
    """The dictionaries of the library at `path`.

    Raises:
        TokensNotFound: it is not one that this can read.
    """
    image = _Image(path.read_bytes())
    single = image.find_array((_SINGLE_FIRST,))
    outer = image.pointers_to(image.find_array(_DOUBLE_FIRST))
    if len(outer) != 1:
        raise TokensNotFound("the double byte dictionaries are not where they should be")
    double = [
        image.strings(image.pointer(outer[0] + number * _SLICE_SIZE), _DICTIONARY_SIZE)
        for number in range(_DICTIONARIES)
    ]
    return Tokens.of(["", *image.strings(single, DICTIONARY_0 - 1)], double)


class _Image:
    """An ELF file as it would lie in memory."""

    def __init__(self, data: bytes) -> None:
        if data[:6] != b"\x7fELF\x02\x01":
            raise TokensNotFound("not a 64-bit little-endian ELF file")
        (machine,) = struct.unpack_from("<H", data, 18)
        (offset,) = struct.unpack_from("<Q", data, 40)
        size, count = struct.unpack_from("<HH", data, 58)
        self._data = data
        self._sections: list[tuple[int, int, int]] = []
        """Address, file offset and size of what is mapped from the file."""
        self._pointers: dict[int, int] = {}
        for index in range(count):
            kind, flags, address, start, length = struct.unpack_from(
                "<4xIQQQQ", data, offset + index * size
            )
            if address and kind != _SHT_NOBITS and flags:
                self._sections.append((address, start, length))
            if kind == _SHT_RELA:
                self._relocate(data[start : start + length], _RELATIVE.get(machine, -1))

    def _relocate(self, table: bytes, wanted: int) -> None:
        entries = struct.iter_unpack("<QQq", table)
        self._pointers.update({at: to for at, kind, to in entries if kind == wanted})

    def _offset(self, address: int) -> int:
        for start, offset, length in self._sections:
            if start <= address < start + length:
                return address - start + offset
        raise TokensNotFound("an address outside the file")

    def pointer(self, address: int) -> int:
        """What the word at `address` points to."""
        try:
            return self._pointers[address]
        except KeyError:
            raise TokensNotFound("a pointer without a relocation") from None

    def pointers_to(self, target: int) -> list[int]:
        """The addresses of all words that point to `target`."""
        return [at for at, to in self._pointers.items() if to == target]

    def string(self, address: int) -> str:
        """The Go string whose header is at `address`."""
        (length,) = struct.unpack_from("<Q", self._data, self._offset(address) + 8)
        if not length:
            return ""
        start = self._offset(self.pointer(address))
        return self._data[start : start + length].decode()

    def strings(self, address: int, count: int) -> list[str]:
        """An array of `count` Go strings."""
        return [self.string(address + index * _STRING_SIZE) for index in range(count)]

    def find_array(self, words: Sequence[str]) -> int:
        """The address of the only array of strings that begins with `words`."""
        first = words[0].encode()
        places: set[int] = set()
        found = self._data.find(first)
        while found >= 0:
            places.update(
                found - offset + start
                for start, offset, length in self._sections
                if offset <= found < offset + length
            )
            found = self._data.find(first, found + 1)
        candidates = [at for at, to in self._pointers.items() if to in places]
        arrays = [at for at in candidates if self._begins(at, words)]
        if len(arrays) != 1:
            raise TokensNotFound(f"{len(arrays)} arrays begin with {words[0]!r}")
        return arrays[0]

    def _begins(self, address: int, words: Sequence[str]) -> bool:
        data = self._data
        for index, word in enumerate(words):
            header = address + index * _STRING_SIZE
            (length,) = struct.unpack_from("<Q", data, self._offset(header) + 8)
            if length != len(word) or self.string(header) != word:
                return False
        return True
