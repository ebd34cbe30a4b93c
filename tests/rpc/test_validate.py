"""Checks of request fields."""

from datetime import timedelta

import pytest
from google.protobuf.duration_pb2 import Duration
from google.protobuf.field_mask_pb2 import FieldMask
from roost.v1.session_service_pb2 import PairSessionRequest

from server.core.errors import FieldInvalid
from server.core.names import SessionName
from server.rpc import validate
from server.rpc.convert import STATE_OF
from server.rpc.validate import Checks


def refused(check, *args, **kwargs):
    with pytest.raises(FieldInvalid) as error:
        check(*args, **kwargs)
    return [each.field for each in error.value.violations]


def test_all_bad_fields_are_reported_together():
    """One round trip tells everything that is wrong."""
    with pytest.raises(FieldInvalid) as error, Checks() as check:
        check(SessionName.parse, "sessions/A", "name")
        check(validate.text_body, "", "text.body")
        check(validate.request_id, "x")
    assert [each.field for each in error.value.violations] == ["name", "text.body", "request_id"]


def test_good_fields_come_back_parsed():
    """And nothing is raised."""
    with Checks() as check:
        name = check(SessionName.parse, "sessions/a", "name")
    assert name == SessionName("a")


def test_another_error_inside_the_block_is_not_hidden():
    """Only violations are collected."""
    with pytest.raises(ZeroDivisionError), Checks() as check:
        check(validate.text_body, "", "text.body")
        raise ZeroDivisionError


@pytest.mark.parametrize("good", ["", "Ann's phone", "Büro \N{SNOWMAN}", "x" * 256])
def test_display_names(good):
    """Free text in any script."""
    assert validate.display_name(good, "f") == good


@pytest.mark.parametrize("bad", ["x" * 257, "a\nb", "\x00", "\u202e"])
def test_bad_display_names(bad):
    """Too long, or able to break a terminal."""
    assert refused(validate.display_name, bad, "f") == ["f"]


def test_labels():
    """64 pairs at most, readable keys, short values; each bad pair is named."""
    good = {f"team/k-{number}": "v" * 256 for number in range(64)}
    assert validate.labels(good, "f") == good
    assert refused(validate.labels, {**good, "more": ""}, "f") == ["f"]
    bad = {"Upper": "", "": "", "x" * 64: "", "ok": "v" * 257, "nul": "\x00"}
    assert refused(validate.labels, bad, "f") == ["f", "f", "f", "f.ok", "f.nul"]


@pytest.mark.parametrize(
    "good",
    ["", "http://proxy:8080", "https://u:p@proxy", "socks5://127.0.0.1:1080", "http://[::1]:1/"],
)
def test_proxies(good):
    """Scheme, host, port, user and password."""
    assert validate.proxy_url(good, "f") == good


@pytest.mark.parametrize(
    "bad",
    [
        "proxy:8080",
        "ftp://proxy",
        "http://",
        "http://proxy:99999",
        "http://proxy:0",
        "http://proxy/path",
        "http://proxy?x=1",
        "http://u:***@proxy",
        "http://pro xy\n",
        "http://[::1",
        "http://" + "x" * 600,
    ],
)
def test_bad_proxies(bad):
    """Never repeated in the error: they may hold a password."""
    with pytest.raises(FieldInvalid) as error:
        validate.proxy_url(bad, "f")
    assert bad not in error.value.message


def test_texts_are_measured_in_bytes():
    """65536 bytes of UTF-8, however many characters that is."""
    assert validate.text_body("é" * 32_768, "f")
    assert refused(validate.text_body, "é" * 32_768 + "x", "f") == ["f"]
    assert refused(validate.text_body, "", "f") == ["f"]


def test_request_ids():
    """UUID4 in any case, or none."""
    assert validate.request_id("") == ""
    given = "0F2AC8F0-53A5-4C3B-9F6B-5B6F0C2B1A11"
    assert validate.request_id(given) == given.lower()
    for bad in ("x", given[:-1], "0f2ac8f0-53a5-1c3b-9f6b-5b6f0c2b1a11", "{" + given + "}"):
        assert refused(validate.request_id, bad) == ["request_id"]


def test_durations():
    """Zero is the default; nothing negative, nothing too long, nothing that Python cannot hold."""
    default, longest = timedelta(seconds=10), timedelta(seconds=60)
    options = {"default": default, "longest": longest}
    assert validate.duration(Duration(), "f", **options) == default
    assert validate.duration(Duration(seconds=60), "f", **options) == longest
    for bad in (Duration(seconds=61), Duration(seconds=-1), Duration(seconds=1 << 62)):
        assert refused(validate.duration, bad, "f", **options) == ["f"]
    within = (timedelta(seconds=1), timedelta(seconds=60))
    for given, expected in ((0, 15), (1000, 60), (2, 2)):
        clamped = validate.clamped(
            Duration(seconds=given), "f", default=timedelta(seconds=15), within=within
        )
        assert clamped == timedelta(seconds=expected)


def test_update_masks():
    """Named fields only; all of them by a star; each stranger is named."""
    allowed = frozenset({"display_name", "labels"})
    assert validate.update_mask(FieldMask(paths=["labels"]), allowed, "f") == {"labels"}
    assert validate.update_mask(FieldMask(paths=["*"]), allowed, "f") == allowed
    assert refused(validate.update_mask, FieldMask(), allowed, "f") == ["f"]
    strangers = FieldMask(paths=["labels", "state", "etag"])
    assert refused(validate.update_mask, strangers, allowed, "f") == ["f.paths", "f.paths"]


def test_enums_and_oneofs():
    """A value of a newer contract is refused, not guessed; a missing choice lists the choices."""
    assert validate.enum_value(4, STATE_OF, "f").value == "active"
    for bad in (0, 99):
        assert refused(validate.enum_value, bad, STATE_OF, "f") == ["f"]
    assert validate.chosen(PairSessionRequest(qr={}), "method") == "qr"
    with pytest.raises(FieldInvalid, match="set one of qr, phone"):
        validate.chosen(PairSessionRequest(), "method")
