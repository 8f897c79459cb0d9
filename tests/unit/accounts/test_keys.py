from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rushes.accounts.keys import (
    ALPHABET,
    SECRET_LENGTH,
    USUAL_SCOPES,
    Mode,
    Scope,
    hash_key,
    is_key,
    new_key,
    scopes_from,
    scopes_to_text,
)


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


@pytest.mark.parametrize("key", ["x" * 32, "rushes_live_" + "Az09" * 10, "a.b_c~d+e/f=g-h" * 3, "x" * 256])
def test_a_long_token_can_be_a_key(key: str) -> None:
    assert is_key(key)


@pytest.mark.parametrize(
    "key", ["", "x" * 31, "x" * 257, "x" * 31 + " ", "x" * 32 + "\n", "ü" * 32, "rushes_token_" + "x" * 40]
)
def test_what_a_header_cannot_carry_or_a_token_is_no_key(key: str) -> None:
    assert not is_key(key)


def test_scopes_survive_their_column_and_unknown_words_grant_nothing() -> None:
    for scopes in (frozenset[Scope](), USUAL_SCOPES, frozenset(Scope)):
        assert scopes_from(scopes_to_text(scopes)) == scopes
    assert scopes_from("root read") == {Scope.READ}
