"""The API as a test sees it: stock stubs, the admin key, and waits with deadlines."""

import asyncio
import contextlib
import uuid
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from pathlib import Path

import grpc
import grpc.aio
from google.protobuf.duration_pb2 import Duration
from google.rpc.error_details_pb2 import ErrorInfo
from grpc_status.rpc_status import from_call
from roost.v1 import (
    admin_service_pb2_grpc,
    backup_service_pb2_grpc,
    event_service_pb2_grpc,
    message_service_pb2_grpc,
    operation_service_pb2_grpc,
    session_service_pb2_grpc,
    vault_service_pb2_grpc,
)
from roost.v1 import backup_service_pb2 as backups
from roost.v1 import event_service_pb2 as event_requests
from roost.v1 import message_service_pb2 as messages
from roost.v1 import operation_service_pb2 as operation_requests
from roost.v1 import session_service_pb2 as requests
from roost.v1 import vault_service_pb2 as vault_requests
from roost.v1.backup_pb2 import Backup
from roost.v1.event_pb2 import Event, EventKind, MessageReceived, ReceiptReceived
from roost.v1.session_pb2 import Session

State = Session.State
DEADLINE = 30.0


def reason_of(error: grpc.RpcError) -> str:
    """The ErrorInfo reason that `error` carries."""
    status = from_call(error)  # type: ignore[arg-type]
    assert status is not None, error
    for detail in status.details:
        info = ErrorInfo()
        if detail.Unpack(info):
            return info.reason
    raise AssertionError(f"no ErrorInfo in {error}")


@dataclass
class Api:
    """Stubs over one channel, every call with the key."""

    channel: grpc.aio.Channel
    key: str

    def __post_init__(self) -> None:
        self.sessions = session_service_pb2_grpc.SessionServiceStub(self.channel)
        self.events = event_service_pb2_grpc.EventServiceStub(self.channel)
        self.messages = message_service_pb2_grpc.MessageServiceStub(self.channel)
        self.backups = backup_service_pb2_grpc.BackupServiceStub(self.channel)
        self.operations = operation_service_pb2_grpc.OperationServiceStub(self.channel)
        self.vault = vault_service_pb2_grpc.VaultServiceStub(self.channel)
        self.admin = admin_service_pb2_grpc.AdminServiceStub(self.channel)
        self.metadata = (("authorization", f"Bearer {self.key}"),)

    @classmethod
    @contextlib.asynccontextmanager
    async def connect(cls, address: str, key: str) -> AsyncIterator["Api"]:
        """Opens a channel of its own (no shared subchannel pool) to `address`."""
        options = [("grpc.use_local_subchannel_pool", 1)]
        async with grpc.aio.insecure_channel(address, options=options) as channel:
            yield cls(channel, key)

    async def create(self, session_id: str, **fields: str) -> Session:
        """Creates a session."""
        request = requests.CreateSessionRequest(
            session_id=session_id, session=Session(**fields), request_id=str(uuid.uuid4())
        )
        return (await self.sessions.CreateSession(request, metadata=self.metadata)).session

    async def get(self, name: str) -> Session:
        """Gets a session."""
        request = requests.GetSessionRequest(name=name)
        return (await self.sessions.GetSession(request, metadata=self.metadata)).session

    async def start(self, name: str) -> Session:
        """Starts a session."""
        request = requests.StartSessionRequest(name=name)
        return (await self.sessions.StartSession(request, metadata=self.metadata)).session

    async def stop(self, name: str) -> Session:
        """Stops a session."""
        request = requests.StopSessionRequest(name=name)
        return (await self.sessions.StopSession(request, metadata=self.metadata)).session

    def pair(self, name: str, phone: str = "") -> AsyncIterator[requests.PairSessionResponse]:
        """Follows a pairing attempt, by QR or by `phone`."""
        request = requests.PairSessionRequest(name=name)
        if phone:
            request.phone.phone_number = phone
        else:
            request.qr.SetInParent()
        return self.sessions.PairSession(request, metadata=self.metadata, timeout=2 * DEADLINE)

    async def pair_by_qr(self, name: str, scan: Callable[[str], object]) -> str:
        """Pairs by QR: `scan` (blocking) plays the phone. Returns the account's JID."""
        async for step in self.pair(name):
            match step.WhichOneof("step"):
                case "qr_code" if step.qr_code.attempt == 1:
                    await asyncio.to_thread(scan, step.qr_code.payload)
                case "completed":
                    return step.completed.account.jid
        raise AssertionError("the stream ended before completed")

    async def wait_for_state(self, name: str, *states: int, deadline: float = DEADLINE) -> Session:
        """Polls until the session is in one of `states`."""
        session = None
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(deadline):
                while True:
                    session = await self.get(name)
                    if session.state in states:
                        return session
                    await asyncio.sleep(0.02)
        wanted = [State.Name(state) for state in states]
        raise AssertionError(f"not {wanted} after {deadline} s: {session}")

    async def send(self, session: str, recipient: str, body: str, request_id: str = "") -> str:
        """Sends a text; returns the message id."""
        request = messages.SendMessageRequest(
            session=session,
            recipient=recipient,
            text=messages.SendMessageRequest.Text(body=body),
            request_id=request_id,
        )
        return (await self.messages.SendMessage(request, metadata=self.metadata)).message_id

    def subscribe(
        self, after: str = "", sessions: tuple[str, ...] = (), **fields: object
    ) -> AsyncIterator[event_requests.SubscribeEventsResponse]:
        """Subscribes after a cursor, or from a snapshot."""
        request = event_requests.SubscribeEventsRequest(
            sessions=sessions, heartbeat_interval=Duration(seconds=1), **fields
        )
        if after:
            request.after_cursor = after
        elif not request.WhichOneof("start"):
            request.from_snapshot.SetInParent()
        return self.events.SubscribeEvents(request, metadata=self.metadata)

    async def back_up(self, session: str) -> str:
        """Makes a backup and waits for it; returns its name."""
        request = backups.CreateBackupRequest(parent=session, request_id=str(uuid.uuid4()))
        started = await self.backups.CreateBackup(request, metadata=self.metadata)
        done = await self.operation_end(started.operation.name)
        assert done.WhichOneof("result") == "backup", done
        return done.backup.name

    async def list_backups(self, session: str) -> list[Backup]:
        """All backups of a session, newest first."""
        request = backups.ListBackupsRequest(parent=session)
        return list((await self.backups.ListBackups(request, metadata=self.metadata)).backups)

    async def restore(self, backup: str, **fields: object) -> object:
        """Restores and waits for it; returns the RestoreResult."""
        request = backups.RestoreBackupRequest(name=backup, request_id=str(uuid.uuid4()), **fields)
        started = await self.backups.RestoreBackup(request, metadata=self.metadata)
        done = await self.operation_end(started.operation.name)
        assert done.WhichOneof("result") == "restore", done
        return done.restore

    async def rotate_keys(self, parent: str) -> int:
        """Makes new data keys and waits for it; returns for how many sessions."""
        request = vault_requests.RotateKeysRequest(parent=parent)
        started = await self.vault.RotateKeys(request, metadata=self.metadata)
        done = await self.operation_end(started.operation.name)
        assert done.WhichOneof("result") == "rotation", done
        return done.rotation.rotated

    async def restore_from_the_dead(self, backup: str, **fields: object) -> object:
        """Restores what a killed server ran, as soon as its lease has run out."""
        async with asyncio.timeout(DEADLINE):
            while True:
                try:
                    return await self.restore(backup, **fields)
                except grpc.aio.AioRpcError as error:
                    if reason_of(error) != "SESSION_LEASED":
                        raise
                await asyncio.sleep(0.2)

    async def recover(self, **fields: object) -> object:
        """Recovers a storage location and waits for it; returns the RecoverResult."""
        request = vault_requests.RecoverSessionsRequest(request_id=str(uuid.uuid4()), **fields)
        started = await self.vault.RecoverSessions(request, metadata=self.metadata)
        done = await self.operation_end(started.operation.name)
        assert done.WhichOneof("result") == "recover", done
        return done.recover

    async def operation_end(self, name: str):
        """Watches an operation to its end."""
        request = operation_requests.WatchOperationRequest(name=name)
        last = None
        async for update in self.operations.WatchOperation(
            request, metadata=self.metadata, timeout=DEADLINE
        ):
            last = update.operation
        assert last is not None
        assert last.done
        return last


