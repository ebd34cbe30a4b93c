"""Images as pages: ids, and the map of where pages are."""

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.vault.pages import (
    PAGE_BYTES,
    ImageInvalid,
    MapInvalid,
    Place,
    decode_map,
    encode_map,
    page_id,
    read_pages,
    survey,
)
from server.vault.sealing import DataKey

KEY = DataKey("ann", "t" * 16, bytes(32))
OTHER = DataKey("ann", "t" * 16, b"\1" * 32)


def page(byte):
    return bytes([byte]) * PAGE_BYTES


def test_equal_pages_have_one_id_and_other_keys_other_ids(tmp_path):
    """Storage cannot tell whether it knows a page."""
    image = tmp_path / "image"
    image.write_bytes(page(1) + page(2) + page(1))
    ids, sha256 = survey(image, KEY)
    assert ids[0] == ids[2] != ids[1]
    assert sha256 == hashlib.sha256(image.read_bytes()).hexdigest()
    others, _ = survey(image, OTHER)
    assert not set(ids) & set(others)
    assert page_id(bytes(32), page(1)) not in {*ids, *others}


@pytest.mark.parametrize("size", [0, 1, PAGE_BYTES - 1, PAGE_BYTES + 1])
def test_an_image_is_a_whole_number_of_pages(tmp_path, size):
    """Anything else is no database file."""
    image = tmp_path / "image"
    image.write_bytes(bytes(size))
    with pytest.raises(ImageInvalid):
        survey(image, KEY)


def test_pages_are_read_by_number(tmp_path):
    """In the order asked for."""
    image = tmp_path / "image"
    image.write_bytes(page(0) + page(1) + page(2))
    assert [data[0] for data in read_pages(image, [2, 0])] == [2, 0]


PLACES = st.lists(st.builds(Place, st.sampled_from(["p", "q", "r"]), st.integers(0, 9)), min_size=1)


@given(PLACES)
def test_a_map_survives_its_encoding(places):
    """Whatever is where."""
    runs = encode_map(places, ["p", "q", "r"])
    assert decode_map(runs, ["p", "q", "r"], len(places)) == places


def test_pages_in_a_row_take_one_run():
    """So the map of an unchanged image does not grow with it."""
    places = [Place("p", slot) for slot in range(10_000)]
    assert encode_map(places, ["p"]) == [10_000, 0, 0]


@given(st.lists(st.integers(-2, 5)), st.integers(0, 20))
def test_numbers_that_are_no_map_are_refused(runs, count):
    """Or they are one: of exactly so many pages, all in packs that exist."""
    try:
        places = decode_map(runs, ["p", "q"], count)
    except MapInvalid:
        return
    assert len(places) == count
    assert {place.pack_id for place in places} <= {"p", "q"}
    assert all(place.slot >= 0 for place in places)
