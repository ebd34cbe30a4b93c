"""The demo itself: the main job, step by step."""

import asyncio
import sys
from contextlib import AsyncExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

from roost.v1.session_pb2 import Session
from roost_client import AsyncClient, RoostError

from simulator import Phone, Simulator, SimulatorError

from ..exits import FAILED, OK
from ..qr import drawn
from ..render import plan_text, size
from .stage import Stage
from .watcher import Watcher
from .world import Server, ServerFailed

SESSION = "demo"
WAIT_SECONDS = 30.0
NEXT = """
Now with a real phone. In one terminal:

    ./roost serve

In another, then scan the code in WhatsApp > Settings > Linked devices > Link a device:

    ./roost pair shop --create
    ./roost send shop +15551234567 "hello"      (a number of your own)
    ./roost events

Everything else: ./roost --help, docs/getting-started.md"""


def main(arguments: list[str]) -> int:
    """Plays the demo; returns the exit code."""
    stage = Stage(as_json="--json" in arguments)
    try:
        asyncio.run(play(stage))
    except (RoostError, ServerFailed, SimulatorError, TimeoutError) as error:
        print(f"\nThe demo failed: {str(error) or type(error).__name__}", file=sys.stderr)
        return FAILED
    stage.close()
    if "--json" not in arguments:
        print(NEXT)
    return OK


async def play(stage: Stage) -> None:
    """From nothing to restored."""
    async with AsyncExitStack() as stack:
        folder = Path(stack.enter_context(TemporaryDirectory(prefix="roost-demo-")))
        with stage.step("Start a WhatsApp simulator and a server, both on loopback"):
            simulator = stack.enter_context(await asyncio.to_thread(Simulator.start))
            server = Server(folder, simulator.environment())
            stack.push_async_callback(server.stop)
            await server.start()
            key = (server.data_dir / "admin.key").read_text().strip()
            roost = await stack.enter_async_context(AsyncClient(server.address, key))
            info = await roost.admin.info()
            stage.tell(f"roost {info.server_version} with {info.engine_version}")
        watcher = await stack.enter_async_context(Watcher(roost, stage.tell))
        scene = Scene(
            stage=stage,
            server=server,
            roost=roost,
            watcher=watcher,
            ann=await asyncio.to_thread(simulator.create_account, "15550001111", "Ann"),
            bob=await asyncio.to_thread(simulator.create_contact, "15550002222", "Bob"),
        )
        await scene.link()
        await scene.talk("before", nth=1)
        backup = await scene.back_up()
        await scene.lose_the_disk(folder / "lost")
        await scene.restore(backup)
        await scene.talk("after", nth=2)


@dataclass(frozen=True, slots=True, kw_only=True)
class Scene:
    """Who plays."""

    stage: Stage
    server: Server
    roost: AsyncClient
    watcher: Watcher
    ann: Phone
    bob: Phone

    async def link(self) -> None:
        """Create, show the QR code, scan it."""
        with self.stage.step(f"Create the session {SESSION!r}"):
            await self.roost.sessions.create(SESSION, display_name="Demo")
        with self.stage.step("Link it to Ann's phone by QR code"):
            async for step in self.roost.sessions.pair(SESSION):
                match step.WhichOneof("step"):
                    case "qr_code" if step.qr_code.attempt == 1:
                        self.stage.draw(drawn(step.qr_code.payload))
                        self.stage.tell("Ann's phone scans the code")
                        await asyncio.to_thread(self.ann.scan, step.qr_code.payload)
                    case "completed":
                        account = step.completed.account
                        self.stage.tell(f"linked to {account.push_name or 'Ann'}, {account.jid}")
            await self.watcher.state(Session.STATE_ACTIVE)

    async def talk(self, when: str, *, nth: int) -> None:
        """A text each way."""
        to_us, to_bob = f"hello from Bob, {when} the loss", f"hello Bob, {when} the loss"
        with self.stage.step("A text from Bob, and one back"):
            await asyncio.to_thread(self.bob.send_text, self.ann, to_us)
            await self.watcher.text(to_us)
            await self.roost.messages.send_text(SESSION, f"+{self.bob.phone}", to_bob)
            inbox = partial(self.bob.inbox, nth, timeout=WAIT_SECONDS)
            self.stage.tell(f"Bob reads: {(await asyncio.to_thread(inbox))[-1].text}")

    async def back_up(self) -> str:
        """While it is running."""
        with self.stage.step("Back its credentials up while it is connected"):
            started = await self.roost.backups.create(SESSION)
            done = await self.roost.operations.wait(started)
            self.stage.tell(f"{done.backup.name}: {size(done.backup.size_bytes)}, sealed, verified")
        return done.backup.name

    async def lose_the_disk(self, lost: Path) -> None:
        """The server ends, its store is gone, it starts again."""
        with self.stage.step("Lose the disk: the server ends, the session's store is gone"):
            await self.server.stop()
            (self.server.data_dir / "sessions" / SESSION).rename(lost)
            await self.server.start()
            await self.watcher.state(Session.STATE_FAILED)

    async def restore(self, backup: str) -> None:
        """Plan, restore, connect."""
        with self.stage.step("Restore the backup and connect, without linking again"):
            await self.roost.sessions.stop(SESSION)
            plan = await self.roost.backups.plan_restore(backup)
            for line in plan_text(plan).splitlines():
                self.stage.tell(line)
            force = plan.replaces_credentials
            started = await self.roost.backups.restore(backup, force=force)
            await self.roost.operations.wait(started)
            await self.roost.sessions.start(SESSION)
            await self.watcher.state(Session.STATE_ACTIVE)
