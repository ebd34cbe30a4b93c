"""The gRPC server: address, transport security, standard services."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import grpc
from google.protobuf.descriptor import ServiceDescriptor
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_health.v1.health import aio as health_aio
from grpc_reflection.v1alpha import reflection

from .interceptors import CallInterceptor

LARGEST_REQUEST = 4 << 20
OPTIONS: tuple[tuple[str, Any], ...] = (
    ("grpc.so_reuseport", 0),  # on by default: a second server would silently share the port
    ("grpc.keepalive_time_ms", 30_000),
    ("grpc.keepalive_timeout_ms", 10_000),
    ("grpc.keepalive_permit_without_calls", 1),
    ("grpc.http2.max_pings_without_data", 0),
    ("grpc.http2.min_ping_interval_without_data_ms", 10_000),
    ("grpc.max_receive_message_length", LARGEST_REQUEST),
)


class AddressUnusable(Exception):
    """The address cannot be listened on."""


class CertificateUnusable(Exception):
    """A TLS file cannot be read."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TlsFiles:
    """PEM files; with a client CA every client must show a certificate that it signed."""

    cert: Path
    key: Path
    client_ca: Path | None = None


@dataclass(frozen=True, slots=True)
class Service:
    """A servicer, and how generated code registers it."""

    descriptor: ServiceDescriptor
    register: Callable[[Any, Any], None]
    servicer: Any


class RpcServer:
    """Serves `services`, health and reflection on one address.

    Belongs to the loop it is made in. `start`, `drain` and `stop` are called once, in that order.
    """

    def __init__(self, interceptor: CallInterceptor, services: Sequence[Service]) -> None:
        self._server = grpc.aio.server(interceptors=[interceptor], options=OPTIONS)
        self._health = health_aio.HealthServicer()
        self._names = [service.descriptor.full_name for service in services]
        for service in services:
            service.register(service.servicer, self._server)
        health_pb2_grpc.add_HealthServicer_to_server(self._health, self._server)
        standard = (
            health_pb2.DESCRIPTOR.services_by_name["Health"].full_name,
            reflection.SERVICE_NAME,
        )
        reflection.enable_server_reflection([*self._names, *standard], self._server)

    async def start(self, listen: str, tls: TlsFiles | None) -> str:
        """Listens and serves; returns the address with the port that was really taken.

        Raises:
            AddressUnusable: taken, forbidden, or not an address of this machine.
            CertificateUnusable: a TLS file cannot be read.
        """
        try:
            if tls is None:
                port = self._server.add_insecure_port(listen)
            else:
                port = self._server.add_secure_port(listen, _credentials(tls))
        except RuntimeError as error:
            raise AddressUnusable(
                f"cannot listen on {listen}; if it is taken: roost serve --listen"
            ) from error
        await self._server.start()
        for name in self._names:
            await self._health.set(name, health_pb2.HealthCheckResponse.SERVING)
        return f"{listen.rpartition(':')[0]}:{port}"

    async def drain(self) -> None:
        """Tells health checks that this server is leaving. Calls are still served."""
        await self._health.enter_graceful_shutdown()

    async def stop(self, grace: timedelta) -> None:
        """Refuses new calls, waits up to `grace` for running ones, then cancels them."""
        await self._server.stop(grace.total_seconds())


def _credentials(tls: TlsFiles) -> grpc.ServerCredentials:
    try:
        pair = (tls.key.read_bytes(), tls.cert.read_bytes())
        authority = tls.client_ca.read_bytes() if tls.client_ca else None
    except OSError as error:
        raise CertificateUnusable(f"{error.filename}: {error.strerror}") from error
    return grpc.ssl_server_credentials([pair], authority, require_client_auth=authority is not None)
