"""Composition root: the only module that names concrete classes; order of start and stop."""

import asyncio
import random
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from importlib.metadata import version

import structlog

from storage_backends.registry import Registry

from .backups.custody import Custody
from .backups.heads import Heads
from .backups.housekeeping import Housekeeper, HousekeepingConfig
from .backups.importing import Importer, Imports
from .backups.keyoperations import KeyOperations
from .backups.locations import Locations
from .backups.mirroring import Mirrors
from .backups.operations import Operations
from .backups.policies import BackupPolicy, Policies
from .backups.ports import Unfenced
from .backups.scratch import Scratch
from .backups.service import BackupService
from .backups.trashing import TrashRoom
from .backups.vaultcare import VaultCare
from .backups.vaultoperations import VaultOperations
from .core.clock import SystemClock
from .core.ids import time_ordered_id
from .core.names import SessionName
from .datadir import place, server_id
from .engine.base import Engine
from .engine.link import LinkConfig
from .engine.store import schema_of, template_path
from .engine.zygote_engine import EngineConfig, SimulatorConfig, ZygoteEngine
from .events.broker import Broker
from .events.log import EventLog
from .events.retention import Retention
from .rpc.admin_service import AdminService, ServerInfo
from .rpc.auth import AdminKey
from .rpc.idempotency import Idempotency
from .rpc.interceptors import CallInterceptor
from .rpc.server import RpcServer, TlsFiles
from .rpc.services import Rooms, services
from .sessions.hooks import Hooks
from .sessions.manager import SessionManager
from .sessions.model import Session
from .sessions.registry import SessionRegistry
from .settings import Settings
from .state import Database
from .vault.fencing import Fencing, Loss
from .vault.heartbeats import Identity
from .vault.masterkeys import configured
from .vault.masterkeys.base import MasterKey
from .vault.masterkeys.selftest import self_test
from .vault.model import Backup, BackupKind
from .vault.retention import RetentionPolicy
from .vault.workers import Workers

BOOKMARKS = timedelta(seconds=5)  # for the readers of event streams to take the last one
LAST_COPIES = timedelta(seconds=5)  # for the copies of sessions that took all of the grace
PING = timedelta(seconds=10)
LEAST_SILENCE = timedelta(seconds=10)  # a busy machine is no frozen server
LAST_CALLS = timedelta(seconds=1)  # for calls that are still running when the sessions are down

log = structlog.get_logger(__name__)

MakeEngine = Callable[[EngineConfig], AbstractAsyncContextManager[Engine]]


class Stop:
    """The wish to stop: the first one counts, with the time it gives."""

    def __init__(self, grace: timedelta) -> None:
        self.grace = grace
        self._wanted = asyncio.Event()

    def request(self, grace: timedelta | None = None) -> None:
        """Begins the stop; does not wait."""
        if not self._wanted.is_set():
            self.grace = self.grace if grace is None else grace
            self._wanted.set()

    async def wait(self) -> None:
        """Returns when somebody wants the stop."""
        await self._wanted.wait()


@dataclass(frozen=True, slots=True, kw_only=True)
class Running:
    """A server that serves."""

    address: str
    stop: Stop


