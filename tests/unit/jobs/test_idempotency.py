"""Bodies that mean the same have one hash, all others have another; and what a key may look like."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rushes.errors import IdempotencyMismatch, InvalidRequest
from rushes.jobs.idempotency import LONGEST_KEY, Once, Replay, check_key, hash_body, replayed

SCALARS = (
    st.none() | st.booleans() | st.integers(-3, 3) | st.floats(allow_nan=False, width=16) | st.text("ab1:", max_size=3)
)
BODIES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text("ab1:", max_size=2), inner, max_size=3),
    max_leaves=6,
)


def turned_round(value: Any) -> Any:
    """The same content with the names of every object in another order."""
    if isinstance(value, dict):
        return {name: turned_round(value[name]) for name in reversed(value)}
    return [turned_round(item) for item in value] if isinstance(value, list) else value


@given(BODIES)
def test_the_order_of_names_does_not_count(body: Any) -> None:
    assert hash_body(turned_round(body)) == hash_body(body)


@given(BODIES)
def test_white_space_does_not_count(body: Any) -> None:
    assert hash_body(json.loads(json.dumps(body, indent=4))) == hash_body(json.loads(json.dumps(body)))


@given(BODIES, BODIES)
def test_two_contents_have_one_hash_only_if_they_are_the_same(one: Any, other: Any) -> None:
    same = json.dumps(one, sort_keys=True) == json.dumps(other, sort_keys=True)
    assert (hash_body(one) == hash_body(other)) is same


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ({"a": "b"}, {"ab": ""}),
        ({"a": {"b": "c"}}, {"a": {}, "b": "c"}),
        (["a", "b"], ["ab"]),
        (["as1:b"], ["a", "b"]),
        ([[1], 2], [[1, 2]]),
        ([1, [2]], [1, 2]),
        (1, "1"),
        (1, True),
        (1, 1.0),
        (None, "null"),
        (None, {}),
        ({}, []),
        ("", []),
        ({"a": None}, {}),
        ([1, 2], [2, 1]),
        ("é", "e\u0301"),
    ],
)
def test_contents_that_only_look_alike_differ(one: Any, other: Any) -> None:
    assert hash_body(one) != hash_body(other)


def test_a_lone_surrogate_has_a_hash() -> None:
    assert hash_body({"prompt": "\ud800"}) != hash_body({"prompt": "\ud801"})


@pytest.mark.parametrize("key", ["a", "order 17/b", "ключ", "k" * LONGEST_KEY])
def test_printable_keys_are_taken(key: str) -> None:
    assert check_key(key) == key


@pytest.mark.parametrize("key", ["", "k" * (LONGEST_KEY + 1), "a\tb", "a\nb", "nul\0"])
def test_other_keys_are_refused(key: str) -> None:
    with pytest.raises(InvalidRequest, match="Idempotency-Key must be 1 to 255 printable characters"):
        check_key(key)


def test_a_replay_is_the_stored_answer_if_the_body_is_the_same() -> None:
    once = Once("POST /videos/generations", "order-17", "hash", lambda job: "")
    assert replayed(once, "hash", "the answer") == Replay("the answer")
    with pytest.raises(IdempotencyMismatch, match="'order-17' was used with another body"):
        replayed(once, "another", "the answer")
