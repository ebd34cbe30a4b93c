"""Stanzas and their binary encoding.

Source: https://github.com/tulir/whatsmeow/tree/main/binary
"""

import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import TypeAlias

from .jid import DOMAINS_BY_SERVER, LID_SERVER, PN_SERVER, SERVERS_BY_DOMAIN, Jid
from .tokens import DICTIONARY_0, Tokens

_LIST_EMPTY = 0
_DICTIONARY_LAST = DICTIONARY_0 + 3
_INTEROP_JID = 245
_MESSENGER_JID = 246
_DEVICE_JID = 247
_LIST_8 = 248
_LIST_16 = 249
_JID_PAIR = 250
_HEX_8 = 251
_BINARY_8 = 252
_BINARY_20 = 253
_BINARY_32 = 254
_NIBBLE_8 = 255
_ALPHABETS = {_NIBBLE_8: "0123456789-.\0\0\0\0", _HEX_8: "0123456789ABCDEF"}
_DEVICE_SERVERS = (PN_SERVER, LID_SERVER)
_COMPRESSED = 2
_BYTE = 0xFF

Value: TypeAlias = "str | Jid"
Content: TypeAlias = "bytes | list[Node] | None"


class MalformedNode(Exception):
    """The bytes are no stanza."""


@dataclass(slots=True)
class Node:
    """One stanza, or a part of one."""

    tag: str
    attrs: Mapping[str, Value] = field(default_factory=dict)
    content: Content = None

    @property
    def children(self) -> list["Node"]:
        """The nodes inside; none if the content is bytes."""
        return self.content if isinstance(self.content, list) else []

    @property
    def data(self) -> bytes:
        """The bytes inside; none if the content is nodes."""
        return self.content if isinstance(self.content, bytes) else b""

    def child(self, *path: str) -> "Node | None":
        """The first descendant down that path of tags."""
        found = self
        for tag in path:
            inside = next((child for child in found.children if child.tag == tag), None)
            if inside is None:
                return None
            found = inside
        return found

    def child_data(self, *path: str) -> bytes:
        """The bytes in that descendant; none without it."""
        found = self.child(*path)
        return found.data if found else b""

    def all(self, tag: str) -> Iterator["Node"]:
        """The children with that tag."""
        return (child for child in self.children if child.tag == tag)

    def text(self, name: str) -> str:
        """An attribute as text; empty without it."""
        return str(self.attrs.get(name, ""))

    def jid(self, name: str) -> Jid | None:
        """An attribute that must be an address; None if it is not."""
        value = self.attrs.get(name)
        return value if isinstance(value, Jid) else None


class Codec:
    """Nodes to bytes and back, with the dictionaries of one protocol version."""

    def __init__(self, tokens: Tokens) -> None:
        self._tokens = tokens

    def encode(self, node: Node) -> bytes:
        """The node as it is sent, flag byte included."""
        out = bytearray(1)
        self._write_node(out, node)
        return bytes(out)

    def decode(self, data: bytes) -> Node:
        """The node in a decrypted frame.

        Raises:
            MalformedNode: there is none.
        """
        if not data:
            raise MalformedNode("empty frame")
        try:
            body = zlib.decompress(data[1:]) if data[0] & _COMPRESSED else data[1:]
            return _Reader(body, self._tokens).node()
        except (IndexError, UnicodeDecodeError, zlib.error, RecursionError) as error:
            raise MalformedNode(type(error).__name__) from error

    def _write_node(self, out: bytearray, node: Node) -> None:
        _write_list_size(out, 1 + 2 * len(node.attrs) + (node.content is not None))
        self._write_text(out, node.tag)
        for name, value in node.attrs.items():
            self._write_text(out, name)
            if isinstance(value, Jid):
                self._write_jid(out, value)
            else:
                self._write_text(out, value)
        content = node.content
        if isinstance(content, list):
            _write_list_size(out, len(content))
            for child in content:
                self._write_node(out, child)
        elif content is not None:
            _write_bytes(out, content)

    def _write_text(self, out: bytearray, text: str) -> None:
        token = self._tokens.encoded.get(text)
        if token is not None:
            out += token
        else:
            _write_bytes(out, text.encode())

    def _write_jid(self, out: bytearray, jid: Jid) -> None:
        domain = DOMAINS_BY_SERVER.get(jid.server)
        if domain is not None and (jid.device or jid.server not in _DEVICE_SERVERS):
            out += bytes((_DEVICE_JID, domain, jid.device))
            self._write_text(out, jid.user)
            return
        out.append(_JID_PAIR)
        if jid.user:
            self._write_text(out, jid.user)
        else:
            out.append(_LIST_EMPTY)
        self._write_text(out, jid.server)


