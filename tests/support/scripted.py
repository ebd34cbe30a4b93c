"""A gRPC server that answers as a test says: for tests of clients."""

import asyncio
from collections import defaultdict, deque
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta

import grpc
import grpc.aio
from google.protobuf import message_factory
from google.protobuf.any_pb2 import Any
from google.protobuf.message import Message
from google.rpc.error_details_pb2 import BadRequest, ErrorInfo, RequestInfo, RetryInfo
from google.rpc.status_pb2 import Status
from grpc_status.rpc_status import to_status
from roost.v1 import (
    admin_service_pb2,
    backup_service_pb2,
    event_service_pb2,
    maintenance_service_pb2,
    message_service_pb2,
    operation_service_pb2,
    session_service_pb2,
    vault_service_pb2,
)

FILES = (
    admin_service_pb2,
    backup_service_pb2,
    event_service_pb2,
    maintenance_service_pb2,
    message_service_pb2,
    operation_service_pb2,
    session_service_pb2,
    vault_service_pb2,
)
METHODS = {
    f"{service.name}.{method.name}": method
    for file in FILES
    for service in file.DESCRIPTOR.services_by_name.values()
    for method in service.methods
}


def rich(
    code: grpc.StatusCode,
    reason: str,
    message: str = "",
    *,
    metadata: dict[str, str] | None = None,
    violations: dict[str, str] | None = None,
    retry: timedelta | None = None,
    request_id: str = "",
) -> Status:
    """A status as the server sends it."""
    details: list[Message] = [ErrorInfo(reason=reason, domain="roost.v1", metadata=metadata)]
    if violations:
        bad = BadRequest()
        for path, problem in violations.items():
            bad.field_violations.add(field=path, description=problem)
        details.append(bad)
    if retry:
        info = RetryInfo()
        info.retry_delay.FromTimedelta(retry)
        details.append(info)
    if request_id:
        details.append(RequestInfo(request_id=request_id))
    status = Status(code=code.value[0], message=message)
    for detail in details:
        packed = Any()
        packed.Pack(detail)
        status.details.append(packed)
    return status


Step = Message | Status | grpc.StatusCode


@dataclass
class Scripted(grpc.GenericRpcHandler):
    """Each call of a method takes the method's next answer; the last answer stays.

    An answer is a sequence of steps: messages to send; a Status or a bare code ends the call with
    that error. A stream whose steps are used up ends OK; the last one hangs when `hang` names it.
    """

    answers: dict[str, deque[Sequence[Step]]] = field(default_factory=lambda: defaultdict(deque))
    calls: list[tuple[str, Message]] = field(default_factory=list)
    uploads: dict[str, list[Message]] = field(default_factory=dict)
    keys: list[str] = field(default_factory=list)
    hang: set[str] = field(default_factory=set)
    address: str = ""

    def answer(self, method: str, *steps: Step) -> None:
        """Adds an answer."""
        assert method in METHODS, method
        self.answers[method].append(steps)

    def requests(self, method: str) -> list[Message]:
        """What was asked, in order."""
        return [request for called, request in self.calls if called == method]

    def service(  # noqa: C901
        self, handler_call_details: grpc.HandlerCallDetails
    ):
        """Makes a handler for any method of roost.v1."""
        service, name = handler_call_details.method.rsplit(".", 1)[1].split("/")
        method = f"{service}.{name}"
        descriptor = METHODS[method]
        self.keys.append(dict(handler_call_details.invocation_metadata).get("authorization", ""))
        parse = message_factory.GetMessageClass(descriptor.input_type).FromString
        serialize = message_factory.GetMessageClass(descriptor.output_type).SerializeToString

        async def steps(request, context):
            self.calls.append((method, request))
            waiting = self.answers[method]
            is_last = len(waiting) == 1
            answer = waiting[0] if is_last else waiting.popleft()
            for step in answer:
                if isinstance(step, Status):
                    await context.abort_with_status(to_status(step))
                elif isinstance(step, grpc.StatusCode):
                    await context.abort(step, "scripted")
                else:
                    yield step
            if is_last and method in self.hang:
                await asyncio.Event().wait()

        async def first(request, context):
            async for step in steps(request, context):
                return step
            raise AssertionError(method)

        async def after_all(requests, context):
            received = [request async for request in requests]
            self.uploads[method] = received
            return await first(received[0], context)

        if descriptor.client_streaming:
            return grpc.stream_unary_rpc_method_handler(after_all, parse, serialize)
        if descriptor.server_streaming:
            return grpc.unary_stream_rpc_method_handler(steps, parse, serialize)
        return grpc.unary_unary_rpc_method_handler(first, parse, serialize)


@asynccontextmanager
async def serving(script: Scripted) -> AsyncIterator[Scripted]:
    """Serves `script` on loopback in this loop."""
    server = grpc.aio.server()
    server.add_generic_rpc_handlers((script,))
    script.address = f"127.0.0.1:{server.add_insecure_port('127.0.0.1:0')}"
    await server.start()
    try:
        yield script
    finally:
        await server.stop(0)
