"""Random identifiers."""

from __future__ import annotations

from rushes.ids import ALPHABET, LENGTH, new_id


def test_an_id_says_what_it_names_and_never_comes_twice() -> None:
    made = {new_id("job") for _ in range(10_000)}
    assert len(made) == 10_000
    assert all(one.startswith("job_") and len(one) == len("job_") + LENGTH for one in made)


def test_every_letter_of_the_alphabet_is_used_and_no_other() -> None:
    assert set("".join(new_id("x").removeprefix("x_") for _ in range(1_000))) == set(ALPHABET)
