"""A real engine client without any of our server: JSON lines in and out, one process each.

    python neonize_child.py ROOT_KEY_HEX STORE_PATH

Run by `neonize_client.py`, which sets the environment Go reads.
"""

import ctypes
import itertools
import json
import os
import sys
import threading
import uuid
from pathlib import Path

OUT = os.fdopen(os.dup(1), "w", buffering=1)
os.dup2(2, 1)  # the Go library prints to file descriptor 1

import pylibmagic  # noqa: E402, F401
from neonize.client import NewClient  # noqa: E402
from neonize.events import INT_TO_EVENT  # noqa: E402
from neonize.utils.enum import ReceiptType  # noqa: E402
from neonize.utils.jid import Jid2String, build_jid  # noqa: E402

# The Noise certificate root of WhatsApp, as it stands in the library's data.
WHATSAPP_ROOT_KEY = bytes.fromhex(
    "142375574d0a587166aae71ebe516437c4a28b73e3695c6ce1f7f9545da8ee6b"
)
LOCK = threading.Lock()


def emit(**fields: object) -> None:
    with LOCK:
        OUT.write(json.dumps(fields) + "\n")


def trust(root_key: bytes) -> None:
    """Put the stand-in's root key where the library has WhatsApp's."""
    found = []
    for line in Path("/proc/self/maps").read_text().splitlines():
        if "rw" in line.split()[1] and "neonize-linux" in line:
            start, end = (int(part, 16) for part in line.split()[0].split("-"))
            data, at = ctypes.string_at(start, end - start), -1
            while (at := data.find(WHATSAPP_ROOT_KEY, at + 1)) >= 0:
                found.append(start + at)
    assert len(found) == 1, f"{len(found)} copies of the root key"
    ctypes.memmove(found[0], root_key, len(root_key))


def on_event(name: str):
    def handle(_client: NewClient, event: object) -> None:
        fields: dict[str, object] = {"event": name}
        if name == "Message":
            source = event.Info.MessageSource
            fields |= {
                "id": event.Info.ID,
                "chat": Jid2String(source.Chat),
                "sender": Jid2String(source.Sender),
                "from_me": source.IsFromMe,
                "group": source.IsGroup,
                "text": event.Message.conversation or event.Message.extendedTextMessage.text,
            }
        elif name == "Receipt":
            fields |= {"ids": list(event.MessageIDs), "type": int(event.Type)}
            fields["sender"] = Jid2String(event.MessageSource.Sender)
        elif name == "UndecryptableMessage":
            fields |= {"id": event.Info.ID}
        emit(**fields)

    return handle


def jid(text: str):
    user, _, server = text.partition("@")
    return build_jid(user, server or "s.whatsapp.net")


def answer(client: NewClient, op: str, args: dict[str, object]) -> object:
    if op == "send_text":
        return client.send_message(jid(args["to"]), args["text"]).ID
    if op == "pair_phone":
        return client.PairPhone(args["phone"], show_push_notification=True)
    if op == "mark_read":
        chat = jid(args["chat"])
        client.mark_read(args["id"], chat=chat, sender=chat, receipt=ReceiptType.READ)
    elif op == "active_receipts":
        client.set_force_activate_delivery_receipts(args["active"])
    elif op == "create_group":
        group = client.create_group(args["name"], [jid(member) for member in args["members"]])
        return Jid2String(group.JID)
    elif op == "logout":
        client.logout()
    else:
        raise ValueError(op)
    return None


def serve(client: NewClient, call: int, op: str, args: dict[str, object]) -> None:
    try:
        emit(call=call, result=answer(client, op, args))
    except Exception as error:  # noqa: BLE001
        emit(call=call, error=f"{type(error).__name__}: {error}")


def connect(client: NewClient) -> None:
    try:
        client.connect()
    except Exception as error:  # noqa: BLE001
        emit(event="ConnectFailed", error=str(error))


def main(root_key: str, store: str) -> None:
    trust(bytes.fromhex(root_key))
    client = NewClient(store, uuid=uuid.uuid4().hex)
    client.event.qr(lambda _client, code: emit(event="Qr", code=code.decode()))
    client._NewClient__onLoginStatus = lambda _id, text: emit(
        event="LoginStatus", status=ctypes.string_at(text).decode()
    )
    for code, kind in INT_TO_EVENT.items():
        if code:
            client.event(kind)(on_event(kind.__name__))
    threading.Thread(target=connect, args=(client,), daemon=True).start()
    for line in sys.stdin:
        request = json.loads(line)
        args = (client, request["call"], request["op"], request["args"])
        threading.Thread(target=serve, args=args, daemon=True).start()
    os._exit(0)


if __name__ == "__main__":
    main(*itertools.islice(sys.argv, 1, 3))
