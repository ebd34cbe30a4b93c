"""The device itself: the keys that WhatsApp and contacts know it by."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from server.backups.identity import Device, self_test
from server.core.errors import CredentialsInvalid

from .encodings import Unusable, as_bytes, as_int, as_object, as_private, as_public, as_sized

SIGNATURE_BYTES = 64
ID_LIMIT = 2**24
_JID = re.compile(r"(\d+)(?:\.\d+)?(?::(\d+))?@([a-z.]+)")
_SERVERS = frozenset({"s.whatsapp.net", "c.us", "hosted"})
NOT_PAIRED = "the device was never paired"
_KEYS = {"noiseKey": "noise key", "signedIdentityKey": "identity key"}


@dataclass(frozen=True, slots=True)
class Own:
    """The device row, and the addresses it goes by."""

    row: Mapping[str, object] = field(repr=False)
    jid: str
    user: str
    lid_user: str
    registration_id: int
    identity: bytes = field(repr=False)

    @property
    def phone_identity(self) -> bytes:
        """The public identity of the account's phone, which signed this device."""
        key = self.row["adv_account_sig_key"]
        assert isinstance(key, bytes)
        return key


def read_device(creds: Mapping[str, object], file: str, lid_user: str = "") -> Own:
    """The device of Baileys' credentials, proved whole by its signatures.

    Args:
        creds: `creds.json`.
        file: What to call it in errors.
        lid_user: The account's LID, where the credentials do not have it themselves.

    Raises:
        CredentialsInvalid: it is not paired, or its keys do not belong together.
    """
    try:
        me = as_object(creds.get("me"))
        account = as_object(creds.get("account"))
    except Unusable:
        raise CredentialsInvalid(problem=NOT_PAIRED, file=file) from None
    user, number, server = split_jid(me.get("id"))
    if not number or server not in _SERVERS:
        raise CredentialsInvalid(problem=NOT_PAIRED, file=file)
    lid, lid_number, _ = split_jid(me.get("lid"))
    lid = lid or lid_user
    jid = f"{user}:{number}@{'hosted' if server == 'hosted' else 's.whatsapp.net'}"
    row: dict[str, object] = {
        "jid": jid,
        "lid": f"{lid}:{lid_number or number}@lid" if lid else None,
        "platform": _text(creds.get("platform")),
        "push_name": _text(me.get("name")),
        "adv_key": _or_empty(creds.get("advSecretKey")),
    }
    row |= _keys(creds, file) | _signatures(account, creds, file)
    device = Device(
        **{name: row[name] or "" for name in ("jid", "lid", "push_name")},  # type: ignore[arg-type]
        **{name: row[name] for name in Device.__slots__ if name not in {"jid", "lid", "push_name"}},  # type: ignore[arg-type]
    )
    problems = self_test(device)
    if problems:
        problem = f"the keys do not belong together: {', '.join(problems)}"
        raise CredentialsInvalid(problem=problem, file=file)
    return Own(row, jid, user, lid, row["registration_id"], row["identity_key"])  # type: ignore[arg-type]


def split_jid(value: object) -> tuple[str, str, str]:
    """User, device and server of an address; empty if it is none."""
    match = _JID.fullmatch(value) if isinstance(value, str) else None
    return (match[1], match[2] or "", match[3]) if match else ("", "", "")


def _keys(creds: Mapping[str, object], file: str) -> dict[str, object]:
    row: dict[str, object] = {}
    for name, column in (("noiseKey", "noise_key"), ("signedIdentityKey", "identity_key")):
        try:
            pair = as_object(creds.get(name))
            row[column] = as_private(pair.get("private"), pair.get("public"))
        except Unusable:
            problem = f"the {_KEYS[name]} is missing, or its halves do not belong together"
            raise CredentialsInvalid(problem=problem, file=file) from None
    try:
        signed = as_object(creds.get("signedPreKey"))
        pair = as_object(signed.get("keyPair"))
        row["signed_pre_key"] = as_private(pair.get("private"), pair.get("public"))
        row["signed_pre_key_id"] = as_int(signed.get("keyId"), ID_LIMIT)
        row["signed_pre_key_sig"] = as_sized(signed.get("signature"), SIGNATURE_BYTES)
        row["registration_id"] = as_int(creds.get("registrationId"), 2**32)
    except Unusable:
        problem = "the signed prekey or the registration id is missing or broken"
        raise CredentialsInvalid(problem=problem, file=file) from None
    return row


def _signatures(
    account: Mapping[str, object], creds: Mapping[str, object], file: str
) -> dict[str, object]:
    try:
        return {
            "adv_details": as_bytes(account.get("details")),
            "adv_account_sig": as_sized(account.get("accountSignature"), SIGNATURE_BYTES),
            "adv_account_sig_key": _phone_key(account, creds),
            "adv_device_sig": as_sized(account.get("deviceSignature"), SIGNATURE_BYTES),
        }
    except Unusable:
        problem = "the signatures of the pairing are missing or broken"
        raise CredentialsInvalid(problem=problem, file=file) from None


def _phone_key(account: Mapping[str, object], creds: Mapping[str, object]) -> bytes:
    """The phone's identity; beside the signatures, or as the first identity learnt."""
    if account.get("accountSignatureKey"):
        return as_public(account["accountSignatureKey"])
    known = creds.get("signalIdentities")
    if isinstance(known, list) and known:
        return as_public(as_object(known[0]).get("identifierKey"))
    raise Unusable


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""


def _or_empty(value: object) -> bytes:
    """Only a pairing under way needs it."""
    try:
        return as_bytes(value)
    except Unusable:
        return b""
