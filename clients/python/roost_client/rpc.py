"""Calls: one channel, the key on every call, deadlines, retries, and errors as RoostError."""

import asyncio
import time
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from datetime import timedelta
from importlib import metadata
from typing import TypeVar

import grpc
from google.protobuf.message import Message

from .backoff import Backoff
from .discovery import Target
from .errors import from_rpc_error, silent

Response = TypeVar("Response", bound=Message)

OPTIONS = (
    ("grpc.primary_user_agent", f"roost-python/{metadata.version('roost')}"),
    ("grpc.keepalive_time_ms", 30_000),
    ("grpc.keepalive_timeout_ms", 10_000),
    ("grpc.initial_reconnect_backoff_ms", 200),
    ("grpc.min_reconnect_backoff_ms", 200),
    ("grpc.max_reconnect_backoff_ms", 5_000),
    ("grpc.enable_retries", 0),  # retried here, where the reason is known
)


class Rpc:
    """The connection to one server. Belongs to the event loop that first uses it."""

    def __init__(self, target: Target, *, timeout: timedelta, patience: timedelta) -> None:
        """Opens nothing yet.

        Args:
            target: The server.
            timeout: Deadline of one attempt of a call.
            patience: How long a call is repeated while the server is unavailable.
        """
        self.target = target
        self._timeout = timeout
        self._patience = patience
        self._metadata = (("authorization", f"Bearer {target.key}"),) if target.key else ()
        self._channel: grpc.aio.Channel | None = None

    async def unary(
        self,
        method: str,
        request: Message,
        response: type[Response],
        *,
        timeout: timedelta | None = None,  # noqa: ASYNC109  (gRPC tells the server its deadline)
    ) -> Response:
        """Calls `Service.Method`; raises RoostError.

        Repeats the call while the server is unavailable, so `request` must be safe to repeat.
        """
        call = self._open().unary_unary(
            _path(method),
            request_serializer=_serialize,
            response_deserializer=_parser(response),
        )
        backoff, give_up = Backoff(), time.monotonic() + self._patience.total_seconds()
        while True:
            try:
                return await call(
                    request,
                    timeout=(timeout or self._timeout).total_seconds(),
                    metadata=self._metadata,
                )
            except grpc.aio.AioRpcError as failure:
                error = from_rpc_error(failure)
                pause = backoff.pause(error.retry_delay)
                if not error.is_transient or time.monotonic() + pause > give_up:
                    raise error from failure
                await asyncio.sleep(pause)

    async def stream(
        self,
        method: str,
        request: Message,
        response: type[Response],
        *,
        silence: timedelta | None = None,
    ) -> AsyncGenerator[Response, None]:
        """Calls a server-streaming `Service.Method`; raises RoostError.

        With `silence` the stream fails as unavailable when nothing comes for that long.
        """
        limit = silence.total_seconds() if silence else None
        call = self._open().unary_stream(
            _path(method),
            request_serializer=_serialize,
            response_deserializer=_parser(response),
        )(request, metadata=self._metadata)
        try:
            while True:
                async with asyncio.timeout(limit):
                    item = await call.read()
                if not isinstance(item, response):  # grpc.aio.EOF
                    return
                yield item
        except grpc.aio.AioRpcError as failure:
            raise from_rpc_error(failure) from failure
        except TimeoutError as failure:
            raise silent(silence or timedelta()) from failure
        finally:
            call.cancel()

    async def upload(
        self, method: str, requests: AsyncIterator[Message], response: type[Response]
    ) -> Response:
        """Calls a client-streaming `Service.Method` once; raises RoostError."""
        call = self._open().stream_unary(
            _path(method),
            request_serializer=_serialize,
            response_deserializer=_parser(response),
        )(requests, metadata=self._metadata)
        try:
            return await call
        except grpc.aio.AioRpcError as failure:
            raise from_rpc_error(failure) from failure
        finally:
            call.cancel()

    async def close(self) -> None:
        """Ends all calls."""
        channel, self._channel = self._channel, None
        if channel:
            await channel.close()

    def _open(self) -> grpc.aio.Channel:
        if self._channel is None:
            target = self.target
            options = (*OPTIONS, ("grpc.enable_http_proxy", int(not target.is_local)))
            if target.secure:
                credentials = grpc.ssl_channel_credentials(root_certificates=target.ca)
                self._channel = grpc.aio.secure_channel(target.address, credentials, options)
            else:
                self._channel = grpc.aio.insecure_channel(target.address, options)
        return self._channel


def _path(method: str) -> str:
    service, name = method.split(".")
    return f"/roost.v1.{service}/{name}"


def _serialize(message: Message) -> bytes:
    return message.SerializeToString()


def _parser(response: type[Response]) -> Callable[[bytes], Response]:
    def parse(data: bytes) -> Response:
        return response.FromString(data)

    return parse
