"""All services of `roost.v1`, ready to be served."""

from dataclasses import dataclass

from roost.v1 import (
    admin_service_pb2,
    admin_service_pb2_grpc,
    backup_service_pb2,
    backup_service_pb2_grpc,
    event_service_pb2,
    event_service_pb2_grpc,
    maintenance_service_pb2,
    maintenance_service_pb2_grpc,
    message_service_pb2,
    message_service_pb2_grpc,
    operation_service_pb2,
    operation_service_pb2_grpc,
    session_service_pb2,
    session_service_pb2_grpc,
    vault_service_pb2,
    vault_service_pb2_grpc,
)

from server.backups.importing import Imports
from server.backups.keyoperations import KeyOperations
from server.backups.operations import Operations
from server.backups.policies import Policies
from server.backups.service import BackupService as Backups
from server.backups.trashing import TrashRoom
from server.backups.vaultoperations import VaultOperations
from server.events.broker import Broker
from server.sessions.manager import SessionManager

from .admin_service import AdminService
from .auth import AdminKey
from .backup_service import BackupService
from .event_service import EventService
from .idempotency import Idempotency
from .maintenance_service import MaintenanceService
from .message_service import MessageService
from .operation_service import OperationService
from .server import Service
from .session_service import SessionService
from .vault_service import VaultService


@dataclass(frozen=True, slots=True, kw_only=True)
class Rooms:
    """What the services stand on."""

    manager: SessionManager
    broker: Broker
    backups: Backups
    operations: Operations
    trash: TrashRoom
    vault: VaultOperations
    keys: KeyOperations
    imports: Imports
    policies: Policies
    repeats: Idempotency
    key: AdminKey


def services(rooms: Rooms, admin: AdminService) -> list[Service]:
    """One of each."""
    sessions = session_service_pb2.DESCRIPTOR.services_by_name["SessionService"]
    events = event_service_pb2.DESCRIPTOR.services_by_name["EventService"]
    messages = message_service_pb2.DESCRIPTOR.services_by_name["MessageService"]
    backups = backup_service_pb2.DESCRIPTOR.services_by_name["BackupService"]
    operations = operation_service_pb2.DESCRIPTOR.services_by_name["OperationService"]
    maintenance = maintenance_service_pb2.DESCRIPTOR.services_by_name["MaintenanceService"]
    vault = vault_service_pb2.DESCRIPTOR.services_by_name["VaultService"]
    admins = admin_service_pb2.DESCRIPTOR.services_by_name["AdminService"]
    return [
        Service(
            sessions,
            session_service_pb2_grpc.add_SessionServiceServicer_to_server,
            SessionService(rooms.manager, rooms.broker, rooms.repeats),
        ),
        Service(
            events,
            event_service_pb2_grpc.add_EventServiceServicer_to_server,
            EventService(rooms.broker),
        ),
        Service(
            messages,
            message_service_pb2_grpc.add_MessageServiceServicer_to_server,
            MessageService(rooms.manager, rooms.repeats, rooms.key.derive),
        ),
        Service(
            backups,
            backup_service_pb2_grpc.add_BackupServiceServicer_to_server,
            BackupService(rooms.backups, rooms.vault, rooms.imports, rooms.policies, rooms.repeats),
        ),
        Service(
            operations,
            operation_service_pb2_grpc.add_OperationServiceServicer_to_server,
            OperationService(rooms.operations),
        ),
        Service(
            maintenance,
            maintenance_service_pb2_grpc.add_MaintenanceServiceServicer_to_server,
            MaintenanceService(rooms.trash),
        ),
        Service(
            vault,
            vault_service_pb2_grpc.add_VaultServiceServicer_to_server,
            VaultService(rooms.backups, rooms.vault, rooms.keys, rooms.repeats),
        ),
        Service(admins, admin_service_pb2_grpc.add_AdminServiceServicer_to_server, admin),
    ]
