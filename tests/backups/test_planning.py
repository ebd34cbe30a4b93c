"""How a backup may be restored, as a table."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import msgspec
import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from server.backups.model import RestoreMode
from server.backups.planning import doubts_about_exact, plan_restore
from server.core.errors import BackupNotRestorable, ExactRestoreUnsafe
from server.core.names import BackupName, SessionName
from server.sessions.model import DesiredState, Session, State
from server.vault.history import stand
from server.vault.manifest import FORMAT_VERSION, Layout, Manifest, ManifestInvalid, PackRef, Parent
from server.vault.model import BackupKind, BackupState

ANN, BEA = SessionName("ann"), SessionName("bea")
MADE = datetime(2026, 5, 1, tzinfo=UTC)
TAKEN = MADE + timedelta(days=3)
MANIFEST = Manifest(
    name=BackupName(ANN, "b1"),
    kind=BackupKind.QUIESCED,
    create_time=TAKEN,
    session_create_time=MADE,
    connect_epoch=5,
    is_clean=True,
    display_name="Ann",
    labels={"team": "a"},
    proxy_url="http://user:geheim@proxy",
    engine_version="neonize/0.5.2",
    seq=2,
    parent=Parent(backup_id="b0", sha256="1" * 64, seq=1),
    layout=Layout(
        term="t" * 16,
        packs=(PackRef("p1", 9000, "2" * 64, 3), PackRef("p2", 5000, "3" * 64, 1)),
        page_map=(2, 0, 0, 1, 1, 0, 1, 0, 2),
        page_count=4,
        image_bytes=4 * 4096,
        image_sha256="0" * 64,
        new_bytes=5000,
    ),
    state=BackupState.ACTIVE,
    verify_time=TAKEN,
    verify_level=4,
)
SESSION = Session(
    name=ANN,
    state=State.STOPPED,
    desired=DesiredState.STOPPED,
    etag="e",
    create_time=MADE,
    state_change_time=MADE,
    connect_epoch=5,
    clean_epoch=5,
)


def plan(manifest=MANIFEST, present=SESSION, mode=RestoreMode.AUTO, target=ANN, newest=0):
    return plan_restore(
        stand(manifest, "4" * 64, (), ()),
        target=target,
        present=present,
        has_store=False,
        mode=mode,
        newest_epoch=newest,
        now=TAKEN + timedelta(hours=2),
    )


def test_provable():
    """Taken at a clean end, not run since, same records: byte for byte."""
    for mode in (RestoreMode.AUTO, RestoreMode.EXACT):
        made = plan(mode=mode)
        assert (made.mode, made.losses) == (RestoreMode.EXACT, ())
        assert made.age == timedelta(hours=2)


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"manifest": replace(MANIFEST, is_clean=False)}, "was running"),
        ({"present": None}, "does not know the session"),
        ({"target": BEA, "present": replace(SESSION, name=BEA)}, "another session"),
        ({"present": replace(SESSION, create_time=TAKEN)}, "another server"),
        ({"present": replace(SESSION, connect_epoch=6, clean_epoch=6)}, "has run since"),
        ({"present": replace(SESSION, connect_epoch=6)}, "has run since"),
        ({"present": replace(SESSION, connect_epoch=4, clean_epoch=4)}, "has run since"),
        ({"present": replace(SESSION, clean_epoch=4)}, "did not end cleanly"),
        ({"newest": 6}, "newer backup shows"),
        ({"newest": None}, "cannot be read"),
    ],
)
def test_any_doubt(changes, why):
    """Any doubt means fresh ratchets, with the reason and the losses; EXACT is refused."""
    made = plan(**changes)
    assert made.mode is RestoreMode.REKEY
    assert why in made.reasons[0]
    assert made.losses
    with pytest.raises(ExactRestoreUnsafe, match=why):
        plan(**changes, mode=RestoreMode.EXACT)


def test_rekey_on_request():
    """Fresh ratchets can always be had."""
    made = plan(mode=RestoreMode.REKEY)
    assert (made.mode, made.reasons) == (RestoreMode.REKEY, ("fresh ratchets were asked for",))


@pytest.mark.parametrize("state", [BackupState.SUSPECT, BackupState.CREATING])
@pytest.mark.parametrize("mode", list(RestoreMode))
def test_only_active(state, mode):
    """A copy that is not verified is not restored in any mode."""
    with pytest.raises(BackupNotRestorable):
        plan(replace(MANIFEST, state=state), mode=mode)


@given(
    st.booleans(),
    st.none() | st.tuples(st.integers(0, 3), st.integers(0, 3), st.booleans()),
    st.booleans(),
    st.none() | st.integers(0, 3),
    st.integers(0, 3),
)
def test_exact_only_when_nothing_moved(is_clean, counters, same_target, newest, epoch):
    """For any records: no doubt exactly if every counter agrees in one server's records."""
    manifest = replace(MANIFEST, is_clean=is_clean, connect_epoch=epoch)
    present = None
    if counters is not None:
        connect, clean, same_records = counters
        present = replace(
            SESSION,
            connect_epoch=connect,
            clean_epoch=clean,
            create_time=MADE if same_records else TAKEN,
        )
    doubts = doubts_about_exact(manifest, ANN if same_target else BEA, present, newest)
    provable = (
        is_clean
        and counters == (epoch, epoch, True)
        and same_target
        and newest is not None
        and newest <= epoch
    )
    assert (doubts == []) is provable


def test_manifest_round_trip():
    """A manifest survives its encoding; its proxy's password is not shown."""
    assert Manifest.decode(MANIFEST.encode()) == MANIFEST
    assert "geheim" not in repr(MANIFEST)


def test_manifest_of_a_later_version():
    """Unknown fields are passed over, an unknown format is refused."""
    fields = msgspec.msgpack.decode(zstandard.decompress(MANIFEST.encode()))
    later = zstandard.compress(msgspec.msgpack.encode(fields | {"invented_later": 1}))
    assert Manifest.decode(later) == MANIFEST
    with pytest.raises(ManifestInvalid, match="later format"):
        Manifest.decode(replace(MANIFEST, format_version=FORMAT_VERSION + 1).encode())


@pytest.mark.parametrize(
    "data",
    [b"", b"x", *map(zstandard.compress, (b"", b"\x80", b"\x90", b"\x81\xaeformat_version\x02"))],
)
def test_not_a_manifest(data):
    """Anything else is refused."""
    with pytest.raises(ManifestInvalid):
        Manifest.decode(data)


@pytest.mark.parametrize("page_map", [(), (1, 0), (3, 0, 0), (4, 2, 0), (-1, 0, 0, 5, 0, 0)])
def test_a_map_that_is_none(page_map):
    """Nor is one whose pages are nowhere."""
    with pytest.raises(ManifestInvalid):
        Manifest.decode(
            replace(MANIFEST, layout=replace(MANIFEST.layout, page_map=page_map)).encode()
        )
