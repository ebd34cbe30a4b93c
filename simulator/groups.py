"""Groups: who is in them, and what clients are told about them.

Source: https://github.com/tulir/whatsmeow/blob/main/group.go
"""

import secrets
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import msgspec

from .accounts import Account, Accounts
from .errors import GroupNotFound
from .store import Store
from .wire.jid import GROUP_SERVER, Jid
from .wire.nodes import Node, Value

_ID_PREFIX = "120363"
_ID_DIGITS = 12
MODES = ("lid", "pn")
"""How members of a group are addressed: by hidden address as in all new groups, or by number."""


@dataclass(frozen=True, slots=True)
class Group:
    """A group. Its members stay the same."""

    id: str
    name: str
    members: tuple[str, ...]
    """Phone numbers; the first has created it."""
    mode: str
    created_at: int
    """Unix seconds."""

    @property
    def jid(self) -> Jid:
        """Its address."""
        return Jid(self.id, GROUP_SERVER)

    def address(self, account: Account) -> Jid:
        """How a member is called in this group."""
        return account.lid_jid if self.mode == "lid" else account.jid

    def participant(self, account: Account, number: int) -> dict[str, Value]:
        """The attributes that name a member's device in what comes from the group."""
        attrs: dict[str, Value] = {
            "from": self.jid,
            "participant": self.address(account).on(number),
            "addressing_mode": self.mode,
        }
        if self.mode == "lid":
            return {**attrs, "participant_pn": account.jid}
        return {**attrs, "participant_lid": account.lid_jid}


class Groups:
    """Every group there is; changes are in the store on return."""

    def __init__(self, store: Store, accounts: Accounts) -> None:
        self._store = store
        self._accounts = accounts
        known = (msgspec.json.decode(state, type=Group) for state in store.groups())
        self._by_id = {group.id: group for group in known}

    def __iter__(self) -> Iterator[Group]:
        return iter(self._by_id.values())

    def create(self, name: str, members: Sequence[Account], mode: str) -> Group:
        """Found a group; the first member is who did it."""
        number = "".join(secrets.choice("0123456789") for _ in range(_ID_DIGITS))
        phones = tuple(dict.fromkeys(member.phone for member in members))
        group = Group(_ID_PREFIX + number, name, phones, mode, int(time.time()))
        self._by_id[group.id] = group
        self._store.save_group(group.id, msgspec.json.encode(group))
        return group

    def find(self, jid: Jid | None) -> Group | None:
        """The group of an address."""
        if jid is None or jid.server != GROUP_SERVER:
            return None
        return self._by_id.get(jid.user)

    def of_member(self, jid: Jid, account: Account) -> Group:
        """The group of an address.

        Raises:
            GroupNotFound: there is none, or the account is not in it.
        """
        group = self.find(jid)
        if group is None or account.phone not in group.members:
            raise GroupNotFound
        return group

    def members(self, group: Group) -> list[Account]:
        """Who is in a group."""
        found = (self._accounts.by_phone(phone) for phone in group.members)
        return [account for account in found if account is not None]

    def describe(self, group: Group) -> Node:
        """A group as clients are told of it."""
        members = self.members(group)
        created = str(group.created_at)
        creator = group.address(members[0])
        attrs: dict[str, Value] = {
            "id": group.id,
            "addressing_mode": group.mode,
            "subject": group.name,
            "s_t": created,
            "s_o": creator,
            "creation": created,
            "creator": creator,
            "size": str(len(members)),
            "a_v_id": group.id,
            "p_v_id": group.id,
        }
        if group.mode == "lid":
            attrs |= {"s_o_pn": members[0].jid, "creator_pn": members[0].jid}
        listed = [_participant(group, member) for member in members]
        add_mode = Node("member_add_mode", {}, b"all_member_add")
        return Node("group", attrs, [*listed, add_mode])

    def announcement(self, group: Group) -> Node:
        """What the devices of members get when a group is founded."""
        attrs: dict[str, Value] = {
            **group.participant(self.members(group)[0], 0),
            "type": "w:gp2",
            "id": secrets.token_hex(8),
            "t": str(group.created_at),
        }
        create = Node("create", {"type": "new"}, [self.describe(group)])
        return Node("notification", attrs, [create])


def _participant(group: Group, member: Account) -> Node:
    attrs: dict[str, Value] = {"jid": group.address(member)}
    if group.mode == "lid":
        attrs["phone_number"] = member.jid
    else:
        attrs["lid"] = member.lid_jid
    if member.phone == group.members[0]:
        attrs["type"] = "superadmin"
    return Node("participant", attrs)
