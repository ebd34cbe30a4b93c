"""AdminService, the standard services, and what holds for every method."""

import asyncio
import datetime as dt
import ipaddress

import grpc
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc
from roost.v1 import admin_service_pb2 as pb

from tests.rpc.conftest import failure, fields_of
from tests.support.scripted import METHODS


def service_of(method):
    return f"roost.v1.{method.partition('.')[0]}"


@pytest.mark.parametrize("method", sorted(METHODS))
async def test_every_method_is_served_and_needs_the_key(api, method):
    """A method that was forgotten would be UNIMPLEMENTED."""
    descriptor = METHODS[method]
    path = f"/{service_of(method)}/{descriptor.name}"
    make = api.channel.unary_stream if descriptor.server_streaming else api.channel.unary_unary
    await failure(make(path)(b""), "TOKEN_INVALID")
    if method == "AdminService.DrainServer":
        return
    call = make(path)(b"", metadata=api.metadata)
    if descriptor.server_streaming:
        await failure(call, "FIELD_INVALID")
    assert await call.code() is not grpc.StatusCode.UNIMPLEMENTED


async def test_the_server_describes_itself(api):
    """Versions, limits, storage."""
    info = await api.admin.GetServerInfo(pb.GetServerInfoRequest())
    assert info.server_version.count(".") == 2
    assert info.engine_version == "fake/1"
    assert info.event_retention.seconds == 7 * 24 * 3600
    assert "file" in info.storage_schemes
    assert not info.simulator


async def test_draining_begins_the_stop(api):
    """With the caller's grace, or the usual one; what is negative or endless is refused."""
    for seconds in (-1, 601):
        call = api.admin.DrainServer(pb.DrainServerRequest(grace_period={"seconds": seconds}))
        assert fields_of(await failure(call, "FIELD_INVALID")) == ["grace_period"]
    await api.admin.DrainServer(pb.DrainServerRequest(grace_period={"seconds": 3}))
    async with asyncio.timeout(5):
        await api.server.stop.wait()
    assert api.server.stop.grace == dt.timedelta(seconds=3)


async def test_health_tells_when_the_server_leaves(new_api):
    """Load balancers watch it."""
    async with asyncio.TaskGroup() as group, new_api() as api:
        stub = health_pb2_grpc.HealthStub(api.channel)
        watch = stub.Watch(health_pb2.HealthCheckRequest(service="roost.v1.SessionService"))
        assert (await watch.read()).status == health_pb2.HealthCheckResponse.SERVING
        told = group.create_task(watch.read())
    assert told.result().status == health_pb2.HealthCheckResponse.NOT_SERVING


async def test_reflection_describes_every_service(api):
    """For grpcurl and its like, with the key."""
    stub = reflection_pb2_grpc.ServerReflectionStub(api.channel)
    request = reflection_pb2.ServerReflectionRequest(list_services="")
    call = stub.ServerReflectionInfo(iter([request]), metadata=api.metadata)
    names = {each.name for each in (await call.read()).list_services_response.service}
    assert names >= {service_of(method) for method in METHODS}
    call.cancel()


class Authority:
    """A certificate authority of the test's own."""

    def __init__(self, folder):
        self._folder = folder
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._certificate = self._sign("ca", self._key, ca=True)
        self.file = self._write("ca.pem", self._certificate)

    def issue(self, name):
        """Certificate and key files."""
        key = ec.generate_private_key(ec.SECP256R1())
        pem = key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
        (self._folder / f"{name}.key").write_bytes(pem)
        return self._write(f"{name}.pem", self._sign(name, key)), self._folder / f"{name}.key"

    def _sign(self, name, key, *, ca=False):
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        issuer = subject if ca else self._certificate.subject
        now = dt.datetime.now(dt.UTC)
        return (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(issuer)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - dt.timedelta(hours=1))
            .not_valid_after(now + dt.timedelta(hours=1))
            .add_extension(x509.BasicConstraints(ca=ca, path_length=None), critical=True)
            .add_extension(
                x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]),
                critical=False,
            )
            .sign(self._key, hashes.SHA256())
        )

    def _write(self, name, certificate):
        path = self._folder / name
        path.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
        return path


@pytest.mark.parametrize("mutual", [False, True])
async def test_tls(new_api, tmp_path, mutual):
    """With a client authority, strangers do not even get to the key."""
    authority = Authority(tmp_path)
    cert, key = authority.issue("server")
    tls = {"cert_file": cert, "key_file": key}
    if mutual:
        tls["client_ca_file"] = authority.file
    async with new_api(tls=tls) as api:
        await _check_tls(api, authority, mutual)


async def _check_tls(api, authority, mutual):
    trusted = authority.file.read_bytes()
    cert, key = (path.read_bytes() for path in authority.issue("client"))
    for credentials, welcome in [
        (grpc.ssl_channel_credentials(trusted, key, cert), True),
        (grpc.ssl_channel_credentials(trusted), not mutual),
        (grpc.ssl_channel_credentials(), False),
        (None, False),
    ]:
        address = api.server.address
        channel = (
            grpc.aio.secure_channel(address, credentials)
            if credentials
            else grpc.aio.insecure_channel(address)
        )
        async with channel:
            call = channel.unary_unary("/roost.v1.AdminService/GetServerInfo")(
                b"", metadata=api.metadata, timeout=20
            )
            assert (await call.code() is grpc.StatusCode.OK) == welcome
