"""Resources as text for people."""

from collections.abc import Iterable, Sequence
from datetime import datetime

from google.protobuf.timestamp_pb2 import Timestamp
from rich import box
from rich.console import Console
from rich.table import Table
from roost.v1.backup_pb2 import Backup, RestoreMode, RestorePlan, VerifyLevel, VerifyResult
from roost.v1.event_pb2 import Event, ReceiptReceived
from roost.v1.session_pb2 import Condition, Session

PIPE_WIDTH = 240  # not a terminal: never cut a name


def short(name: str) -> str:
    """`sessions/shop` as people say it."""
    return name.removeprefix("sessions/")


def state(session: Session) -> str:
    """`ACTIVE`."""
    return Session.State.Name(session.state).removeprefix("STATE_")


def moment(stamp: Timestamp) -> str:
    """Local time, to the second; empty when unset."""
    return f"{local(stamp):%Y-%m-%d %H:%M:%S}" if stamp.seconds else ""


def local(stamp: Timestamp) -> datetime:
    """In the machine's own time zone."""
    return datetime.fromtimestamp(stamp.ToMicroseconds() / 1e6).astimezone()


def action(condition: Condition) -> str:
    """What a person should do, in words; empty when nothing."""
    if not condition.user_action:
        return ""
    name = Condition.UserAction.Name(condition.user_action).removeprefix("USER_ACTION_")
    return name.lower().replace("_", " ")


def session_line(session: Session) -> str:
    """One session on one line."""
    parts = [f"{short(session.name)} {state(session)}"]
    if session.account.jid:
        parts.append(session.account.jid)
    if session.condition.reason:
        parts.append(f"{session.condition.reason}: {session.condition.message}")
    if todo := action(session.condition):
        parts.append(f"({todo})")
    return "  ".join(parts)


def session_text(session: Session) -> str:
    """Everything about one session."""
    account, condition = session.account, session.condition
    wanted = Session.DesiredState.Name(session.desired_state).removeprefix("DESIRED_STATE_")
    rows = {
        "name": session.name,
        "display name": session.display_name,
        "state": f"{state(session)} since {moment(session.state_change_time)}",
        "wanted": wanted,
        "reason": condition.reason,
        "because": condition.message,
        "engine code": condition.engine_code,
        "to do": action(condition),
        "next attempt": moment(session.next_attempt_time),
        "account": " ".join(filter(None, (account.jid, account.lid, account.push_name))),
        "labels": " ".join(f"{key}={value}" for key, value in sorted(session.labels.items())),
        "proxy": session.proxy_url,
        "created": moment(session.create_time),
        "deleted": moment(session.delete_time),
        "purged after": moment(session.purge_time),
        "etag": session.etag,
    }
    return "\n".join(f"{label:13} {value}" for label, value in rows.items() if value)


def session_table(sessions: Iterable[Session]) -> None:
    """Sessions as a table."""
    table(
        ("SESSION", "STATE", "SINCE", "ACCOUNT", "REASON", "TO DO"),
        (
            (
                short(session.name),
                state(session),
                moment(session.state_change_time),
                session.account.jid,
                session.condition.reason,
                action(session.condition),
            )
            for session in sessions
        ),
    )


def backup_table(backups: Iterable[Backup]) -> None:
    """Backups as a table, their full names first: `restore` takes them."""
    table(
        ("BACKUP", "STATE", "KIND", "TAKEN", "SIZE", "LOCATION", "WHY"),
        (
            (
                backup.name,
                Backup.State.Name(backup.state).removeprefix("STATE_"),
                Backup.Kind.Name(backup.kind).removeprefix("KIND_"),
                moment(backup.create_time),
                size(backup.size_bytes),
                backup.storage_location.removeprefix("storageLocations/"),
                _remark(backup),
            )
            for backup in backups
        ),
    )


def _remark(backup: Backup) -> str:
    remarks = [backup.state_reason, "pinned" if backup.pinned else ""]
    if backup.HasField("purge_time"):
        remarks.append(f"in trash until {moment(backup.purge_time)}")
    return "; ".join(filter(None, remarks))


