"""The vault as a whole, as messages of `roost.v1`."""

from collections.abc import Iterable

from roost.v1 import vault_pb2

from server.backups.keykeeping import MasterKeyInfo
from server.backups.model import RetentionResult
from server.vault.findings import VaultCheck
from server.vault.stats import SessionStats, Stats


def stats(value: Stats, masters: Iterable[MasterKeyInfo]) -> vault_pb2.VaultStats:
    """A storage location in figures."""
    return vault_pb2.VaultStats(
        storage_location=str(value.location),
        repository_id=value.repository_id,
        format_version=value.format_version,
        objects=value.objects,
        stored_bytes=value.stored_bytes,
        logical_bytes=value.logical_bytes,
        master_keys=[
            vault_pb2.VaultStats.MasterKey(id=each.id, kind=each.kind, wraps=each.wraps)
            for each in masters
        ],
        sessions=map(session_stats, value.sessions),
    )


def session_stats(value: SessionStats) -> vault_pb2.VaultStats.Session:
    """One session in it."""
    return vault_pb2.VaultStats.Session(
        name=str(value.session),
        backups=value.backups,
        trashed=value.trashed,
        stored_bytes=value.stored_bytes,
        logical_bytes=value.logical_bytes,
        garbage_bytes=value.garbage_bytes,
        terms=value.terms,
        newest=str(value.newest or ""),
        newest_time=value.newest_time,
        newest_good=str(value.newest_good or ""),
        newest_good_time=value.newest_good_time,
    )


def vault_check(value: VaultCheck) -> vault_pb2.VaultCheck:
    """What a check found."""
    return vault_pb2.VaultCheck(
        storage_location=str(value.location),
        read_data=value.read_data,
        objects=value.objects,
        bytes=value.bytes,
        problems=[
            vault_pb2.VaultProblem(
                object=problem.object, kind=problem.kind.name, detail=problem.detail
            )
            for problem in value.problems
        ],
        sessions=[
            vault_pb2.VaultCheck.Session(
                name=str(each.session),
                backups=each.backups,
                newest_good=str(each.newest_good or ""),
            )
            for each in value.sessions
        ],
    )


def retention_plan(value: RetentionResult) -> vault_pb2.RetentionPlan:
    """What retention does with each backup."""
    return vault_pb2.RetentionPlan(
        items=[
            vault_pb2.RetentionPlan.Item(
                backup=str(item.backup),
                keep=item.keep,
                reasons=item.reasons,
                create_time=item.create_time,
            )
            for item in value.items
        ]
    )


def retention_result(value: RetentionResult) -> vault_pb2.RetentionResult:
    """What a round of housekeeping did."""
    return vault_pb2.RetentionResult(
        plan=retention_plan(value),
        trashed=value.trashed,
        purged=value.purged,
        collected_objects=value.collected_objects,
        collected_bytes=value.collected_bytes,
        notes=value.notes,
    )
