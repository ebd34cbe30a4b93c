"""The simulator from a test's side: its process, and its accounts and their phones.

Every call blocks until it is done; from asyncio use `asyncio.to_thread`. Handles are thread-safe.
"""

import json
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self
from urllib.parse import urlsplit

from .client_api import Api
from .client_phone import Group, Phone
from .errors import NotRunning

_STOP_SECONDS = 10.0


class Simulator:
    """A running simulator. Use as a context manager, or call `stop`."""

    def __init__(self, process: "subprocess.Popen[str]", state_dir: Path | None) -> None:
        """Take over a process that was just started; use `start`."""
        self._state_dir = state_dir
        self._adopt(process)

    def _adopt(self, process: "subprocess.Popen[str]") -> None:
        line = process.stdout.readline() if process.stdout else ""
        if not line:
            process.wait()
            raise NotRunning
        addresses: dict[str, str] = json.loads(line)
        self._process = process
        self.pid = process.pid
        self.proxy_url = addresses["proxy_url"]
        """The HTTP CONNECT proxy, which is how clients get in."""
        self.ca_file = addresses["ca_file"]
        """The certificate authority that clients must trust, as a PEM file."""
        self.root_key_hex = addresses["root_key"]
        """The root of Noise certificates that clients must trust."""
        self.control_url = addresses["control_url"]
        self.api = Api(self.control_url)
        """The control API, for what has no method here."""

    @classmethod
    def start(
        cls, state_dir: Path | str | None = None, *, port: int = 0, control_port: int = 0
    ) -> Self:
        """Start a simulator process; it ends with this one at the latest.

        Args:
            state_dir: Where it keeps accounts, devices, keys and queues across its restarts;
                without it they are gone when it ends.
            port: Of the proxy; 0 takes a free one.
            control_port: Of the control API; 0 takes a free one.

        Raises:
            NotRunning: it did not come up; it says why on standard error.
        """
        folder = Path(state_dir) if state_dir is not None else None
        return cls(cls._launch(folder, port, control_port), folder)

    @staticmethod
    def _launch(folder: Path | None, port: int, control_port: int) -> "subprocess.Popen[str]":
        command = [sys.executable, "-m", "simulator", "serve", "--until-eof"]
        command += ["--port", str(port), "--control-port", str(control_port)]
        command += ["--state-dir", str(folder)] if folder else []
        return subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=Path(__file__).parent.parent,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

    def environment(self) -> dict[str, str]:
        """The settings that make a server use this simulator instead of WhatsApp."""
        return {
            "ROOST_SIMULATOR__PROXY_URL": self.proxy_url,
            "ROOST_SIMULATOR__CA_FILE": self.ca_file,
            "ROOST_SIMULATOR__ROOT_KEY": self.root_key_hex,
        }

    def stop(self) -> None:
        """End the process in order; nothing if it has ended."""
        self._end(self._process.terminate)

    def kill(self) -> None:
        """End the process as a crash does."""
        self._end(self._process.kill)

    def restart(self, *, crash: bool = False) -> None:
        """End the process and start it again at the same addresses, with the same state.

        Raises:
            ValueError: it keeps no state.
        """
        if self._state_dir is None:
            raise ValueError("only a simulator with a state_dir can be restarted")
        ports = [urlsplit(url).port or 0 for url in (self.proxy_url, self.control_url)]
        if crash:
            self.kill()
        else:
            self.stop()
        self._adopt(self._launch(self._state_dir, *ports))

    def create_account(self, phone: str, name: str = "") -> Phone:
        """Open a WhatsApp account; its phone can link devices, write and read."""
        return Phone(self.api, self.api.post("accounts", phone=phone, name=name))

    def create_contact(self, phone: str, name: str = "") -> Phone:
        """Somebody to write to: an account like any other, whose phone is in a test's hand."""
        return self.create_account(phone, name)

    def create_group(
        self, name: str, members: "Sequence[Phone | str]", *, addressing_mode: str = "lid"
    ) -> Group:
        """Make a group; its members' devices are told.

        Args:
            name: What it is called.
            members: Its accounts or their numbers; the first is who makes it.
            addressing_mode: Members are named by hidden address (`lid`), or by number (`pn`) as
                in groups that are older than hidden addresses.
        """
        phones = [member.phone if isinstance(member, Phone) else member for member in members]
        made = self.api.post("groups", name=name, members=phones, addressing_mode=addressing_mode)
        return Group(**{**made, "members": tuple(made["members"])})

    def account(self, phone: str) -> Phone:
        """The account of a number, for instance after a restart.

        Raises:
            AccountNotFound: there is none.
        """
        return Phone(self.api, self.api.get("accounts", phone))

    def fault(
        self,
        phone: "Phone | str | None",
        kind: str,
        *,
        times: int | None = 1,
        **args: str | float,
    ) -> int:
        """Make something go wrong; README.md lists the kinds.

        Args:
            phone: Whose connections; None for anybody's.
            kind: What.
            times: How often, if it waits for an occasion; None until `clear_faults`.
            args: Details of the kind.

        Returns:
            How many connections it struck at once.
        """
        number = phone.phone if isinstance(phone, Phone) else phone
        struck = self.api.post("faults", phone=number, kind=kind, times=times, args=args)["struck"]
        return int(struck)

    def clear_faults(self, phone: "Phone | str | None" = None) -> None:
        """Disarm what waits for an occasion, and end silences."""
        self.api.delete("faults", phone=phone.phone if isinstance(phone, Phone) else phone)

    def expire_qr(self, qr: str | None = None) -> int:
        """Let the client that shows this code run out of codes now; or each that waits."""
        return int(self.api.post("qr", "expire", qr=qr)["expired"])

    def set_qr_refs(self, count: int) -> None:
        """How many codes the next clients get: 6 last 160 s, one lasts 20 s."""
        self.api.post("qr", refs=count)

    def connections(self) -> list[dict[str, Any]]:
        """Every connection: id, stage, and whose it is once logged in."""
        found: list[dict[str, Any]] = self.api.get("connections")
        return found

    def unknown_stanzas(self) -> list[str]:
        """The shapes of stanzas that the simulator did not understand; assert none."""
        found: list[str] = self.api.get("unknown")
        return found

    def refused_hosts(self) -> list[str]:
        """What clients asked the proxy for that is not WhatsApp's; assert none."""
        found: list[str] = self.api.get("refused")
        return found

    def _end(self, how: Callable[[], None]) -> None:
        how()
        try:
            self._process.communicate(timeout=_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.communicate()
