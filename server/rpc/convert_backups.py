"""Backups, restores and operations as messages of `roost.v1`."""

from collections.abc import Callable
from typing import Any

from google.protobuf.message import Message
from roost.v1 import backup_pb2, operation_pb2, trash_pb2, vault_pb2

from server.backups.imports.model import CredentialsFormat, ImportResult
from server.backups.model import (
    KeyRotation,
    RecoverResult,
    RestoreMode,
    RestorePlan,
    RestoreResult,
    RetentionResult,
    StorageLocation,
    TrashRestoreResult,
    VerifyResult,
)
from server.backups.operation import FIELDS, Operation, Result
from server.backups.verifying import DRILLED
from server.vault.findings import VaultCheck
from server.vault.model import Backup, BackupKind, BackupState

from .convert_vault import retention_result, vault_check
from .errors import recorded_status
from .numbers import numbers

STATES = numbers(BackupState, backup_pb2.Backup.State, "STATE")
KINDS = numbers(BackupKind, backup_pb2.Backup.Kind, "KIND")
CREDENTIAL_FORMATS = numbers(CredentialsFormat, backup_pb2.CredentialFormat, "CREDENTIAL_FORMAT")
CREDENTIAL_FORMAT_OF: dict[int, CredentialsFormat | None] = {
    backup_pb2.CREDENTIAL_FORMAT_UNSPECIFIED: None,
    **{number: form for form, number in CREDENTIAL_FORMATS.items()},
}
VERIFY_LEVEL_OF: dict[int, int] = {
    backup_pb2.VERIFY_LEVEL_UNSPECIFIED: DRILLED,
    **{number: number - 1 for number in backup_pb2.VerifyLevel.values() if number},
}
RESTORE_MODES = numbers(RestoreMode, backup_pb2.RestoreMode, "RESTORE_MODE")
RESTORE_MODE_OF: dict[int, RestoreMode] = {
    backup_pb2.RESTORE_MODE_UNSPECIFIED: RestoreMode.AUTO,
    **{number: mode for mode, number in RESTORE_MODES.items()},
}


def backup(value: Backup) -> backup_pb2.Backup:
    """A sealed copy."""
    return backup_pb2.Backup(
        name=str(value.name),
        state=STATES[value.state],
        state_reason=value.state_reason,
        kind=KINDS[value.kind],
        storage_location=str(value.storage_location),
        size_bytes=value.size_bytes,
        logical_bytes=value.logical_bytes,
        sha256=value.sha256,
        format_version=value.format_version,
        device_fingerprint=value.device_fingerprint,
        connect_epoch=value.connect_epoch,
        schema_version=value.schema_version,
        engine_version=value.engine_version,
        create_time=value.create_time,
        verify_time=value.verify_time,
        verify_level=verify_level(value),
        parent=value.parent,
        sequence=value.seq,
        new_bytes=value.new_bytes,
        pinned=value.pinned,
        delete_time=value.delete_time,
        purge_time=value.purge_time,
    )


def verify_level(value: Backup) -> Any:
    """The level that a copy has passed; the drill counts them from 0."""
    if value.state is BackupState.SUSPECT:
        return backup_pb2.VERIFY_LEVEL_UNSPECIFIED
    return value.verify_level + 1


def restore_plan(value: RestorePlan) -> backup_pb2.RestorePlan:
    """What a restore will do, or did."""
    return backup_pb2.RestorePlan(
        backup=str(value.backup),
        target_session=str(value.target),
        mode=RESTORE_MODES[value.mode],
        reasons=value.reasons,
        losses=value.losses,
        replaces_credentials=value.replaces_credentials,
        age=value.age,
        start=value.start,
    )


