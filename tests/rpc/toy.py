"""A service whose handlers do what a test tells them, behind the real interceptor and server."""

from contextlib import asynccontextmanager, suppress
from datetime import timedelta

import grpc
from google.protobuf.wrappers_pb2 import StringValue
from google.rpc.error_details_pb2 import ErrorInfo
from grpc_status import rpc_status

from server.core.calls import CURRENT_CALL
from server.rpc.auth import AdminKey
from server.rpc.interceptors import CallInterceptor
from server.rpc.server import RpcServer, Service

KEY = "the-admin-key-of-tests"
METADATA = (("authorization", f"Bearer {KEY}"),)


class ToyService:
    """Each method is one way of writing a handler."""

    def __init__(self):
        self.fail = None
        self.closed = 0
        self.call = None

    async def unary(self, request, context):
        self.call = CURRENT_CALL.get()
        if self.fail:
            raise self.fail
        return StringValue(value=request.value)

    async def stream(self, request, context):
        try:
            yield StringValue(value="first")
            if self.fail:
                raise self.fail
            while request.value == "endless":
                yield StringValue(value="more")
        finally:
            self.closed += 1

    async def writing(self, request, context):
        await context.write(StringValue(value="first"))
        if self.fail:
            raise self.fail

    async def collect(self, requests, context):
        if self.fail:
            raise self.fail
        return StringValue(value=",".join([each.value async for each in requests]))


def register(service, server):
    codec = {
        "request_deserializer": StringValue.FromString,
        "response_serializer": StringValue.SerializeToString,
    }
    handlers = {
        "Unary": grpc.unary_unary_rpc_method_handler(service.unary, **codec),
        "Stream": grpc.unary_stream_rpc_method_handler(service.stream, **codec),
        "Writing": grpc.unary_stream_rpc_method_handler(service.writing, **codec),
        "Collect": grpc.stream_unary_rpc_method_handler(service.collect, **codec),
    }
    server.add_registered_method_handlers("toy.Toy", handlers)
    server.add_generic_rpc_handlers([grpc.method_handlers_generic_handler("toy.Toy", handlers)])


class Toy:
    """The service and a client for it."""

    def __init__(self, service, channel, interceptor):
        self.service = service
        self.channel = channel
        self.interceptor = interceptor
        codec = {
            "request_serializer": StringValue.SerializeToString,
            "response_deserializer": StringValue.FromString,
        }
        self.unary = channel.unary_unary("/toy.Toy/Unary", **codec)
        self.stream = channel.unary_stream("/toy.Toy/Stream", **codec)
        self.writing = channel.unary_stream("/toy.Toy/Writing", **codec)
        self.collect = channel.stream_unary("/toy.Toy/Collect", **codec)


class _ToyDescriptor:
    full_name = "toy.Toy"


@asynccontextmanager
async def serving():
    """Serves a ToyService on a free port."""
    service = ToyService()
    interceptor = CallInterceptor(AdminKey(KEY), log_calls=True)
    server = RpcServer(interceptor, [Service(_ToyDescriptor, register, service)])
    address = await server.start("127.0.0.1:0", None)
    try:
        async with grpc.aio.insecure_channel(address) as channel:
            yield Toy(service, channel, interceptor)
    finally:
        await server.drain()
        await server.stop(timedelta(seconds=2))


async def rest(call):
    """Everything that a stream still sends. Read only: grpc.aio does not let us mix styles."""
    received = []
    while (message := await call.read()) is not grpc.aio.EOF:
        received.append(message)
    return received


async def status_of(call):
    """The google.rpc.Status that the call ended with; a stream is read to its end first."""
    with suppress(grpc.aio.AioRpcError):
        if isinstance(call, grpc.aio.UnaryStreamCall):
            await rest(call)
    return await rpc_status.aio.from_call(call)


def unpacked(status, kind):
    """All details of one kind."""
    found = []
    for each in status.details:
        if each.Is(kind.DESCRIPTOR):
            detail = kind()
            each.Unpack(detail)
            found.append(detail)
    return found


def reason_of(status):
    """The reason of the one ErrorInfo."""
    (info,) = unpacked(status, ErrorInfo)
    assert info.domain == "roost.v1"
    return info.reason
