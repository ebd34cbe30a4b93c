"""The Signal state of every account's phone, kept across restarts."""

import msgspec

from .accounts import Account
from .signal.contact import Contact
from .store import Store


class Contacts:
    """Makes, remembers and keeps the crypto of phones; most accounts never need theirs."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._known: dict[str, Contact] = {}

    def of(self, account: Account) -> Contact:
        """The crypto of an account's phone. Call `save` after whatever changes it."""
        contact = self._known.get(account.phone)
        if contact is None:
            state = self._store.contact(account.phone)
            if state is None:
                contact = Contact.create(identity=account.identity)
            else:
                contact = Contact.from_dict(msgspec.json.decode(state))
            self._known[account.phone] = contact
        return contact

    def save(self, account: Account) -> None:
        """Keep what an operation has changed, before its result leaves the process."""
        if self._store.persistent:
            state = msgspec.json.encode(self._known[account.phone].to_dict())
            self._store.save_contact(account.phone, state)
