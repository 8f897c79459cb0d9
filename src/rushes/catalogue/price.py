"""What a generation will cost, as far as list prices tell; and money as the whole numbers that are stored."""

from __future__ import annotations

from decimal import ROUND_HALF_EVEN, Decimal

from rushes.catalogue.model import Model
from rushes.domain.request import VideoRequest

MICROUSD = 1_000_000
"""Millionths of a dollar: sums of whole numbers stay exact in every database."""


def estimate_usd(model: Model, request: VideoRequest) -> Decimal | None:
    """Seconds asked for, times videos, times the list price, exact; None if the length or the price is unknown.

    Meant for a completed request: an option that is still open has no price of its own.
    """
    usd_per_s = model.price_usd_per_s(resolution=request.resolution, audio=request.generate_audio)
    if usd_per_s is None or request.duration_s is None:
        return None
    return usd_per_s * request.duration_s * request.n


def to_microusd(usd: Decimal) -> int:
    """Dollars as whole millionths; what is smaller is rounded to the nearest, halves to even."""
    return int((usd * MICROUSD).to_integral_value(ROUND_HALF_EVEN))


def to_usd(microusd: int) -> Decimal:
    """Whole millionths as dollars, exact."""
    return Decimal(microusd) / MICROUSD
