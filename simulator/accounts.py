"""WhatsApp accounts, their phones and their linked devices."""

import secrets
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace

import msgspec

from .errors import AccountExists
from .signal.keys import KeyPair, PreKeyBundle
from .store import Store
from .wire.jid import LID_SERVER, PN_SERVER, Jid

_LID_DIGITS = 15


@dataclass(slots=True)
class Device:
    """A linked companion device."""

    phone: str
    number: int
    noise_public: bytes
    bundle: PreKeyBundle
    """Its keys as it uploaded them, without a one-time key."""
    key_index: int
    linked_at: int
    """Unix seconds."""

    @property
    def key(self) -> tuple[str, int]:
        """What tells it from every other device."""
        return self.phone, self.number


@dataclass(slots=True)
class Account:
    """A phone number with its phone, which is its device 0."""

    phone: str
    lid: str
    name: str
    identity: KeyPair
    """Of the phone; signs its linked devices."""
    next_device: int = 1
    devices: dict[int, Device] = field(default_factory=dict)

    @property
    def jid(self) -> Jid:
        """Its address by phone number."""
        return Jid(self.phone, PN_SERVER)

    @property
    def lid_jid(self) -> Jid:
        """Its hidden address."""
        return Jid(self.lid, LID_SERVER)


class Accounts:
    """Every account there is; changes are in the store on return."""

    def __init__(self, store: Store) -> None:
        self.on_devices_changed: Callable[[Account, Device], None] = lambda _account, _device: None
        self._store = store
        self._by_phone: dict[str, Account] = {}
        self._by_lid: dict[str, Account] = {}
        for state in store.accounts():
            self._add(msgspec.json.decode(state, type=Account))
        for state in store.devices():
            device = msgspec.json.decode(state, type=Device)
            self._by_phone[device.phone].devices[device.number] = device

    def __iter__(self) -> Iterator[Account]:
        return iter(self._by_phone.values())

    def create(self, phone: str, name: str) -> Account:
        """Open an account.

        Raises:
            AccountExists: the number has one.
        """
        if phone in self._by_phone:
            raise AccountExists
        lid = "1" + "".join(secrets.choice("0123456789") for _ in range(_LID_DIGITS - 1))
        account = Account(phone, lid, name, KeyPair.generate())
        self._add(account)
        self._save(account)
        return account

    def find(self, jid: Jid | None) -> Account | None:
        """The account of an address, by number or hidden."""
        if jid is None:
            return None
        by = self._by_lid if jid.server == LID_SERVER else self._by_phone
        return by.get(jid.user)

    def by_phone(self, phone: str) -> Account | None:
        """The account of a number."""
        return self._by_phone.get(phone)

    def take_device_number(self, account: Account) -> int:
        """A number that no device of the account had or will have."""
        number, account.next_device = account.next_device, account.next_device + 1
        self._save(account)
        return number

    def add_device(self, device: Device) -> None:
        """Link a device."""
        account = self._by_phone[device.phone]
        account.devices[device.number] = device
        self.save_device(device)
        self.on_devices_changed(account, device)

    def save_device(self, device: Device) -> None:
        """Keep what has changed about a linked device."""
        self._store.save_device(device.phone, device.number, msgspec.json.encode(device))

    def remove_device(self, device: Device) -> None:
        """Unlink a device."""
        account = self._by_phone[device.phone]
        account.devices.pop(device.number, None)
        self._store.delete_device(device.phone, device.number)
        self.on_devices_changed(account, device)

    def _add(self, account: Account) -> None:
        self._by_phone[account.phone] = account
        self._by_lid[account.lid] = account

    def _save(self, account: Account) -> None:
        state = msgspec.json.encode(replace(account, devices={}))
        self._store.save_account(account.phone, state)
