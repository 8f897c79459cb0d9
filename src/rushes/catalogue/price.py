"""What a generation will cost, as far as list prices tell."""

from __future__ import annotations

from decimal import Decimal

from rushes.catalogue.model import Model
from rushes.video.request import VideoRequest


def estimate_usd(model: Model, request: VideoRequest) -> Decimal | None:
    """Seconds asked for, times videos, times the list price, exact; None if the length or the price is unknown.

    Meant for a completed request: an option that is still open has no price of its own.
    """
    usd_per_s = model.price_usd_per_s(resolution=request.resolution, audio=request.generate_audio)
    if usd_per_s is None or request.duration_s is None:
        return None
    return usd_per_s * request.duration_s * request.n
