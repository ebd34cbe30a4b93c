"""Sender keys of groups, from Baileys' JSON to the engine's.

Source: https://github.com/tulir/libsignal-protocol-go (groups/state/record).
"""

from collections.abc import Mapping

import msgspec

from .encodings import (
    DJB_TYPE,
    KEY_BYTES,
    as_bytes,
    as_int,
    as_list,
    as_object,
    as_private,
    as_public,
    as_sized,
)
from .ratchets import UINT32, base64_of, derive

MOST_STATES = 5
_encode = msgspec.json.Encoder().encode


def convert_sender_key(value: object) -> bytes | None:
    """A sender key record as the engine keeps it; None if it is empty.

    Raises:
        Unusable: it cannot be mapped.
    """
    states: dict[int, object] = {}
    for item in as_list(value):
        entry = as_object(item)
        number = as_int(entry.get("senderKeyId"), UINT32)
        # A distribution that came again has added the same key anew; the first one is in use.
        states.setdefault(number, _sender_state(entry, number))
    if not states:
        return None
    newest_first = list(reversed(states.values()))
    return _encode({"SenderKeyStates": newest_first[:MOST_STATES]})


def _sender_state(entry: Mapping[str, object], number: int) -> dict[str, object]:
    chain = as_object(entry.get("senderChainKey"))
    signing = as_object(entry.get("senderSigningKey"))
    private = signing.get("private")
    is_ours = private is not None and as_bytes(private) != b""
    skipped = [as_object(item) for item in as_list(entry.get("senderMessageKeys") or [])]
    return {
        "KeyID": number,
        "SenderChainKey": {
            "Iteration": as_int(chain.get("iteration"), UINT32),
            "ChainKey": base64_of(as_sized(chain.get("seed"), KEY_BYTES)),
        },
        "SigningKeyPublic": base64_of(DJB_TYPE + as_public(signing.get("public"))),
        "SigningKeyPrivate": (
            base64_of(as_private(private, signing.get("public"))) if is_ours else None
        ),
        "Keys": [_sender_message_key(item) for item in skipped],
    }


def _sender_message_key(item: Mapping[str, object]) -> dict[str, object]:
    seed = as_sized(item.get("seed"), KEY_BYTES)
    keys = derive(seed, b"WhisperGroup", 48)
    return {
        "Iteration": as_int(item.get("iteration"), UINT32),
        "Seed": base64_of(seed),
        "IV": base64_of(keys[:16]),
        "CipherKey": base64_of(keys[16:]),
    }