@asynccontextmanager
async def running(
    settings: Settings, make_engine: MakeEngine = ZygoteEngine
) -> AsyncIterator[Running]:
    """Starts everything; leaving stops it.

    What is entered first is left last. From the moment somebody wants the stop: health says so and
    new calls are refused, event streams end with a bookmark, operations end, sessions stop side by
    side, the last calls end, the log and the database close.

    Raises what the rooms raise when they cannot start.
    """
    clock, stop = SystemClock(), Stop(settings.drain_grace)
    key = AdminKey.load_or_create(settings.admin_key_path)
    masters = await _master_keys(settings)
    storage = Registry.with_plugins()
    async with AsyncExitStack() as stack:
        database = await stack.enter_async_context(Database.open(settings.state_url))
        registry = SessionRegistry()
        events = await stack.enter_async_context(
            EventLog(database, registry, clock, retention=_retention(settings))
        )
        engine = await stack.enter_async_context(make_engine(_engine_config(settings)))
        repeats = await stack.enter_async_context(Idempotency(database, clock))
        locations = await stack.enter_async_context(
            Locations.from_urls(settings.backup_urls, storage)
        )
        copies = Copies()
        fencing = _fencing(
            settings, locations, clock, lambda name, loss: _lose(manager, name, loss)
        )
        manager = SessionManager(
            journal=events,
            registry=registry,
            engine=engine,
            clock=clock,
            data_dir=settings.data_dir,
            on_paired=copies.paired,
            hooks=copies,
            permit=fencing,
        )
        operations = Operations(database, clock)
        scratch = Scratch(settings.data_dir / "scratch")
        template = template_path(settings.data_dir / "engine", engine.version)
        backups = BackupService(
            sessions=manager,
            operations=operations,
            locations=locations,
            masters=masters,
            clock=clock,
            scratch=scratch,
            engine_version=engine.version,
            fence=fencing,
            engine_schema=partial(schema_of, template),
        )
        copies.service = await stack.enter_async_context(backups)
        await stack.enter_async_context(backups.keys)
        policies = await stack.enter_async_context(
            Policies(database=database, sessions=manager, clock=clock, default=_policy(settings))
        )
        care = VaultCare(
            catalog=backups.catalog,
            locations=locations,
            scratch=scratch,
            heads=Heads(database, clock),
            clock=clock,
            owner=place(settings.data_dir),
        )
        housekeeper = Housekeeper(
            sessions=manager,
            vaults=care,
            locations=[location.name for location in locations.list()],
            policies=policies,
            clock=clock,
            config=HousekeepingConfig(trash_time=settings.backup.trash_time),
        )
        mirrors = Mirrors(care, [location.name for location in locations.list()], clock)

        def made(backup: Backup) -> None:
            housekeeper.made(backup)
            mirrors.made(backup)

        backups.on_made = made
        custody = copies.custody = Custody(
            sessions=manager,
            backups=backups,
            policies=policies,
            clock=clock,
            uniform=random.random,
            data_dir=settings.data_dir,
        )
        trash = await stack.enter_async_context(
            TrashRoom(
                folder=settings.data_dir / "trash",
                sessions=manager,
                operations=operations,
                scratch=scratch,
                clock=clock,
                saved_devices=backups.saved_devices,
                back_up=backups.backup_now,
                fence=fencing,
            )
        )
        importer = Importer(
            sessions=manager,
            workers=await stack.enter_async_context(Workers(1)),
            scratch=scratch,
            clock=clock,
            template=template,
            back_up=backups.backup_now,
            fence=fencing or Unfenced(),
        )
        broker = Broker(events, registry)
        interceptor = CallInterceptor(key, log_calls=settings.log.level == "DEBUG")
        rooms = Rooms(
            manager=manager,
            broker=broker,
            backups=backups,
            operations=operations,
            trash=trash,
            vault=VaultOperations(
                care,
                operations,
                housekeeper.rules,
                settings.backup.trash_time,
                backups.announce,
            ),
            keys=KeyOperations(manager, operations, backups.keys),
            imports=Imports(importer, operations),
            policies=policies,
            repeats=repeats,
            key=key,
        )
        server = RpcServer(interceptor, services(rooms, _admin(settings, engine, storage, stop)))
        stack.push_async_callback(server.stop, LAST_CALLS)
        await stack.enter_async_context(housekeeper)
        await stack.enter_async_context(mirrors)
        if fencing is not None:
            await stack.enter_async_context(fencing)
        await stack.enter_async_context(manager)
        await stack.enter_async_context(custody)
        stack.push_async_callback(lambda: _stop_sessions(manager, custody, stop.grace))
        await stack.enter_async_context(operations)
        stack.push_async_callback(lambda: broker.close(min(stop.grace, BOOKMARKS)))
        stack.push_async_callback(lambda: _announce_stop(server, interceptor))
        address = await server.start(settings.listen, _tls(settings))
        yield Running(address=address, stop=stop)


async def _announce_stop(server: RpcServer, interceptor: CallInterceptor) -> None:
    log.info("server.draining")
    interceptor.drain()
    await server.drain()


async def _stop_sessions(manager: SessionManager, custody: Custody, grace: timedelta) -> None:
    """What has stopped is copied in what is left of the grace, or at least in a moment."""
    loop = asyncio.get_running_loop()
    until = loop.time() + grace.total_seconds()
    await manager.drain(grace)
    left = timedelta(seconds=max(until - loop.time(), 0))
    await custody.finish(max(left, min(grace, LAST_COPIES)))


