"""The proxy, TLS and the handshake, without the engine."""

import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from urllib.parse import urlsplit

import aiohttp
import pytest

from simulator import Simulator

_CHAT = "https://web.whatsapp.com/ws/chat"


@asynccontextmanager
async def chat(simulator: Simulator) -> AsyncIterator[aiohttp.ClientWebSocketResponse]:
    trust = ssl.create_default_context(cafile=simulator.ca_file)
    async with (
        aiohttp.ClientSession() as session,
        session.ws_connect(_CHAT, proxy=simulator.proxy_url, ssl=trust) as socket,
    ):
        yield socket


@pytest.mark.parametrize(
    "url",
    ["https://example.org/", "https://web.whatsapp.com.evil.org/", "https://web.whatsapp.com:80/"],
)
async def test_a_foreign_host_is_refused_and_remembered(url: str):
    with Simulator.start() as simulator:
        async with aiohttp.ClientSession() as session:
            with pytest.raises(aiohttp.ClientHttpProxyError) as refused:
                await session.get(url, proxy=simulator.proxy_url)
        assert refused.value.status == 403
        host = urlsplit(url)
        assert simulator.refused_hosts() == [f"{host.hostname}:{host.port or 443}"]


async def test_a_plain_request_through_the_proxy_is_refused():
    with Simulator.start() as simulator:
        async with (
            aiohttp.ClientSession() as session,
            session.get("http://example.org/", proxy=simulator.proxy_url) as answer,
        ):
            assert answer.status == 405
        assert simulator.refused_hosts() == ["http://example.org/"]


async def test_a_client_that_does_not_trust_the_authority_leaves(simulator: Simulator):
    async with aiohttp.ClientSession() as session:
        with pytest.raises(aiohttp.ClientConnectorCertificateError):
            await session.get(_CHAT, proxy=simulator.proxy_url)


@pytest.mark.parametrize("first", [b"GET / HTTP/1.1", b"WA\x06\x03\x00\x00\x02hi"])
async def test_something_else_than_a_handshake_ends_the_connection(
    simulator: Simulator, first: bytes
):
    async with chat(simulator) as socket:
        await socket.send_bytes(first)
        assert (await socket.receive(timeout=5)).type is aiohttp.WSMsgType.CLOSE
    assert simulator.connections() == []


async def test_a_silent_handshake(simulator: Simulator):
    simulator.fault(None, "handshake_silence")
    async with chat(simulator) as socket:
        await socket.send_bytes(b"WA\x06\x03\x00\x00\x02hi")
        with pytest.raises(TimeoutError):
            await socket.receive(timeout=0.3)


async def test_a_handshake_that_is_cut_off(simulator: Simulator):
    simulator.fault(None, "handshake_reset")
    async with chat(simulator) as socket:
        message = await socket.receive(timeout=5)
        assert message.type in (aiohttp.WSMsgType.CLOSED, aiohttp.WSMsgType.ERROR)
