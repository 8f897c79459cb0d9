from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rushes.accounts.keys import ALPHABET, SECRET_LENGTH, Mode, hash_key, new_key


@pytest.mark.parametrize("mode", Mode)
def test_a_key_says_what_it_is_for(mode: Mode) -> None:
    prefix, secret = new_key(mode).rsplit("_", 1)
    assert prefix == f"rushes_{mode.value}"
    assert len(secret) == SECRET_LENGTH
    assert set(secret) <= set(ALPHABET)


def test_no_two_keys_are_alike() -> None:
    assert len({new_key(Mode.LIVE) for _ in range(1000)}) == 1000


@given(st.text())
def test_a_hash_is_stable_and_does_not_contain_the_key(key: str) -> None:
    assert hash_key(key) == hash_key(key)
    assert len(hash_key(key)) == 64


@given(st.text(), st.text())
def test_other_keys_have_other_hashes(one: str, other: str) -> None:
    assert (hash_key(one) == hash_key(other)) == (one == other)
