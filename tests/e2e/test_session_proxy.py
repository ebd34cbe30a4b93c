"""A session with a proxy of its own uses that and nothing else."""

import asyncio

from tests.support.api import State
from tests.support.tunnel import Tunnel


async def test_a_session_goes_through_its_own_proxy(sim, api, new_phone, new_contact):
    """Pairing and a text travel through it; another session does not; the URL reads back masked."""
    phone, other, bob = new_phone(), new_phone(), new_contact()
    with Tunnel.to(sim.proxy_url) as tunnel:
        own = tunnel.url.replace("://", "://user:hidden-word@")
        session = await api.create("proxied", proxy_url=own)
        assert "hidden-word" not in session.proxy_url
        assert "***" in session.proxy_url
        await api.pair_by_qr(session.name, phone.scan)
        await api.wait_for_state(session.name, State.STATE_ACTIVE)
        used = tunnel.connections
        assert used > 0
        await api.send(session.name, f"+{bob.phone}", "through the tunnel")
        (message,) = await asyncio.to_thread(bob.inbox, 1)
        assert message.text == "through the tunnel"

        direct = await api.create("direct")
        await api.pair_by_qr(direct.name, other.scan)
        await api.wait_for_state(direct.name, State.STATE_ACTIVE)
        assert tunnel.connections == used
        await api.stop(session.name)
        await api.wait_for_state(session.name, State.STATE_STOPPED)
