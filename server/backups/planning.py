"""How a backup may be restored: a pure decision, and the reasons for it.

A copy may go on byte for byte only if nothing can have happened on the wire since: it was taken
after the engine had ended cleanly, and this very session has not started an engine again. In every
other case the ratchets in the copy may lie behind what contacts have seen: the next messages would
be thrown away by their phones, unseen by anyone. Then the copy is re-keyed.
"""

from datetime import datetime

from server.core.errors import (
    BackupNotRestorable,
    BackupRevoked,
    BackupTooNew,
    CredentialsExist,
    ExactRestoreUnsafe,
)
from server.core.names import SessionName
from server.sessions.model import Session, State
from server.vault.history import Standing
from server.vault.manifest import Manifest
from server.vault.model import BackupState

from .identity import hash_jid
from .model import RestoreMode, RestorePlan

REKEY_LOSSES = (
    "Messages received after the copy was taken are not in it; the event log keeps its own.",
    "Votes, edits and reactions to messages after the copy may not be readable.",
    "Contacts' messages that were on the way may need to be sent again by their phones.",
)


REVOKED = "The device was logged out: WhatsApp will probably refuse a login with these credentials."
RESTORABLE = frozenset({BackupState.ACTIVE, BackupState.REVOKED})


def plan_restore(
    standing: Standing,
    *,
    target: SessionName,
    present: Session | None,
    has_store: bool,
    mode: RestoreMode,
    newest_epoch: int | None,
    now: datetime,
    engine_schema: int = 0,
    must_stop: tuple[SessionName, ...] = (),
) -> RestorePlan:
    """Decides how to restore a backup into `target`.

    Args:
        standing: The backup.
        target: Where it goes.
        present: `target` as this server has it recorded; None if it does not know it.
        has_store: Credentials are there already.
        mode: What the caller wants.
        newest_epoch: The highest connect epoch in any newer backup of the session; 0: there is
            none; None: one cannot be read.
        now: For the age.
        engine_schema: The newest schema of a store that the engine opens; 0: not known.
        must_stop: Sessions that have to be stopped before.

    Raises:
        BackupNotRestorable: it is neither ACTIVE nor REVOKED.
        BackupTooNew: the engine would refuse its store.
        ExactRestoreUnsafe: EXACT is wanted and cannot be proven safe.
    """
    manifest = standing.manifest
    if standing.state not in RESTORABLE:
        raise BackupNotRestorable(backup=str(manifest.name), state=standing.state.value)
    if engine_schema and oldest_engine(manifest.schema_version) > engine_schema:
        version = manifest.schema_version
        raise BackupTooNew(backup=str(manifest.name), schema_version=version)
    doubts = doubts_about_exact(manifest, target, present, newest_epoch)
    if mode is RestoreMode.EXACT and doubts:
        raise ExactRestoreUnsafe(backup=str(manifest.name), why="; ".join(doubts))
    if mode is RestoreMode.REKEY:
        exact, reasons = False, ["fresh ratchets were asked for"]
    elif doubts:
        exact, reasons = False, doubts
    else:
        exact, reasons = True, ["the copy is the session's last state and it has not run since"]
    losses = () if exact else REKEY_LOSSES
    revoked = _revoked(standing, present)
    if revoked:
        losses = (REVOKED, *losses)
    return RestorePlan(
        backup=manifest.name,
        target=target,
        mode=RestoreMode.EXACT if exact else RestoreMode.REKEY,
        reasons=(*(f"{name} must be stopped first" for name in must_stop), *reasons),
        losses=losses,
        replaces_credentials=has_store,
        age=now - manifest.create_time,
        revoked=revoked,
    )


def oldest_engine(schema_version: str) -> int:
    """The schema that an engine must know at least to open a store of `version|compat`.

    Source: go.mau.fi/util/dbutil: a newer version is opened as long as its `compat` is known.
    """
    compat = schema_version.rpartition("|")[2]
    return int(compat) if compat.isdecimal() else 0


def refuse_without_force(plan: RestorePlan, *, force: bool) -> None:
    """Raises BackupRevoked, CredentialsExist for a plan that needs `force`."""
    if plan.revoked and not force:
        raise BackupRevoked(backup=str(plan.backup), why=plan.revoked)
    if plan.replaces_credentials and not force:
        raise CredentialsExist(session=str(plan.target))


def _revoked(standing: Standing, present: Session | None) -> str:
    """How the device was logged out; empty: it was not, as far as is known.

    The mark in storage may still be missing; what the session itself shows is known at once.
    """
    if standing.state is BackupState.REVOKED:
        return standing.state_reason
    if present is None or present.state is not State.UNLINKED:
        return ""
    account = present.account
    if account is not None and hash_jid(account) != standing.manifest.jid_sha256:
        return ""  # another device's
    return present.condition.reason if present.condition else State.UNLINKED.name


def doubts_about_exact(
    manifest: Manifest, target: SessionName, present: Session | None, newest_epoch: int | None
) -> list[str]:
    """Why the copy may not be the last state of these credentials; empty: it provably is."""
    if not manifest.is_clean:
        return ["the copy was taken while the session was running"]
    if present is None:
        return ["this server does not know the session and cannot tell whether it ran since"]
    if target != manifest.name.session:
        return ["the copy is of another session"]
    if present.create_time != manifest.session_create_time:
        return ["the copy is from another server's records of the session"]
    doubts = []
    if present.connect_epoch != manifest.connect_epoch:
        doubts.append("the session has run since the copy was taken")
    elif present.clean_epoch != present.connect_epoch:
        doubts.append("the session's engine did not end cleanly")
    if newest_epoch is None:
        doubts.append("a newer backup of the session cannot be read")
    elif newest_epoch > manifest.connect_epoch:
        doubts.append("a newer backup shows that the session has run since")
    return doubts
