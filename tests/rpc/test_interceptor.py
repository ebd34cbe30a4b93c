"""Key, context and clean-up around every kind of handler."""

import asyncio

import grpc
import pytest
from google.protobuf.wrappers_pb2 import StringValue
from google.rpc.error_details_pb2 import BadRequest, RetryInfo
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc

from tests.rpc import toy


@pytest.fixture
async def served():
    async with toy.serving() as running:
        yield running


async def refused(call):
    status = await toy.status_of(call)
    assert await call.code() is grpc.StatusCode.UNAUTHENTICATED
    return toy.reason_of(status) == "TOKEN_INVALID"


async def test_every_kind_of_call_works_with_the_key(served):
    """Unary, both forms of streams, and client streams."""
    assert (await served.unary(StringValue(value="x"), metadata=toy.METADATA)).value == "x"
    for stream in (served.stream, served.writing):
        call = stream(StringValue(), metadata=toy.METADATA)
        assert [each.value async for each in call] == ["first"]
    requests = [StringValue(value="a"), StringValue(value="b")]
    assert (await served.collect(requests, metadata=toy.METADATA)).value == "a,b"


@pytest.mark.parametrize("metadata", [(), (("authorization", "Bearer wrong-wrong-wrong"),)])
async def test_every_kind_of_call_is_refused_without_it(served, metadata):
    """And the handler is never reached."""
    served.service.fail = AssertionError()
    assert await refused(served.unary(StringValue(), metadata=metadata))
    assert await refused(served.stream(StringValue(), metadata=metadata))
    assert await refused(served.writing(StringValue(), metadata=metadata))
    assert await refused(served.collect([StringValue()], metadata=metadata))


async def test_health_is_open_and_watch_follows(served):
    """Watch is a coroutine that writes: the form that generator-only interceptors break."""
    stub = health_pb2_grpc.HealthStub(served.channel)
    for name in ("", "toy.Toy"):
        request = health_pb2.HealthCheckRequest(service=name)
        assert (await stub.Check(request)).status == health_pb2.HealthCheckResponse.SERVING
        watch = stub.Watch(request)
        assert (await watch.read()).status == health_pb2.HealthCheckResponse.SERVING
        watch.cancel()
    unknown = stub.Check(health_pb2.HealthCheckRequest(service="nobody"))
    assert await unknown.code() is grpc.StatusCode.NOT_FOUND


async def test_reflection_needs_the_key_and_lists_the_services(served):
    """It describes the API to tools, not to strangers."""
    stub = reflection_pb2_grpc.ServerReflectionStub(served.channel)
    request = reflection_pb2.ServerReflectionRequest(list_services="")
    assert await refused(stub.ServerReflectionInfo(iter([request])))
    call = stub.ServerReflectionInfo(iter([request]), metadata=toy.METADATA)
    names = {each.name for each in (await call.read()).list_services_response.service}
    assert {"toy.Toy", "grpc.health.v1.Health"} <= names
    call.cancel()


async def test_an_unknown_method_is_unimplemented(served):
    """As gRPC says, not as an error of ours."""
    call = served.channel.unary_unary("/toy.Toy/Nothing")(b"", metadata=toy.METADATA)
    assert await call.code() is grpc.StatusCode.UNIMPLEMENTED


async def test_a_request_that_is_no_message_is_the_callers_fault(served):
    """gRPC itself would answer INTERNAL."""
    for path in ("Unary", "Stream"):
        method = served.channel.unary_unary if path == "Unary" else served.channel.unary_stream
        call = method(f"/toy.Toy/{path}")(b"\x0a\x05ab", metadata=toy.METADATA)
        assert await call.code() is grpc.StatusCode.INVALID_ARGUMENT
        status = await toy.status_of(call)
        assert toy.reason_of(status) == "FIELD_INVALID"
        assert len(toy.unpacked(status, BadRequest)) == 1


async def test_text_that_is_no_utf8_is_the_callers_fault(served):
    """A string field with other bytes."""
    call = served.channel.unary_unary("/toy.Toy/Unary")(b"\x0a\x01\xff", metadata=toy.METADATA)
    assert await call.code() is grpc.StatusCode.INVALID_ARGUMENT


async def test_a_client_that_leaves_ends_the_generator_at_once(served):
    """Its finally has run when the call is over, not when the garbage collector comes by."""
    call = served.stream(StringValue(value="endless"), metadata=toy.METADATA)
    await call.read()
    assert served.service.closed == 0
    call.cancel()
    async with asyncio.timeout(5):
        while served.service.closed == 0:
            await asyncio.sleep(0.01)


async def test_handlers_know_their_call(served):
    """Log lines of a handler carry the method and the caller's request id."""
    await served.unary(StringValue(), metadata=(*toy.METADATA, ("x-request-id", "abc")))
    assert (served.service.call.rpc, served.service.call.request_id) == ("toy.Toy/Unary", "abc")


async def test_a_draining_server_says_so_to_new_calls(served):
    """With the time to come back; calls that run already go on, and health still answers."""
    running = served.stream(StringValue(value="endless"), metadata=toy.METADATA)
    await running.read()
    served.interceptor.drain()
    for method in (served.unary, served.stream):
        call = method(StringValue(), metadata=toy.METADATA)
        status = await toy.status_of(call)
        assert await call.code() is grpc.StatusCode.UNAVAILABLE
        assert toy.reason_of(status) == "SERVER_DRAINING"
        assert len(toy.unpacked(status, RetryInfo)) == 1
    assert (await running.read()).value == "more"
    running.cancel()
    health = health_pb2_grpc.HealthStub(served.channel)
    await health.Check(health_pb2.HealthCheckRequest())
    assert await refused(served.unary(StringValue()))
