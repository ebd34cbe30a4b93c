"""Policies in `roost.v1.BackupService`."""

from datetime import timedelta
from typing import Any

from roost.v1 import backup_service_pb2 as pb
from roost.v1 import backup_service_pb2_grpc, vault_pb2

from server.backups.policies import BackupPolicy, Policies
from server.core.errors import FieldInvalid
from server.core.names import SessionName
from server.vault.retention import RetentionPolicy

from . import validate
from .validate import ALL_SESSIONS, Checks

SHORTEST = timedelta(seconds=1)
COUNTS = ("keep_last", "hourly", "daily", "weekly", "monthly")


class PolicyService(backup_service_pb2_grpc.BackupServiceServicer):
    """When sessions are backed up, and what is kept."""

    def __init__(self, policies: Policies) -> None:
        self._policies = policies

    async def GetBackupPolicy(
        self, request: pb.GetBackupPolicyRequest, _context: Any
    ) -> pb.GetBackupPolicyResponse:
        """The one that counts."""
        session = validate.session_or_all(request.parent, "parent")
        return pb.GetBackupPolicyResponse(policy=self._shown(session))

    async def SetBackupPolicy(
        self, request: pb.SetBackupPolicyRequest, _context: Any
    ) -> pb.SetBackupPolicyResponse:
        """Replaces the whole policy."""
        with Checks() as check:
            session = check(validate.session_or_all, request.policy.parent, "policy.parent")
            wanted = None if request.reset else check(policy_of, request.policy)
        await self._policies.set(session, wanted)
        return pb.SetBackupPolicyResponse(policy=self._shown(session))

    def _shown(self, session: SessionName | None) -> vault_pb2.BackupPolicy:
        policy, is_inherited = self._policies.get(session)
        kept = policy.retention
        return vault_pb2.BackupPolicy(
            parent=ALL_SESSIONS if session is None else str(session),
            every=policy.every,
            debounce=policy.debounce,
            max_delay=policy.max_delay,
            retention=vault_pb2.BackupPolicy.Retention(
                keep_within=kept.keep_within, **{name: getattr(kept, name) for name in COUNTS}
            ),
            inherited=is_inherited,
        )


def policy_of(message: vault_pb2.BackupPolicy) -> BackupPolicy:
    """The policy in a message; raises FieldInvalid with all that is wrong."""
    kept = message.retention
    with Checks() as check:
        every = check(_interval, message.every, "policy.every")
        debounce = check(_interval, message.debounce, "policy.debounce")
        max_delay = check(_interval, message.max_delay, "policy.max_delay", zero=False)
        within = check(
            validate.duration,
            kept.keep_within,
            "policy.retention.keep_within",
            default=timedelta(),
        )
        counts = {
            name: check(_count, getattr(kept, name), f"policy.retention.{name}") for name in COUNTS
        }
        if not kept.ByteSize():
            check(_refuse_empty)
    return BackupPolicy(
        every=every,
        debounce=debounce,
        max_delay=max_delay,
        retention=RetentionPolicy(keep_within=within, **counts),
    )


def _interval(value: Any, field: str, *, zero: bool = True) -> timedelta:
    found = validate.duration(value, field, default=timedelta())
    if found < SHORTEST and not (zero and not found):
        problem = "must be 0 or at least a second" if zero else "must be at least a second"
        raise FieldInvalid(field=field, problem=problem)
    return found


def _count(value: int, field: str) -> int:
    if value < 0:
        raise FieldInvalid(field=field, problem="must not be negative")
    return value


def _refuse_empty() -> None:
    problem = "an empty policy would keep next to nothing"
    raise FieldInvalid(field="policy.retention", problem=problem)