def verify_result(value: VerifyResult) -> backup_pb2.VerifyResult:
    """What checking a backup found; the drill counts levels from 0."""
    steps = [
        backup_pb2.VerifyResult.Step(
            level=step.level + 1,  # type: ignore[arg-type]
            passed=not step.problem,
            problem=step.problem,
            elapsed=step.elapsed,
        )
        for step in value.steps
    ]
    return backup_pb2.VerifyResult(backup=backup(value.backup), steps=steps)


def restore_result(value: RestoreResult) -> backup_pb2.RestoreResult:
    """What a restore did."""
    return backup_pb2.RestoreResult(
        plan=restore_plan(value.plan), trash=value.trash, started=value.started
    )


def trash_restore_result(value: TrashRestoreResult) -> trash_pb2.TrashRestoreResult:
    """What bringing something back from trash did."""
    return trash_pb2.TrashRestoreResult(
        item=str(value.item), session=str(value.session), exact=value.is_exact, trash=value.trash
    )


def key_rotation(value: KeyRotation) -> vault_pb2.KeyRotation:
    """What was done to keys."""
    return vault_pb2.KeyRotation(
        rotated=value.rotated,
        wraps_added=value.wraps_added,
        wraps_present=value.wraps_present,
        wraps_repaired=value.wraps_repaired,
        wraps_delayed=value.wraps_delayed,
        wraps_removed=value.wraps_removed,
        unreadable=value.unreadable,
    )


def import_result(value: ImportResult) -> backup_pb2.ImportResult:
    """What an import did."""
    converted = value.converted
    return backup_pb2.ImportResult(
        session=str(value.session),
        backup=None if value.backup is None else backup(value.backup),
        format=CREDENTIAL_FORMATS[converted.format],
        mode=RESTORE_MODES[converted.mode],
        reasons=converted.reasons,
        counts=converted.counts,
        warnings=converted.warnings,
        trash=value.trash,
    )


def storage_location(value: StorageLocation) -> backup_pb2.StorageLocation:
    """A configured place for backups."""
    return backup_pb2.StorageLocation(
        name=str(value.name), scheme=value.scheme, primary=value.primary
    )


def recover_result(value: RecoverResult) -> backup_pb2.RecoverResult:
    """What taking over a location did, or would do."""
    return backup_pb2.RecoverResult(
        storage_location=str(value.storage_location),
        dry_run=value.dry_run,
        sessions=[
            backup_pb2.RecoverResult.Session(
                name=str(each.session),
                outcome=f"OUTCOME_{each.outcome.name}",
                plan=restore_plan(each.plan) if each.plan else None,
                reason=each.reason,
                message=each.message,
            )
            for each in value.sessions
        ],
    )


def operation(value: Operation) -> operation_pb2.Operation:
    """Long-running work as it is now."""
    message = operation_pb2.Operation(
        name=str(value.name),
        target=value.target,
        done=value.done,
        progress=operation_pb2.Operation.Progress(
            phase=value.progress.phase,
            bytes_done=value.progress.bytes_done,
            bytes_total=value.progress.bytes_total,
        ),
        create_time=value.create_time,
        end_time=value.end_time,
    )
    if (failure := value.failure) is not None:
        status = recorded_status(failure.reason, failure.message, failure.metadata)
        message.error.CopyFrom(status)
    for result, (name, convert) in RESULTS.items():
        if (found := getattr(value, FIELDS[result])) is not None:
            getattr(message, name).CopyFrom(convert(found))
    return message


RESULTS: dict[type[Result], tuple[str, Callable[[Any], Message]]] = {
    Backup: ("backup", backup),
    RestoreResult: ("restore", restore_result),
    VerifyResult: ("verify", verify_result),
    ImportResult: ("imported", import_result),
    TrashRestoreResult: ("untrashed", trash_restore_result),
    KeyRotation: ("rotation", key_rotation),
    RetentionResult: ("retention", retention_result),
    RecoverResult: ("recover", recover_result),
    VaultCheck: ("check", vault_check),
}
"""The field of the message for each result of an operation, and how it is converted."""
