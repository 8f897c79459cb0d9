"""A sealed secret opens with our keys, in its own place, and in no other way."""

from __future__ import annotations

import base64
import os

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from rushes.sealing import NONCE_BYTES, Sealer, Unsealable

OLD, NEW, FOREIGN = (bytes([number]) * 32 for number in (1, 2, 3))
SECRET = "AIza-not-a-real-key-0123456789"


@given(secret=st.text(max_size=200), context=st.text(max_size=40))
def test_what_was_sealed_opens(secret: str, context: str) -> None:
    sealer = Sealer([NEW])
    assert sealer.open(sealer.seal(secret, context), context) == secret


def test_the_sealed_text_shows_nothing_of_the_secret() -> None:
    sealed = Sealer([NEW]).seal(SECRET, "job_1")
    assert SECRET not in sealed
    assert SECRET.encode() not in base64.urlsafe_b64decode(sealed.partition(".")[2])


def test_the_same_secret_is_never_sealed_alike() -> None:
    sealer = Sealer([NEW])
    assert len({sealer.seal(SECRET, "job_1") for _ in range(50)}) == 50


@given(place=st.integers(min_value=0), bit=st.integers(0, 7))
def test_a_sealed_text_in_which_one_bit_was_changed_does_not_open(place: int, bit: int) -> None:
    sealer = Sealer([NEW])
    version, _, text = sealer.seal(SECRET, "job_1").partition(".")
    content = bytearray(base64.urlsafe_b64decode(text))
    content[place % len(content)] ^= 1 << bit
    with pytest.raises(Unsealable):
        sealer.open(f"{version}.{base64.urlsafe_b64encode(content).decode()}", "job_1")


@given(kept=st.integers(min_value=0, max_value=200))
def test_a_sealed_text_that_was_cut_short_does_not_open(kept: int) -> None:
    sealer = Sealer([NEW])
    sealed = sealer.seal(SECRET, "job_1")
    assume(kept < len(sealed.rstrip("=")))
    with pytest.raises(Unsealable):
        sealer.open(sealed[:kept], "job_1")


@given(st.text() | st.text().map("v1.".__add__) | st.binary().map(lambda raw: f"v1.{base64.b64encode(raw).decode()}"))
def test_what_was_never_sealed_does_not_open(text: str) -> None:
    with pytest.raises(Unsealable):
        Sealer([NEW]).open(text, "job_1")


@given(context=st.text(max_size=40))
def test_a_secret_that_was_moved_to_another_job_does_not_open(context: str) -> None:
    assume(context != "job_1")
    sealer = Sealer([NEW])
    with pytest.raises(Unsealable):
        sealer.open(sealer.seal(SECRET, "job_1"), context)


def test_an_older_key_still_opens_and_the_first_one_seals() -> None:
    before, during, after = Sealer([OLD]), Sealer([NEW, OLD]), Sealer([NEW])
    assert during.open(before.seal(SECRET, "job_1"), "job_1") == SECRET
    assert after.open(during.seal(SECRET, "job_1"), "job_1") == SECRET


def test_a_key_that_was_taken_away_opens_nothing_any_more() -> None:
    with pytest.raises(Unsealable):
        Sealer([NEW, FOREIGN]).open(Sealer([OLD]).seal(SECRET, "job_1"), "job_1")


def test_another_version_is_not_guessed_at() -> None:
    sealer = Sealer([NEW])
    with pytest.raises(Unsealable):
        sealer.open(sealer.seal(SECRET, "job_1").replace("v1.", "v2.", 1), "job_1")


def test_the_error_names_the_place_and_neither_secret_nor_key() -> None:
    key = os.urandom(32)
    sealed = Sealer([key]).seal(SECRET, "job_1")
    with pytest.raises(Unsealable, match="'job_1'") as caught:
        Sealer([NEW]).open(sealed, "job_1")
    said = f"{caught.value!r} {caught.value}"
    assert SECRET not in said
    assert sealed not in said
    assert key.hex() not in said + repr(Sealer([key]))


def test_the_nonce_is_as_long_as_the_cipher_wants_it() -> None:
    content = base64.urlsafe_b64decode(Sealer([NEW]).seal("", "job_1").partition(".")[2])
    assert len(content) == NONCE_BYTES + 16
