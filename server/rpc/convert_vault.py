"""The vault as a whole, as messages of `roost.v1`."""

from collections.abc import Iterable

from roost.v1 import vault_pb2

from server.backups.keykeeping import MasterKeyInfo
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
