"""A token speaks for one key until it expires, and nothing else does."""

from __future__ import annotations

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from rushes.accounts.tokens import LIFETIME_S, TokenSigner
from rushes.errors import NotAuthenticated
from rushes.ids import new_id

OLD, NEW = b"o" * 32, b"n" * 32
NOW_S = 1_800_000_000.0
KEY_ID = new_id("key")
TOKEN = TokenSigner([NEW]).issue(KEY_ID, NOW_S)


def test_a_token_names_its_key() -> None:
    assert TokenSigner([NEW]).key_id_of(TOKEN, NOW_S) == KEY_ID


def test_a_token_works_until_the_moment_it_expires() -> None:
    signer = TokenSigner([NEW])
    assert signer.key_id_of(TOKEN, NOW_S + LIFETIME_S - 0.001) == KEY_ID
    with pytest.raises(NotAuthenticated, match="expired"):
        signer.key_id_of(TOKEN, NOW_S + LIFETIME_S)


def test_a_token_signed_with_an_older_key_works() -> None:
    assert TokenSigner([NEW, OLD]).key_id_of(TokenSigner([OLD]).issue(KEY_ID, NOW_S), NOW_S) == KEY_ID


def test_the_first_key_signs() -> None:
    assert TokenSigner([NEW, OLD]).issue(KEY_ID, NOW_S) == TOKEN


def test_a_token_signed_with_a_removed_key_is_refused() -> None:
    with pytest.raises(NotAuthenticated):
        TokenSigner([NEW]).key_id_of(TokenSigner([OLD]).issue(KEY_ID, NOW_S), NOW_S)


@given(place=st.integers(0, len(TOKEN) - 1), char=st.characters())
def test_any_changed_character_is_refused(place: int, char: str) -> None:
    assume(TOKEN[place] != char)
    with pytest.raises(NotAuthenticated):
        TokenSigner([NEW]).key_id_of(TOKEN[:place] + char + TOKEN[place + 1 :], NOW_S)


@given(place=st.integers(0, len(TOKEN)), text=st.text(min_size=1))
def test_anything_put_in_is_refused(place: int, text: str) -> None:
    changed = TOKEN[:place] + text + TOKEN[place:]
    with pytest.raises(NotAuthenticated):
        TokenSigner([NEW]).key_id_of(changed, NOW_S)


@given(start=st.integers(0, len(TOKEN) - 1), length=st.integers(1, len(TOKEN)))
def test_anything_left_out_is_refused(start: int, length: int) -> None:
    with pytest.raises(NotAuthenticated):
        TokenSigner([NEW]).key_id_of(TOKEN[:start] + TOKEN[start + length :], NOW_S)


@given(token=st.text(st.characters()))
def test_garbage_is_refused_and_never_another_error(token: str) -> None:
    for text in (token, "rushes_token_" + token):
        with pytest.raises(NotAuthenticated):
            TokenSigner([NEW]).key_id_of(text, NOW_S)


def test_a_refusal_does_not_repeat_the_token() -> None:
    with pytest.raises(NotAuthenticated) as refused:
        TokenSigner([OLD]).key_id_of(TOKEN, NOW_S)
    assert KEY_ID not in refused.value.message


def test_a_signer_needs_a_key() -> None:
    with pytest.raises(ValueError, match="at least one key"):
        TokenSigner([])


def test_a_signer_does_not_show_its_keys() -> None:
    assert "nnn" not in repr(TokenSigner([NEW]))