class Copies(Hooks):
    """Those who copy are made after the sessions whose copies they make."""

    def __init__(self) -> None:
        self.service: BackupService | None = None
        self.custody: Custody | None = None

    async def paired(self, name: SessionName) -> None:
        """Returns when the first backup is verified."""
        assert self.service is not None
        await self.service.backup_now(name, BackupKind.PAIRED)

    def stopped(self, name: SessionName) -> None:
        """As `Hooks.stopped`."""
        assert self.custody is not None
        self.custody.stopped(name)

    async def before_delete(self, name: SessionName) -> None:
        """As `Hooks.before_delete`."""
        assert self.custody is not None
        await self.custody.before_delete(name)

    def revoked(self, session: Session, reason: str, trash: str) -> None:
        """As `Hooks.revoked`."""
        assert self.custody is not None
        self.custody.revoked(session, reason, trash)


def _policy(settings: Settings) -> BackupPolicy:
    backup = settings.backup
    return BackupPolicy(
        every=backup.every,
        debounce=backup.debounce if backup.on_change else timedelta(),
        max_delay=backup.max_delay,
        retention=RetentionPolicy(
            keep_within=backup.keep_within,
            keep_last=backup.keep_last,
            hourly=backup.hourly,
            daily=backup.daily,
            weekly=backup.weekly,
            monthly=backup.monthly,
        ),
    )


async def _lose(manager: SessionManager, name: SessionName, loss: Loss) -> None:
    await manager.lose(name, to_other=loss is Loss.TAKEN)


def _fencing(
    settings: Settings,
    locations: Locations,
    clock: SystemClock,
    lost: Callable[[SessionName, Loss], Awaitable[None]],
) -> Fencing | None:
    """Leases in the primary location; None: switched off."""
    if settings.backup.fencing == "off":
        return None
    data_dir, primary = settings.data_dir, locations.primary
    identity = Identity(
        server=server_id(data_dir), instance=time_ordered_id(), place=place(data_dir)
    )
    return Fencing(
        partial(locations.storage, primary),
        identity,
        clock,
        location=primary,
        lost=lost,
        strict=settings.backup.fencing == "strict",
        ttl=settings.backup.lease_ttl,
    )


async def _master_keys(settings: Settings) -> list[MasterKey]:
    """All master keys, each proven to open what it wraps; a passphrase takes its time."""
    backup = settings.backup
    config = configured.MasterKeysConfig(
        key_file=settings.backup_key_path,
        key_file_given=backup.key_file is not None,
        passphrase=backup.passphrase.get_secret_value(),
        passphrase_file=backup.passphrase_file,
        external_command=backup.external_key,
        external_timeout=backup.external_key_timeout,
    )
    masters = configured.load(config)
    async with Workers(1) as workers:
        await workers.run(self_test, masters)
    return masters


def _admin(settings: Settings, engine: Engine, storage: Registry, stop: Stop) -> AdminService:
    info = ServerInfo(
        server_version=version("roost"),
        engine_version=engine.version,
        event_retention=settings.events.retention,
        storage_schemes=storage.schemes,
        simulator=settings.simulator.is_on,
    )
    return AdminService(info, stop.request)


def _retention(settings: Settings) -> Retention:
    events = settings.events
    return Retention(
        max_age=events.retention, max_bytes=events.max_bytes, check_every=events.check_interval
    )


def _engine_config(settings: Settings) -> EngineConfig:
    engine, simulator, silence = settings.engine, settings.simulator, _silence(settings)
    stand_in = None
    if simulator.ca_file is not None:
        stand_in = SimulatorConfig(
            proxy_url=simulator.proxy_url,
            ca_file=simulator.ca_file,
            root_key=bytes.fromhex(simulator.root_key.get_secret_value()),
        )
    return EngineConfig(
        data_dir=settings.data_dir,
        simulator=stand_in,
        login_deadline=engine.login_timeout,
        server_silence=silence,
        link=LinkConfig(
            ready=engine.start_timeout,
            ping_interval=min(PING, silence / 4) if silence else PING,
            send=engine.send_timeout,
            request=engine.request_timeout,
        ),
    )


def _silence(settings: Settings) -> timedelta:
    """When engines of a server that is frozen or hangs end: before others may have its sessions.

    The last heartbeat may be a third of the ttl older than what they have heard last.
    """
    if settings.backup.fencing == "off":
        return timedelta()
    return max(LEAST_SILENCE, settings.backup.lease_ttl * 0.6)


def _tls(settings: Settings) -> TlsFiles | None:
    tls = settings.tls
    if tls.cert_file is None or tls.key_file is None:
        return None
    return TlsFiles(cert=tls.cert_file, key=tls.key_file, client_ca=tls.client_ca_file)
