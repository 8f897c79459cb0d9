"""What a generation will cost, as far as list prices tell; and money as the whole numbers that are stored."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from decimal import ROUND_HALF_EVEN, Decimal

from rushes.catalogue.model import Model, Price
from rushes.catalogue.size import SIZE, pixels
from rushes.domain.request import MediaKind, Role, VideoRequest

MICROUSD = 1_000_000
"""Millionths of a dollar: sums of whole numbers stay exact in every database."""

TOKEN_PIXELS = 1024
MILLION = 1_000_000


@dataclass(frozen=True, slots=True)
class Charge:
    """One line of an estimate: so many of a unit, at a price each, exact."""

    unit: str
    quantity: Decimal
    usd_each: Decimal

    @property
    def usd(self) -> Decimal:
        """The line's sum."""
        return self.quantity * self.usd_each


@dataclass(frozen=True, slots=True)
class Estimate:
    """What a request costs by one row of the price list: `charges` for each of `n` videos."""

    price: Price
    charges: tuple[Charge, ...]
    n: int

    @property
    def charges_of_one(self) -> tuple[Charge, ...]:
        """The lines of one video; one line for the least that it costs, where that is more."""
        least = self.price.least_usd
        if least is not None and sum((charge.usd for charge in self.charges), Decimal(0)) < least:
            return (Charge("least", Decimal(1), least),)
        return self.charges

    @property
    def usd(self) -> Decimal:
        """The sum in USD, exact."""
        return sum((charge.usd for charge in self.charges_of_one), Decimal(0)) * self.n


def price_for(model: Model, request: VideoRequest) -> Price | None:
    """The first row of the model's price list that matches a completed request; None if none does."""
    has_video = any(item.role.kind is MediaKind.VIDEO for item in request.media)
    given = (
        ("resolution", request.resolution),
        ("aspect_ratio", request.aspect_ratio),
        ("audio", request.generate_audio),
        ("duration_s", request.duration_s),
        ("video_input", has_video),
        ("task", request.video_task),
    )
    for price in model.prices:
        if all(getattr(price, name) in (None, value) for name, value in given):
            return price
    return None


def estimate(model: Model, request: VideoRequest) -> Estimate | None:
    """What a completed request costs by list price; None if a price or a length is unknown.

    Before the files of a request are read, a length that follows from them is taken to be the longest that the model
    allows.
    """
    price = price_for(model, request)
    if price is None:
        return None
    charges = _charges(model, request, price)
    return None if charges is None else Estimate(price, charges, request.n)


def estimate_usd(model: Model, request: VideoRequest) -> Decimal | None:
    """The sum of `estimate`."""
    found = estimate(model, request)
    return None if found is None else found.usd


def output_s(model: Model, request: VideoRequest) -> Decimal | None:
    """The seconds of one video of output, exact: as asked for, or as long as the `video` input. None if unknown."""
    if request.duration_s is not None:
        return Decimal(request.duration_s)
    if request.video_task is None:
        return None
    return _input_s(model, request, {Role.VIDEO})


def to_microusd(usd: Decimal) -> int:
    """Dollars as whole millionths; what is smaller is rounded to the nearest, halves to even."""
    return int((usd * MICROUSD).to_integral_value(ROUND_HALF_EVEN))


def to_usd(microusd: int) -> Decimal:
    """Whole millionths as dollars, exact."""
    return Decimal(microusd) / MICROUSD


def _charges(model: Model, request: VideoRequest, price: Price) -> tuple[Charge, ...] | None:
    charges = [] if price.usd_per_video is None else [Charge("video", Decimal(1), price.usd_per_video)]
    seconds = output_s(model, request)
    videos = {role for role in Role if role.kind is MediaKind.VIDEO}
    given_s = _input_s(model, request, videos) if price.counts_input_s or price.usd_per_input_s is not None else None
    charged_s = None if seconds is None else seconds
    if price.counts_input_s:
        if given_s is None or charged_s is None:
            return None
        charged_s += given_s
    if price.usd_per_s is not None:
        if charged_s is None:
            return None
        charges.append(Charge("second", charged_s, price.usd_per_s))
    if price.usd_per_million_tokens is not None:
        frame_pixels = _frame_pixels(model, request)
        if charged_s is None or frame_pixels is None:
            return None
        tokens = charged_s * frame_pixels * price.token_fps / TOKEN_PIXELS
        charges.append(Charge("token", tokens, price.usd_per_million_tokens / MILLION))
    if price.usd_per_input_s is not None:
        if given_s is None:
            return None
        if given_s:
            charges.append(Charge("input_second", given_s, price.usd_per_input_s))
    if price.usd_per_input_image is not None:
        images = sum(item.role.kind is MediaKind.IMAGE for item in request.media)
        if images > price.free_input_images:
            charges.append(Charge("input_image", Decimal(images - price.free_input_images), price.usd_per_input_image))
    return tuple(charges)


def _input_s(model: Model, request: VideoRequest, roles: set[Role]) -> Decimal | None:
    """The seconds of the files given in these roles, as measured; the most that they can be until they are read."""
    total = Decimal(0)
    for role in roles:
        files = request.media_for(role)
        unread = [item for item in files if item.duration_s is None]
        total += sum((_exact(item.duration_s) for item in files if item.duration_s is not None), Decimal(0))
        if unread:
            most = _most_s(model, request, role, len(unread))
            if most is None:
                return None
            total += most
    return total


def _most_s(model: Model, request: VideoRequest, role: Role, count: int) -> Decimal | None:
    limit = model.input_limits.get(role)
    bounds = [] if limit is None else [limit.total_s, None if limit.most_s is None else limit.most_s * count]
    if role is Role.VIDEO and request.video_task is not None:
        bounds.append(model.video_tasks[request.video_task].most_s)
    return min((_exact(bound) for bound in bounds if bound is not None), default=None)


def _frame_pixels(model: Model, request: VideoRequest) -> int | None:
    """The pixels of one frame; of the largest frame where the shape follows from an input."""
    if request.resolution is None:
        return None
    ratios = model.aspect_ratios
    if request.aspect_ratio is not None and _area(model, request.resolution, request.aspect_ratio) is not None:
        ratios = (request.aspect_ratio,)
    return max(filter(None, _areas(model, request.resolution, ratios)), default=None)


def _areas(model: Model, resolution: str, ratios: tuple[str, ...]) -> Iterator[int | None]:
    return (_area(model, resolution, ratio) for ratio in ratios)


def _area(model: Model, resolution: str, aspect_ratio: str) -> int | None:
    size = model.sizes.get(resolution, {}).get(aspect_ratio) or pixels(resolution, aspect_ratio)
    found = None if size is None else SIZE.fullmatch(size)
    return None if found is None else int(found[1]) * int(found[2])


def _exact(seconds: float) -> Decimal:
    # As it is written, to the millisecond: 0.1 must not become 0.1000000000000000055.
    return Decimal(str(seconds))
