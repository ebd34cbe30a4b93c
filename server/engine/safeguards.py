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
# message key again; WhatsApp's clients drop such a text and still confirm it. So no sending chain
# ever goes back here: wherever the engine has just written one, in its current session or in one
# that it has set aside, and whatever came between, it is put where it had been before.
# Source: https://github.com/tulir/whatsmeow/issues/1095 and pull request 1168
_CHAINS: Final = """
  SELECT chain, json_extract(chain, '$.SenderRatchetKeyPublic') AS key,
    json_extract(chain, '$.ChainKey.Index') AS number
  FROM (
    SELECT json_extract({session}, '$.SessionState.SenderChain') AS chain
    UNION ALL
    SELECT json_extract(value, '$.SenderChain') FROM json_each({session}, '$.PreviousStates')
  )
"""
_FORWARD: Final = """
CREATE TRIGGER IF NOT EXISTS roost_forward AFTER UPDATE OF session ON whatsmeow_sessions
WHEN CASE WHEN json_valid({old}) AND json_valid({new}) THEN
  EXISTS (SELECT 1 FROM ({written}) AS written JOIN ({before}) AS before
    ON before.key = written.key WHERE before.number > written.number)
END
BEGIN
  UPDATE whatsmeow_sessions
  SET session = CAST(json_set({now}, '{current}', json({further_than_current})) AS BLOB)
  WHERE our_jid = NEW.our_jid AND their_id = NEW.their_id
    AND {further_than_current} IS NOT NULL;
  UPDATE whatsmeow_sessions
  SET session = CAST(json_set({now}, '$.PreviousStates', (
    SELECT json_group_array(json(CASE
      WHEN {further_than_state} IS NULL THEN state
      ELSE json_set(state, '$.SenderChain', json({further_than_state}))
    END))
    FROM (SELECT value AS state FROM json_each({new}, '$.PreviousStates') ORDER BY key)
  )) AS BLOB)
  WHERE our_jid = NEW.our_jid AND their_id = NEW.their_id
    AND json_type({new}, '$.PreviousStates') = 'array';
END
"""


def _forward() -> str:
    current = "$.SessionState.SenderChain"
    old, new, now = (f"CAST({name}session AS TEXT)" for name in ("OLD.", "NEW.", ""))
    before = _CHAINS.format(session=old)

    def further(state: str, chain: str) -> str:
        """The same chain, farther on, among those that are written over."""
        key, number = (
            f"json_extract({state}, '{chain}.{field}')"
            for field in ("SenderRatchetKeyPublic", "ChainKey.Index")
        )
        return (
            f"(SELECT chain FROM ({before}) AS before"  # noqa: S608  constants
            f" WHERE before.key = {key} AND before.number > {number}"
            " ORDER BY before.number DESC LIMIT 1)"
        )

    return _FORWARD.format(
        old=old,
        new=new,
        now=now,
        current=current,
        before=before,
        written=_CHAINS.format(session=new),
        further_than_current=further(new, current),
        further_than_state=further("state", "$.SenderChain"),
    )


_TRIGGERS: Final = (_GUARD, _forward())


def install(store: sqlite3.Connection) -> None:
    """Adds what is missing. Idempotent; the caller commits."""
    for trigger in _TRIGGERS:
        store.execute(trigger)
