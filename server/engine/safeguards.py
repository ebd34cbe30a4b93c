"""Triggers in a credential store that keep the engine from harming its own keys.

They are part of every store: in the template, and put back before each start.
"""

import sqlite3
from typing import Final

# whatsmeow deletes the device row, and with it all keys, when WhatsApp says that the device was
# removed, even in cases that are lifted again. The keys are ours to move to trash.
_GUARD: Final = (
    "CREATE TRIGGER IF NOT EXISTS roost_guard BEFORE DELETE ON whatsmeow_device "
    "BEGIN SELECT RAISE(ABORT, 'device row is protected'); END"
)

# A send and a receipt of the same chat both read a session, step it and write it back, without a
# lock: whoever writes last undoes the other. If the send is undone, the next text uses the same
# message key again; WhatsApp's clients drop such a text and still confirm it. So a sending chain
# never goes back here: what it was is put back into what the engine has just written, where that
# has the same chain as its current session or as the one it has just set aside.
# Source: https://github.com/tulir/whatsmeow/issues/1095 and pull request 1168
_FORWARD: Final = """
CREATE TRIGGER IF NOT EXISTS {name} AFTER UPDATE OF session ON whatsmeow_sessions
WHEN CASE WHEN json_valid({old}) AND json_valid({new}) THEN
  json_extract({new}, '{path}.SenderRatchetKeyPublic')
    = json_extract({old}, '$.SessionState.SenderChain.SenderRatchetKeyPublic')
  AND json_extract({new}, '{path}.ChainKey.Index')
    < json_extract({old}, '$.SessionState.SenderChain.ChainKey.Index')
END
BEGIN
  UPDATE whatsmeow_sessions SET session = CAST(json_set({new}, '{path}',
    json_extract({old}, '$.SessionState.SenderChain')) AS BLOB)
  WHERE our_jid = NEW.our_jid AND their_id = NEW.their_id;
END
"""


def _forward(name: str, state: str) -> str:
    return _FORWARD.format(
        name=name,
        path=f"$.{state}.SenderChain",
        old="CAST(OLD.session AS TEXT)",
        new="CAST(NEW.session AS TEXT)",
    )


_TRIGGERS: Final = (
    _GUARD,
    _forward("roost_forward_current", "SessionState"),
    _forward("roost_forward_previous", "PreviousStates[0]"),
)


def install(store: sqlite3.Connection) -> None:
    """Adds what is missing. Idempotent; the caller commits."""
    for trigger in _TRIGGERS:
        store.execute(trigger)
