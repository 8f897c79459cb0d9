"""Which addresses are OpenRouter's. They stand among our own: `/api/v1/videos/ID` beside `/api/v1/videos/jobs`."""

from __future__ import annotations

import re
from typing import Final

from starlette.convertors import Convertor, register_url_convertor

from rushes.views.openrouter import PATH

MODELS: Final = "models"
OUR_OWN: Final = ("generations", "jobs", "quote")
"""What follows `/api/v1/videos/` in the routes of our own API. None of these can be an id."""

_ID: Final = rf"(?!(?:{'|'.join((*OUR_OWN, MODELS))})(?:/|$))[^/]+"
_OURS: Final = re.compile(rf"{PATH}(?:/{MODELS}|/{_ID}(?:/content)?)?")


class VideoIdConvertor(Convertor[str]):
    """A part of a path that is no word of our own API."""

    regex = _ID

    def convert(self, value: str) -> str:
        """The part as it is."""
        return value

    def to_string(self, value: str) -> str:
        """The part as it is."""
        return value


register_url_convertor("video_id", VideoIdConvertor())


def is_ours(path: str) -> bool:
    """Whether an address belongs to this surface, also where there is nothing."""
    return _OURS.fullmatch(path) is not None
