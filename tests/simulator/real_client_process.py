"""Runs real neonize sessions for the simulator's tests: commands on stdin, events on stdout.

Every line is JSON. Sessions are started one after the other, as neonize's unguarded maps demand.
"""

import ctypes
import json
import os
import sys
import threading
from pathlib import Path

# Go prints to fd 1; the real one is for events only.
_OUT = os.fdopen(os.dup(1), "w", buffering=1)
os.dup2(2, 1)
_LOCK = threading.Lock()
_PRODUCTION_ROOT = bytes.fromhex("142375574d0a587166aae71ebe516437c4a28b73e3695c6ce1f7f9545da8ee6b")


def emit(session: str, event: str, **fields: object) -> None:
    line = json.dumps({"session": session, "event": event, **fields})
    with _LOCK:
        _OUT.write(line + "\n")


def trust(root: bytes) -> int:
    """Put another Noise root in the place of WhatsApp's; how many copies there were."""
    found = 0
    with Path("/proc/self/maps").open() as maps:
        regions = [line.split() for line in maps if "neonize-linux" in line]
    for region in regions:
        if region[1] != "rw-p":
            continue
        start, end = (int(part, 16) for part in region[0].split("-"))
        data = ctypes.string_at(start, end - start)
        at = data.find(_PRODUCTION_ROOT)
        while at >= 0:
            ctypes.memmove(start + at, root, len(root))
            found += 1
            at = data.find(_PRODUCTION_ROOT, at + 1)
    return found


import pylibmagic  # noqa: E402, F401 - brings libmagic
from neonize import events  # noqa: E402
from neonize.client import NewClient  # noqa: E402
from neonize.proto.Neonize_pb2 import JID  # noqa: E402
from neonize.utils.enum import ReceiptType  # noqa: E402

_COPIES = trust(bytes.fromhex(sys.argv[1]))


def address(jid: JID) -> str:
    device = f":{jid.Device}" if jid.Device else ""
    return f"{jid.User}{device}@{jid.Server}"


def parse(text: str) -> JID:
    user, _, server = text.partition("@")
    user, _, device = user.partition(":")
    return JID(
        User=user, Device=int(device or 0), Server=server, RawAgent=0, Integrator=0, IsEmpty=False
    )


def on_message(session: str, message: events.MessageEv) -> None:
    info = message.Info
    source = info.MessageSource
    text = message.Message.conversation or message.Message.extendedTextMessage.text
    emit(
        session,
        "Message",
        id=info.ID,
        text=text,
        chat=address(source.Chat),
        sender=address(source.Sender),
        sender_alt=address(source.SenderAlt),
        from_me=source.IsFromMe,
        name=info.Pushname,
    )


def on_receipt(session: str, receipt: events.ReceiptEv) -> None:
    kind = receipt.DESCRIPTOR.fields_by_name["Type"].enum_type.values_by_number[receipt.Type].name
    ids = list(receipt.MessageIDs)
    emit(session, "Receipt", ids=ids, type=kind, sender=address(receipt.MessageSource.Sender))


_SPECIAL = {"Message": on_message, "Receipt": on_receipt}
_CLIENTS: dict[str, NewClient] = {}


def start(session: str, path: str) -> None:
    client = NewClient(path, uuid=f"{session}-{len(_CLIENTS)}")
    client._stop_finalizer.detach()
    _CLIENTS[session] = client
    seen = threading.Event()

    def on_login_status(_uuid: int, status: int) -> None:
        emit(session, "login-status", status=ctypes.string_at(status).decode())

    def on_qr(_client: NewClient, code: bytes) -> None:
        emit(session, "qr", code=code.decode())
        seen.set()

    def handler(name: str):
        def handle(_client: NewClient, message: object) -> None:
            if name in _SPECIAL:
                _SPECIAL[name](session, message)
            else:
                shown = str(message).replace("\n", " ").strip()
                emit(session, name, text=shown[:300])
            seen.set()

        return handle

    client._NewClient__onLoginStatus = on_login_status
    client.event.qr(on_qr)
    for kind in events.EVENT_TO_INT:
        if events.EVENT_TO_INT[kind]:
            client.event(kind)(handler(kind.__name__))

    def run() -> None:
        try:
            client.connect()
            emit(session, "connect-returned")
        except Exception as error:  # noqa: BLE001
            emit(session, "connect-raised", text=f"{type(error).__name__}: {error}")
        seen.set()

    threading.Thread(target=run, daemon=True).start()
    seen.wait(15)


def call(session: str, command: dict) -> object:  # noqa: PLR0911
    client = _CLIENTS[session]
    match command["do"]:
        case "pair_phone":
            return client.PairPhone(command["phone"], show_push_notification=True)
        case "send":
            return client.send_message(parse(command["to"]), command["text"]).ID
        case "read":
            return client.mark_read(
                command["id"],
                chat=parse(command["chat"]),
                sender=parse(command["sender"]),
                receipt=ReceiptType.READ,
            )
        case "active_receipts":
            return client.set_force_activate_delivery_receipts(True)
        case "is_on_whatsapp":
            return [item.IsIn for item in client.is_on_whatsapp(*command["numbers"])]
        case "connected":
            return [client.is_connected, client.is_logged_in]
        case "logout":
            return client.logout()
        case "disconnect":
            return client.disconnect()
        case other:
            raise ValueError(other)


def main() -> None:
    emit("", "ready", copies=_COPIES)
    for line in sys.stdin:
        command = json.loads(line)
        session = command["session"]
        if command["do"] == "start":
            start(session, command["path"])
            continue

        def run(session: str = session, command: dict = command) -> None:
            try:
                emit(session, "result", call=command["call"], value=call(session, command))
            except Exception as error:  # noqa: BLE001
                emit(
                    session,
                    "failure",
                    call=command["call"],
                    text=f"{type(error).__name__}: {error}",
                )

        threading.Thread(target=run, daemon=True).start()
    os._exit(0)


main()
