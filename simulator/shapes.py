"""The shape of a stanza, without anything it carries."""

import re

from .wire.nodes import Node

_SHOWN = ("xmlns", "type", "class", "stage", "category")
_LONG_NUMBER = re.compile(r"\d{4,}")


def shape(node: Node) -> str:
    """Tags and the attributes that choose a handler, for a list of what was not understood."""
    attrs = "".join(f' {name}="{node.text(name)}"' for name in _SHOWN if name in node.attrs)
    inside = "".join(f"<{child.tag}/>" for child in node.children)
    return _LONG_NUMBER.sub("#", f"<{node.tag}{attrs}>{inside}")
