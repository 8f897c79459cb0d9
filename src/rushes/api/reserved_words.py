"""The published client tells our refusals apart by words in `detail`, so a quoted value must not bring one in.

Our own sentences avoid these words (docs/reference/errors.md); a caller's model may still be called 'provider-x'.
"""

from __future__ import annotations

import re

from rushes.errors import GuardrailBlocked, JobNotFound, ModelNotFound, RushesError, UnknownField, UnsupportedOption

_TAKEN_FOR_ANOTHER_REFUSAL: dict[type[RushesError], re.Pattern[str]] = {
    ModelNotFound: re.compile("provider|not supported|disabled|unavailable", re.IGNORECASE),
    JobNotFound: re.compile("model|provider", re.IGNORECASE),
    UnsupportedOption: re.compile("validation|invalid format", re.IGNORECASE),
    GuardrailBlocked: re.compile("validation|invalid format", re.IGNORECASE),
    UnknownField: re.compile("validation|invalid format", re.IGNORECASE),
}


def unmistakable(error: RushesError) -> str:
    """The error's sentence, with each word that would be taken for another kind of refusal cut after its first letter.

    `Model 'provider-x' not found` becomes `Model 'p…-x' not found`.
    """
    pattern = next((_TAKEN_FOR_ANOTHER_REFUSAL[kind] for kind in type(error).__mro__
                    if kind in _TAKEN_FOR_ANOTHER_REFUSAL), None)  # fmt: skip
    if pattern is None:
        return error.message
    return pattern.sub(lambda found: f"{found[0][0]}…", error.message)