def backup_text(backup: Backup) -> str:
    """Everything about one backup."""
    level = VerifyLevel.Name(backup.verify_level).removeprefix("VERIFY_LEVEL_").lower()
    checked = f"{moment(backup.verify_time)} ({level})" if backup.verify_level else ""
    rows = {
        "name": backup.name,
        "state": Backup.State.Name(backup.state).removeprefix("STATE_"),
        "because": backup.state_reason,
        "kind": Backup.Kind.Name(backup.kind).removeprefix("KIND_"),
        "taken": moment(backup.create_time),
        "checked": checked,
        "size": f"{size(backup.size_bytes)}, of it new {size(backup.new_bytes)}",
        "of": size(backup.logical_bytes),
        "location": backup.storage_location.removeprefix("storageLocations/"),
        "number": str(backup.sequence or ""),
        "before it": backup.parent,
        "device": backup.device_fingerprint[:16],
        "engine": backup.engine_version,
        "pinned": "yes" if backup.pinned else "",
        "in trash": moment(backup.delete_time),
        "purged after": moment(backup.purge_time),
    }
    return "\n".join(f"{label:13} {value}" for label, value in rows.items() if value)


def verify_text(result: VerifyResult) -> str:
    """What checking a backup found, level by level."""
    lines = [result.backup.name]
    for step in result.steps:
        level = VerifyLevel.Name(step.level).removeprefix("VERIFY_LEVEL_").lower()
        seconds = step.elapsed.ToTimedelta().total_seconds()
        lines.append(f"  {level:10} {step.problem or 'in order'} ({seconds:.2f} s)")
    return "\n".join(lines)


def plan_text(plan: RestorePlan) -> str:
    """What a restore will do, for the person who has to say yes."""
    mode = RestoreMode.Name(plan.mode).removeprefix("RESTORE_MODE_")
    age = plan.age.ToTimedelta()
    lines = [
        f"Restore {plan.backup}",
        f"  into   {plan.target_session}",
        f"  mode   {mode}",
        f"  age    {str(age).split('.', maxsplit=1)[0]}",
        *(f"  why    {reason}" for reason in plan.reasons),
        *(f"  lost   {loss}" for loss in plan.losses),
    ]
    if plan.replaces_credentials:
        lines.append("  The credentials that are there now go to trash first.")
    if plan.start:
        lines.append("  Then it is started; if WhatsApp does not take it, all is put back.")
    return "\n".join(lines)


def event_text(event: Event) -> str:
    """One event on one line."""
    match event.WhichOneof("payload"):
        case "session_changed":
            what = session_line(event.session_changed.session)
        case "message_received":
            message = event.message_received
            sender = "me" if message.from_me else message.push_name or message.sender
            body = "(cannot be decrypted)" if message.undecryptable else message.text or "(no text)"
            what = f"{short(event.session)} {message.chat}  {sender}: {body}"
        case "receipt_received":
            receipt = event.receipt_received
            kind = ReceiptReceived.Type.Name(receipt.type).removeprefix("TYPE_").lower()
            what = f"{short(event.session)} {receipt.chat}  {kind} {' '.join(receipt.message_ids)}"
        case "backup_changed":
            backup = event.backup_changed.backup
            became = Backup.State.Name(backup.state).removeprefix("STATE_")
            parts = (f"{backup.name} {became}", backup.state_reason)
            what = "  ".join(filter(None, parts))
        case "engine_event":
            what = f"{short(event.session)} engine {event.engine_event.type}"
        case _:
            what = f"{short(event.session)} (an event of a kind this client does not know)"
    return f"{local(event.receive_time):%H:%M:%S} {what}"


def size(count: int) -> str:
    """`37 KiB`."""
    amount = float(count)
    for unit in ("B", "KiB", "MiB"):
        if amount < 1024:  # noqa: PLR2004
            return f"{amount:.0f} {unit}"
        amount /= 1024
    return f"{amount:.1f} GiB"


def table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """Prints rows; columns that are empty throughout are left out."""
    found = [tuple(row) for row in rows]
    console = Console(highlight=False, markup=False, emoji=False)
    if not console.is_terminal:
        console.width = PIPE_WIDTH
    drawn = Table(box=box.SIMPLE_HEAD if console.is_terminal else None, pad_edge=False)
    kept = [i for i in range(len(heads)) if i == 0 or any(row[i] for row in found)]
    for i in kept:
        drawn.add_column(heads[i], no_wrap=i == 0, overflow="fold")
    for row in found:
        drawn.add_row(*(row[i] for i in kept))
    console.print(drawn)
