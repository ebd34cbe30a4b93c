"""Reading one JSON file `{creds, keys}`, as older Baileys and many databases keep it.

`keys` is by kind and id, with Baileys' names of kinds or those of its old single-file store, or
flat with the names of the multi-file store.
"""

from collections.abc import Iterator, Mapping, Sequence

from server.core.errors import CredentialsInvalid

from .encodings import Torn, Unusable, as_object, parse
from .model import CredentialsFile
from .records import Kind, Record, Records, check_creds, split_name

_OLD_NAMES = {
    "preKeys": Kind.PREKEY,
    "sessions": Kind.SESSION,
    "senderKeys": Kind.SENDER_KEY,
    "senderKeyMemory": Kind.SENDER_KEY_MEMORY,
    "appStateSyncKeys": Kind.APP_STATE_KEY,
    "appStateVersions": Kind.APP_STATE_VERSION,
}
_KINDS = {kind.value: kind for kind in Kind} | _OLD_NAMES
NAME = "the file"


def read_single(files: Sequence[CredentialsFile]) -> Records:
    """Everything in the file.

    Raises:
        CredentialsInvalid: it is empty, torn or not Baileys', or there are several.
    """
    if len(files) != 1:
        raise CredentialsInvalid(problem=f"one file was expected, not {len(files)}")
    (file,) = files
    if not file.data.strip():
        raise CredentialsInvalid(problem="it is empty", file=NAME)
    try:
        whole = parse(file.data)
    except Torn:
        raise CredentialsInvalid(problem="it is not whole", file=NAME) from None
    if not isinstance(whole, Mapping) or "creds" not in whole:
        check_creds(whole, NAME)  # for what it says of credentials of old
        raise CredentialsInvalid(problem="it has no `creds` in it", file=NAME)
    try:
        creds = as_object(whole["creds"])
        keys = as_object(whole.get("keys") or {})
    except Unusable:
        raise CredentialsInvalid(problem="it holds no Baileys credentials", file=NAME) from None
    found = Records(check_creds(creds, NAME), file.modify_time, newest=file.modify_time)
    for kind, record_id, value in _walk(keys):
        found.add(kind, record_id, Record(value, file.modify_time))
    if not any(found.by_kind.values()):
        found.damage.append("there are no keys in the file")
    return found


def _walk(keys: Mapping[str, object]) -> Iterator[tuple[Kind, str, object]]:
    for name, value in keys.items():
        kind = _KINDS.get(name)
        flat = None if kind else split_name(name)
        if flat is not None:
            yield *flat, value
        elif kind is not None and isinstance(value, Mapping):
            for record_id, record in value.items():
                yield kind, record_id, record