def _write_list_size(out: bytearray, size: int) -> None:
    if not size:
        out.append(_LIST_EMPTY)
    elif size <= _BYTE:
        out += bytes((_LIST_8, size))
    else:
        out.append(_LIST_16)
        out += size.to_bytes(2)


def _write_bytes(out: bytearray, data: bytes) -> None:
    size = len(data)
    if size <= _BYTE:
        out += bytes((_BINARY_8, size))
    elif size < 1 << 20:
        out.append(_BINARY_20)
        out += size.to_bytes(3)
    else:
        out.append(_BINARY_32)
        out += size.to_bytes(4)
    out += data


class _Reader:
    """Reads one node from bytes."""

    def __init__(self, data: bytes, tokens: Tokens) -> None:
        self._data = data
        self._at = 0
        self._tokens = tokens

    def node(self) -> Node:
        size = self._list_size(self._byte())
        if not size:
            raise MalformedNode("a node without a tag")
        tag = self._text()
        attrs: dict[str, Value] = {}
        for _ in range((size - 1) // 2):
            name = self._text()
            attrs[name] = self._value(self._byte())
        return Node(tag, attrs, None if size % 2 else self._content())

    def _content(self) -> Content:
        tag = self._byte()
        if tag in (_LIST_EMPTY, _LIST_8, _LIST_16):
            return [self.node() for _ in range(self._list_size(tag))]
        binary = self._binary(tag)
        return binary if binary is not None else str(self._value(tag)).encode()

    def _take(self, size: int) -> bytes:
        start, self._at = self._at, self._at + size
        if self._at > len(self._data):
            raise MalformedNode("cut short")
        return self._data[start : self._at]

    def _byte(self) -> int:
        self._at += 1
        return self._data[self._at - 1]

    def _number(self, size: int) -> int:
        return int.from_bytes(self._take(size))

    def _list_size(self, tag: int) -> int:
        if tag == _LIST_EMPTY:
            return 0
        if tag == _LIST_8:
            return self._byte()
        if tag == _LIST_16:
            return self._number(2)
        raise MalformedNode(f"tag {tag} is no list")

    def _binary(self, tag: int) -> bytes | None:
        if tag == _BINARY_8:
            return self._take(self._byte())
        if tag == _BINARY_20:
            return self._take(self._number(3) & 0xFFFFF)
        if tag == _BINARY_32:
            return self._take(self._number(4))
        return None

    def _text(self) -> str:
        value = self._value(self._byte())
        if not isinstance(value, str):
            raise MalformedNode("an address where text should be")
        return value

    def _value(self, tag: int) -> Value:
        if DICTIONARY_0 <= tag <= _DICTIONARY_LAST:
            return self._tokens.double[tag - DICTIONARY_0][self._byte()]
        if tag < DICTIONARY_0:
            return self._tokens.single[tag]
        if tag in _ALPHABETS:
            return self._packed(_ALPHABETS[tag])
        binary = self._binary(tag)
        return binary.decode() if binary is not None else self._jid(tag)

    def _packed(self, alphabet: str) -> str:
        size = self._byte()
        data = self._take(size & 0x7F)
        text = "".join(alphabet[byte >> 4] + alphabet[byte & 0xF] for byte in data)
        return text[:-1] if size & 0x80 else text

    def _jid(self, tag: int) -> Jid:
        if tag == _JID_PAIR:
            user = self._text()
            return Jid(user, self._text())
        if tag == _DEVICE_JID:
            domain, device = self._take(2)
            server = SERVERS_BY_DOMAIN.get(domain)
            if server is None:
                raise MalformedNode(f"address domain {domain}")
            return Jid(self._text(), server, device)
        if tag in (_MESSENGER_JID, _INTEROP_JID):
            user = self._text()
            device = self._number(2)
            self._take(2 if tag == _INTEROP_JID else 0)
            return Jid(user, self._text(), device)
        raise MalformedNode(f"tag {tag}")
