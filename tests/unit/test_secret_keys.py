"""Secret keys are derived per purpose, never shown, and agreed upon by all who start at once."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rushes.errors import StartupError
from rushes.secret_keys import SecretKeys, parse

FIRST = "first-secret-" + "a" * 32
SECOND = "second-secret-" + "b" * 32


def test_a_derived_key_is_32_bytes_for_each_key_in_order() -> None:
    both = parse(f"{FIRST},{SECOND}").derive("links")
    assert both == parse(FIRST).derive("links") + parse(SECOND).derive("links")
    assert [len(key) for key in both] == [32, 32]


def test_purposes_have_unlike_keys() -> None:
    keys = parse(FIRST)
    assert keys.derive("links") != keys.derive("credentials")


def test_a_derived_key_is_the_same_in_every_release() -> None:
    # Changing the derivation would make stored credentials unreadable and every link invalid.
    derived = SecretKeys([b"k" * 32]).derive("links")
    assert [key.hex() for key in derived] == ["a75ee254a6042a3ce43bfe79c469e5f41d710206abb136c62b03e46ab280808a"]


def test_keys_are_never_shown() -> None:
    keys = parse(FIRST)
    assert repr(keys) == str(keys) == "<SecretKeys: 1, not shown>"


def test_there_must_be_a_key() -> None:
    with pytest.raises(ValueError, match="at least one"):
        SecretKeys([])


@pytest.mark.parametrize("text", [f"{FIRST},{SECOND}", f"{FIRST}\n{SECOND}\n", f" {FIRST} ,\r\n{SECOND},"])
def test_commas_and_line_breaks_divide_keys(text: str) -> None:
    assert parse(text).derive("x") == SecretKeys([FIRST.encode(), SECOND.encode()]).derive("x")


@pytest.mark.parametrize("text", ["", " ", ",", "\n\n"])
def test_a_setting_without_a_key_is_refused(text: str) -> None:
    with pytest.raises(StartupError, match="RUSHES_SECRET_KEYS holds no key"):
        parse(text)


@pytest.mark.parametrize("secret", ["hunter2", "x" * 31, "häßlich" + "x" * 32, "two words" + "x" * 32, "\x00" * 40])
def test_a_weak_or_malformed_key_is_refused_by_number_and_not_shown(secret: str) -> None:
    with pytest.raises(StartupError, match="RUSHES_SECRET_KEYS: key 2 ") as caught:
        parse(f"{FIRST},{secret}")
    assert secret not in caught.value.message


@given(st.text(max_size=24))
def test_no_short_key_is_accepted_or_shown(text: str) -> None:
    with pytest.raises(StartupError, match="RUSHES_SECRET_KEYS") as caught:
        parse(f"{text}\N{LOCK}hunter2")
    assert "hunter2" not in caught.value.message


@pytest.mark.parametrize("text", ["a" * 32, "changeme" * 5, "ab" * 20, "1234567" * 6, "passwordpass" * 4])
def test_a_key_that_can_be_guessed_is_refused_and_not_shown(text: str) -> None:
    with pytest.raises(StartupError, match="can be guessed") as caught:
        parse(text)
    assert text not in caught.value.message


@given(st.text("0123456789abcdef", min_size=64, max_size=64).filter(lambda text: len(set(text)) >= 12))
def test_a_random_key_is_taken(text: str) -> None:
    assert parse(text).derive("x")
