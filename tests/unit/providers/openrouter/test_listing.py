"""What OpenRouter's list says in the words of our catalogue."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from rushes.providers.openrouter.listing import entries_of, entry_of, prices_of


def test_only_what_the_list_states_is_there() -> None:
    assert entry_of({"id": "a/b", "seed": None, "supported_durations": None, "pricing_skus": None}) == {"id": "a/b"}


def test_values_are_written_as_the_catalogue_writes_them() -> None:
    listed = {
        "id": "a/b", "seed": False, "generate_audio": True, "supported_durations": [8, 4, 6],
        "supported_resolutions": ["720p", "4K"], "supported_frame_images": ["first_frame", "middle_frame"],
    }  # fmt: skip
    assert entry_of(listed) == {
        "id": "a/b", "seed": False, "audio": "optional", "durations_s": [4, 6, 8], "resolutions": ["720p", "4k"],
        "inputs": {"input_image": 1},
    }  # fmt: skip


@pytest.mark.parametrize(
    ("skus", "rows"),
    [
        ({"cents_per_second_output": "12"}, [{"usd_per_s": Decimal("0.12")}]),
        ({"duration_seconds": "0.1", "text_to_video_duration_seconds_720p": "0.1"}, [{"usd_per_s": Decimal("0.1")}]),
        (
            {"duration_seconds_without_audio": "0.10", "duration_seconds_with_audio_720p": "0.30"},
            [
                {"resolution": "720p", "audio": True, "usd_per_s": Decimal("0.3")},
                {"audio": False, "usd_per_s": Decimal("0.1")},
            ],
        ),
        (
            {"video_tokens": "0.000007", "video_tokens_720p_with_video_input": "0.0000047"},
            [
                {
                    "resolution": "720p", "video_input": True, "counts_input_s": True,
                    "usd_per_million_tokens": Decimal("4.7"),
                },
                {"usd_per_million_tokens": Decimal(7)},
            ],
        ),
        (
            {"cents_per_second_output": "28", "minimum_cents_per_generation": "56"},
            [{"usd_per_s": Decimal("0.28"), "least_usd": Decimal("0.56")}],
        ),
    ],
)  # fmt: skip
def test_prices_in_cents_seconds_and_tokens_are_rows(skus: dict[str, str], rows: list[dict[str, Any]]) -> None:
    assert prices_of(skus, ["720p"]) == rows


@pytest.mark.parametrize(
    "skus",
    [
        {"cents_per_megapixel_second_precise": "7.5"},
        {"duration_seconds": "0.1", "per_dream": "2"},
        {"text_to_video_duration_seconds_720p": "0.08", "image_to_video_duration_seconds_720p": "0.10"},
        {"duration_seconds": "cheap"},
        None,
    ],
)
def test_prices_that_are_not_understood_whole_are_not_stated(skus: object) -> None:
    assert prices_of(skus, ["720p"]) == []


@pytest.mark.parametrize("body", [None, [], {"data": None}, {"data": ["a", {"name": "no id"}]}])
def test_what_is_no_list_has_no_entries(body: object) -> None:
    assert entries_of(body) == ()