class Follower:
    """A subscriber that obeys the rule for clients: handle, keep the cursor, resume after it."""

    def __init__(self, *sessions: str) -> None:
        self.sessions = sessions
        self.kinds_wanted: tuple[int, ...] = ()
        self.cursor = ""
        self.events: list[Event] = []
        self.changed = asyncio.Event()

    async def read(self, api: Api) -> None:
        """Reads until the stream ends or breaks."""
        async for response in api.subscribe(self.cursor, self.sessions, kinds=self.kinds_wanted):
            self.events.extend(response.events)
            self.cursor = response.cursor
            self.changed.set()

    @contextlib.asynccontextmanager
    async def following(self, api: Api) -> AsyncIterator["Follower"]:
        """Reads in the background; the block starts once the stream has answered."""
        self.changed.clear()
        async with asyncio.TaskGroup() as tasks:
            reading = tasks.create_task(self.read(api))
            async with asyncio.timeout(DEADLINE):
                await self.changed.wait()
            try:
                yield self
            finally:
                reading.cancel()

    async def until(self, done: Callable[["Follower"], object]) -> None:
        """Waits until `done(self)`."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(DEADLINE):
                while not done(self):
                    self.changed.clear()
                    await self.changed.wait()
                return
        raise AssertionError(f"not seen in {len(self.events)} events: {self.kinds()}")

    def with_all_kinds(self) -> "Follower":
        """Wants engine events too: then a session's sequence numbers have no gaps."""
        self.kinds_wanted = tuple(EventKind.values())[1:]
        return self

    def assert_no_gap(self) -> None:
        """Every event once, in order."""
        numbers = [event.sequence for event in self.events]
        assert numbers == list(range(numbers[0], numbers[0] + len(numbers)))

    def kinds(self) -> list[str]:
        """What the events are, in order."""
        return [str(event.WhichOneof("payload")) for event in self.events]

    def messages(self) -> list[MessageReceived]:
        """Messages received, in order."""
        return [e.message_received for e in self.events if e.HasField("message_received")]

    def texts(self) -> list[str]:
        """Bodies of the messages received, in order."""
        return [message.text for message in self.messages()]

    def receipts(self) -> list[ReceiptReceived]:
        """Receipts, in order."""
        return [e.receipt_received for e in self.events if e.HasField("receipt_received")]

    def sessions_seen(self) -> list[Session]:
        """Sessions as the session changes show them, in order."""
        return [e.session_changed.session for e in self.events if e.HasField("session_changed")]

    def states(self) -> list[int]:
        """States of the session changes, in order."""
        return [session.state for session in self.sessions_seen()]


def host_pid(data_dir: Path, name: str) -> int:
    """The process that runs a session's engine, as its lock file says."""
    lock = data_dir / name / "host.lock"
    return int(lock.read_text().split()[0])
