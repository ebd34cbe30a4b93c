"""When ratchets may be carried over exactly."""

from datetime import UTC, datetime, timedelta

import pytest

from server.backups.imports.freshness import ASKED, EXACT, Evidence, decide
from server.backups.model import RestoreMode
from server.core.errors import ExactImportUnsafe

NOW = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
JUST_NOW = NOW - timedelta(minutes=1)


def judge(evidence, mode=RestoreMode.AUTO, *, stopped):
    return decide(evidence, mode, source_stopped=stopped, now=NOW)


@pytest.mark.parametrize("age", [timedelta(0), timedelta(days=400), None])
def test_a_stopped_source_with_whole_files_goes_on_exactly(age):
    """However old: nothing has happened since."""
    evidence = Evidence(newest=None if age is None else NOW - age)
    assert judge(evidence, stopped=True) == (RestoreMode.EXACT, (EXACT,))
    assert judge(evidence, RestoreMode.EXACT, stopped=True)[0] is RestoreMode.EXACT


@pytest.mark.parametrize(
    ("newest", "reason"),
    [
        (None, "how old"),
        (NOW - timedelta(days=3), "may have run since"),
        (JUST_NOW, "may still be running"),
    ],
)
def test_without_the_callers_word_it_is_rekeyed(newest, reason):
    """Files cannot tell that nothing happened after they were copied."""
    mode, reasons = judge(Evidence(newest=newest), stopped=False)
    assert mode is RestoreMode.REKEY
    assert reason in reasons[1]


def test_files_of_different_moments_are_named():
    """As a copy of a folder in use looks."""
    evidence = Evidence(newest=JUST_NOW, identity=NOW - timedelta(hours=1), ratchets=JUST_NOW)
    _, reasons = judge(evidence, stopped=False)
    assert "the files are of different moments" in reasons


@pytest.mark.parametrize("stopped", [True, False])
def test_damage_weighs_more_than_the_callers_word(stopped):
    """Torn files cannot come from an orderly end."""
    mode, reasons = judge(Evidence(newest=JUST_NOW, damage=("2 files are torn",)), stopped=stopped)
    assert mode is RestoreMode.REKEY
    assert reasons[0] == "2 files are torn"


@pytest.mark.parametrize(
    ("evidence", "stopped"),
    [(Evidence(newest=JUST_NOW), False), (Evidence(newest=JUST_NOW, damage=("torn",)), True)],
)
def test_exact_is_refused_when_it_cannot_be_known(evidence, stopped):
    """With the reason."""
    with pytest.raises(ExactImportUnsafe, match=r"torn|nobody said"):
        judge(evidence, RestoreMode.EXACT, stopped=stopped)


def test_rekey_when_asked():
    """Whatever the files say."""
    asked = judge(Evidence(newest=JUST_NOW), RestoreMode.REKEY, stopped=True)
    assert asked == (RestoreMode.REKEY, (ASKED,))
