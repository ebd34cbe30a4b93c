"""The one interceptor: key, call context and errors, for every kind of handler.

Facts about grpc.aio (1.85) that shape it:

* A streaming handler is either an async generator or a coroutine that calls `context.write` (the
  standard health service's Watch). Both are turned into the coroutine form here: a client that
  leaves then cancels our own frame, and the generator is closed before the call ends. Handed to
  grpc.aio, an abandoned generator is closed by the garbage collector, at some later time.
* `AbortError` is no failure but the way an abort ends the handler; `CancelledError` means that the
  client left or that the server stops. Both pass.
"""

from __future__ import annotations

import inspect
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any, NamedTuple, TypeAlias

import grpc
import structlog
from google.protobuf.message import DecodeError

from server.core.calls import CURRENT_CALL, Call
from server.core.errors import DomainError, FieldInvalid, ServerDraining, TokenInvalid

from .auth import AdminKey, is_open
from .errors import WireStatus, spec_of, status_of
from .streams import closing

Handler: TypeAlias = "grpc.RpcMethodHandler[Any, Any]"  # generic for mypy only
Context: TypeAlias = "grpc.aio.ServicerContext[Any, Any]"

log = structlog.get_logger(__name__)
_LOUD = {grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DATA_LOSS, grpc.StatusCode.INTERNAL}


class _Undecodable:
    """Stands for a request that is not the message it should be."""


_UNDECODABLE = _Undecodable()


class _Wrapped(NamedTuple):
    served: Handler
    refused: Handler
    late: Handler


class CallInterceptor(grpc.aio.ServerInterceptor):
    """Wraps every handler once and keeps the result: nothing is built per call but its context."""

    def __init__(self, key: AdminKey, *, log_calls: bool = False) -> None:
        self._key = key
        self._log_calls = log_calls
        self._is_draining = False
        self._wrapped: dict[str, _Wrapped] = {}

    def drain(self) -> None:
        """From now on every call but health checks is told to come back later."""
        self._is_draining = True

    async def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], Awaitable[Handler | None]],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> Handler | None:
        """As `grpc.aio.ServerInterceptor`; None for a method that nobody serves."""
        method = handler_call_details.method
        if method not in self._wrapped:
            handler = await continuation(handler_call_details)
            if handler is None:
                return None
            self._wrapped[method] = _Wrapped(
                served=self._wrap(method, handler, _behaviour(handler)),
                refused=self._wrap(method, handler, _refuse),
                late=self._wrap(method, handler, _come_back),
            )
        wrapped = self._wrapped[method]
        if not self._key.opens(method, handler_call_details.invocation_metadata):
            return wrapped.refused
        if self._is_draining and not is_open(method):
            return wrapped.late
        return wrapped.served

    def _wrap(self, method: str, handler: Handler, behaviour: Callable[..., Any]) -> Handler:
        guarded = self._guard(method.strip("/"), behaviour)
        make: Callable[..., Handler] = {
            (False, False): grpc.unary_unary_rpc_method_handler,
            (False, True): grpc.unary_stream_rpc_method_handler,
            (True, False): grpc.stream_unary_rpc_method_handler,
            (True, True): grpc.stream_stream_rpc_method_handler,
        }[handler.request_streaming, handler.response_streaming]
        return make(guarded, _lenient(handler.request_deserializer), handler.response_serializer)

    def _guard(self, rpc: str, behaviour: Callable[..., Any]) -> Callable[..., Awaitable[Any]]:
        run = _written(behaviour) if inspect.isasyncgenfunction(behaviour) else behaviour

        async def guarded(request: Any, context: Context) -> Any:
            call = Call(rpc, context.invocation_metadata())
            CURRENT_CALL.set(call)  # the task is this call's own: nothing to reset
            try:
                response = await (_reject if request is _UNDECODABLE else run)(request, context)
            except grpc.aio.AbortError:
                raise
            except Exception as error:  # noqa: BLE001  (the edge: everything becomes a status)
                _report(error)
                await context.abort_with_status(WireStatus(status_of(error, call.request_id)))
            else:
                if self._log_calls:
                    log.debug("call.done")
                return response
            finally:
                call.is_over = True

        return guarded


def _behaviour(handler: Handler) -> Callable[..., Any]:
    found: Callable[..., Any] | None = (
        handler.unary_unary or handler.unary_stream or handler.stream_unary or handler.stream_stream
    )
    assert found is not None
    return found


def _written(generator: Callable[..., AsyncIterator[Any]]) -> Callable[..., Awaitable[None]]:
    async def write_all(request: Any, context: Context) -> None:
        async with closing(generator(request, context)) as responses:
            async for response in responses:
                await context.write(response)

    return write_all


async def _refuse(_request: Any, _context: Context) -> None:
    raise TokenInvalid


async def _come_back(_request: Any, _context: Context) -> None:
    raise ServerDraining


async def _reject(_request: Any, _context: Context) -> None:
    raise FieldInvalid(field="", problem="not a valid message of this type")


def _lenient(decode: Callable[[bytes], Any] | None) -> Callable[[bytes], Any] | None:
    if decode is None:
        return None

    def decode_or_mark(data: bytes) -> Any:
        try:
            return decode(data)
        except DecodeError:  # grpc would answer INTERNAL, as if it were our fault
            return _UNDECODABLE

    return decode_or_mark


def _report(error: Exception) -> None:
    """Logs an error where it is handled, once."""
    spec = spec_of(type(error))
    if not isinstance(error, DomainError) or spec is None:
        log.error("call.failed", exc_info=error)
    elif spec.code in _LOUD:
        log.warning("call.unavailable", reason=error.reason, **error.metadata())
    else:
        log.debug("call.refused", reason=error.reason)
