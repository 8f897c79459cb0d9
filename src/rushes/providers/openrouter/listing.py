"""OpenRouter's list of video models in the words of our catalogue: only what the list states.

`GET /videos/models` (openrouter 1.3.84, components/videomodel.py); the names of prices as read on 2026-10-09. A price
is dollars by the second (`duration_seconds_720p`), cents by the second (`cents_per_second_output`) or dollars by the
token (`video_tokens_with_video_input`). If one name is unknown, the model's prices are not stated.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from decimal import Decimal, InvalidOperation
from typing import Any, Final

from rushes.catalogue.model import Audio
from rushes.domain.request import Role, VideoTask

FRAMES: Final = {"first_frame": Role.INPUT_IMAGE, "last_frame": Role.LAST_FRAME}
TIER: Final = r"(?:_(?P<resolution>[0-9]+[pk]))?"
SOUND: Final = r"(?:_(?P<sound>with|without)_audio)?"

RATES: Final = tuple(
    (re.compile(pattern), field, Decimal(scale), more)
    for pattern, field, scale, more in (
        (rf"duration_seconds{SOUND}{TIER}", "usd_per_s", "1", {}),
        (rf"cents_per_(?:video_output_)?second(?:_output)?{TIER}", "usd_per_s", "0.01", {}),
        (
            rf"cents_per_second_video_continuation{TIER}",
            *("usd_per_s", "0.01", {"task": str(VideoTask.EXTEND)}),
        ),
        (rf"video_tokens{TIER}{SOUND}", "usd_per_million_tokens", "1000000", {}),
        (
            rf"video_tokens{TIER}_with_video_input",
            *("usd_per_million_tokens", "1000000", {"video_input": True, "counts_input_s": True}),
        ),
    )
)
"""The names of rates, what they are here, how many of our unit one is, and what else they say."""
EXTRAS: Final = {
    "cents_per_image_input": ("usd_per_input_image", Decimal("0.01")),
    "reference_images": ("usd_per_input_image", Decimal(1)),
    "minimum_cents_per_generation": ("least_usd", Decimal("0.01")),
}
BY_INPUT: Final = re.compile(r"(?:text|image)_to_video_duration_seconds_[0-9]+[pk]")
BASE: Final = "duration_seconds"


def entries_of(body: object) -> tuple[dict[str, Any], ...]:
    """The models of a list, each as a catalogue file would say it. What is not in its place is left out."""
    data = body.get("data") if isinstance(body, Mapping) else None
    models = data if isinstance(data, list) else []
    return tuple(entry_of(one) for one in models if isinstance(one, Mapping) and isinstance(one.get("id"), str))


def entry_of(listed: Mapping[str, Any]) -> dict[str, Any]:
    """One model of the list: its id, and what the list states of it."""
    found: dict[str, Any] = {"id": listed["id"]}
    ratios = _texts(listed.get("supported_aspect_ratios"))
    resolutions = [text.lower() for text in _texts(listed.get("supported_resolutions"))]
    durations = listed.get("supported_durations")
    if ratios:
        found["aspect_ratios"] = ratios
    if resolutions:
        found["resolutions"] = resolutions
    if isinstance(durations, list) and durations and all(type(one) is int for one in durations):
        found["durations_s"] = sorted(set(durations))
    if isinstance(listed.get("seed"), bool):
        found["seed"] = listed["seed"]
    if isinstance(listed.get("generate_audio"), bool):
        found["audio"] = str(Audio.OPTIONAL if listed["generate_audio"] else Audio.NEVER)
    frames = listed.get("supported_frame_images")
    if isinstance(frames, list):
        found["inputs"] = {str(role): 1 for name, role in FRAMES.items() if name in frames}
    prices = prices_of(listed.get("pricing_skus"), resolutions)
    if prices:
        found["prices"] = prices
    return found


def prices_of(skus: object, resolutions: list[str]) -> list[dict[str, Any]]:
    """The rows of a price list, the most particular first; none if one of the names or figures is not known."""
    rows: list[dict[str, Any]] = []
    extras: dict[str, Any] = {}
    named: Mapping[str, Any] = skus if isinstance(skus, Mapping) else {}
    for name, said in named.items():
        try:
            figure = Decimal(str(said))
        except InvalidOperation:
            return []
        if BY_INPUT.fullmatch(str(name)) and said == named.get(BASE):
            continue
        if name in EXTRAS:
            field, scale = EXTRAS[name]
            extras[field] = _plain(figure * scale)
            continue
        row = _row(str(name), figure)
        if row is None:
            return []
        if row.get("resolution") in (None, *resolutions):
            rows.append(row)
    return [row | extras for row in sorted(rows, key=_generality)]


def _row(name: str, figure: Decimal) -> dict[str, Any] | None:
    for pattern, field, scale, more in RATES:
        match = pattern.fullmatch(name)
        if match is not None:
            groups = match.groupdict()
            row: dict[str, Any] = {"resolution": groups.get("resolution")}
            if groups.get("sound") is not None:
                row["audio"] = groups["sound"] == "with"
            row |= {**more, field: _plain(figure * scale)}
            return {key: value for key, value in row.items() if value is not None}
    return None


def _generality(row: Mapping[str, Any]) -> tuple[bool, bool, bool, bool]:
    """Rows with more conditions sort first, as the first that matches counts."""
    return tuple(name not in row for name in ("task", "video_input", "resolution", "audio"))  # type: ignore[return-value]


def _plain(figure: Decimal) -> Decimal:
    return figure.normalize() if figure else Decimal(0)


def _texts(values: object) -> list[str]:
    return [one for one in values if isinstance(one, str)] if isinstance(values, list) else []
