"""A server reduced to its promise: write an event down, then acknowledge it. Waits to be killed."""

import asyncio
import os
import sys
from datetime import timedelta
from pathlib import Path

from server.engine.base import MessageReceived, RawEvent, ReceiptReceived, StartSpec
from server.engine.zygote_engine import EngineConfig, SimulatorConfig, ZygoteEngine


def last_recorded(record: Path) -> int:
    return max((int(line.split()[0]) for line in record.read_text().splitlines()), default=0)


async def main(data_dir: Path, record: Path) -> None:
    simulator = SimulatorConfig(
        proxy_url=os.environ["ROOST_SIMULATOR__PROXY_URL"],
        ca_file=Path(os.environ["ROOST_SIMULATOR__CA_FILE"]),
        root_key=bytes.fromhex(os.environ["ROOST_SIMULATOR__ROOT_KEY"]),
    )
    acked = last_recorded(record)
    folder = data_dir / "sessions" / "a"
    spec = StartSpec(
        session_id="a",
        store=folder / "1" / "store.db",
        spool_dir=folder / "spool",
        fresh=False,
        connect_epoch=2,
        spool_acked=acked,
        proxy_url="",
    )
    config = EngineConfig(
        data_dir=data_dir, simulator=simulator, drain_quiet=timedelta(milliseconds=50)
    )
    with record.open("a") as file:
        async with ZygoteEngine(config) as engine:
            session = await engine.start(spec)
            async for event in session.events():
                if not isinstance(event, MessageReceived | ReceiptReceived | RawEvent):
                    continue
                if event.spool > acked:
                    text = event.text if isinstance(event, MessageReceived) else "-"
                    file.write(f"{event.spool} {text}\n")
                    file.flush()
                    acked = event.spool
                await session.acknowledge(acked)


asyncio.run(main(Path(sys.argv[1]), Path(sys.argv[2])))
