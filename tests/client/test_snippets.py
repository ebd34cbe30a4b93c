"""The Python in the READMEs runs as it stands."""

import re
from pathlib import Path

import grpc
import pytest
from roost.v1 import message_service_pb2, session_service_pb2
from roost.v1.event_service_pb2 import SubscribeEventsResponse
from roost.v1.session_pb2 import Session
from roost_client import FileCursor, RoostError

from tests.support.scripted import rich

ROOT = Path(__file__).parents[2]
BLOCK = re.compile(r"^```python\n(.*?)^```", re.MULTILINE | re.DOTALL)
END = rich(grpc.StatusCode.INTERNAL, "INTERNAL", "the test is over")


def blocks(path):
    found = BLOCK.findall((ROOT / path).read_text())
    assert found
    return found


def prepared(script):
    """Everything goes well, until the event stream ends the snippet."""
    response = session_service_pb2.PairSessionResponse
    account = {"jid": "15550001111@s.whatsapp.net"}
    active = Session(name="sessions/shop", state=Session.STATE_ACTIVE)
    update = SubscribeEventsResponse(cursor="c", snapshot=active)
    message = SubscribeEventsResponse(cursor="d", events=[{"session": "sessions/shop"}])
    script.answer("SessionService.CreateSession", session_service_pb2.CreateSessionResponse())
    script.answer(
        "SessionService.PairSession",
        response(qr_code={"payload": "a-qr-code"}),
        response(completed={"account": account}),
    )
    script.answer("MessageService.SendMessage", message_service_pb2.SendMessageResponse())
    script.answer("EventService.SubscribeEvents", update, message, END)
    return script


@pytest.mark.parametrize("path", ["README.md", "clients/README.md"])
def test_the_first_snippet_runs(path, apart, monkeypatch, tmp_path, capsys):
    """With a server that is found without any configuration."""
    monkeypatch.setenv("ROOST_DATA_DIR", str(tmp_path))
    monkeypatch.setenv("ROOST_ADDRESS", prepared(apart).address)
    snippet = compile(blocks(path)[0], path, "exec")
    if "subscribe" in snippet.co_names:
        with pytest.raises(RoostError, match="the test is over"):
            exec(snippet, {})
    else:
        exec(snippet, {})
    (sent,) = apart.requests("MessageService.SendMessage")
    assert sent.text.body == "hello"
    if "pair" in snippet.co_names:
        assert capsys.readouterr().out.startswith("a-qr-code\n15550001111@s.whatsapp.net\n")


async def test_the_asyncio_snippet_runs(script, monkeypatch, tmp_path):
    """In a coroutine, with the names it takes from its surroundings."""
    monkeypatch.chdir(tmp_path)
    handled = []

    async def handle(events):
        handled.extend(events)

    text = blocks("clients/README.md")[1]
    lines = text.replace("roost.example:443", prepared(script).address).splitlines()
    body = "\n".join(f"    {line}" for line in lines)
    names = {"FileCursor": FileCursor, "key": "k", "handle": handle}
    exec(f"async def snippet():\n{body}", names)
    with pytest.raises(RoostError, match="the test is over"):
        await names["snippet"]()
    assert [event.session for event in handled] == ["sessions/shop"]
    assert FileCursor("shop.cursor").load() == "d"
