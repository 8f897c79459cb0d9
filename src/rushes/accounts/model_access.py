"""Which models an account or a key may use: patterns such as `google/*` or `seedance-*`."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache

from rushes.catalogue.model import Model
from rushes.errors import ModelNotAllowed

MOST_PATTERNS = 100
LONGEST_PATTERN = 200
_PATTERN = re.compile(r"[A-Za-z0-9._:/@+*-]{1,200}")

Patterns = tuple[str, ...]


def trouble_of(pattern: str) -> str | None:
    """What is wrong with a pattern, in a sentence without a subject; None if it is one."""
    if _PATTERN.fullmatch(pattern):
        return None
    return (
        f"must be 1 to {LONGEST_PATTERN} letters, digits or ._:/@+-*, such as 'google/*' or 'seedance-*'; "
        "* stands for any characters"
    )


def matches(pattern: str, model: Model) -> bool:
    """Whether a pattern means this model: by `provider/id` if it has a slash, else by the id alone."""
    return _matches_name(pattern, model.provider, model.id)


def without_model(patterns: Iterable[str], models: Iterable[Model]) -> Sequence[str]:
    """Those of these patterns that no model matches."""
    known = tuple(models)
    return [one for one in patterns if not any(matches(one, model) for model in known)]


@dataclass(frozen=True, slots=True)
class ModelAccess:
    """What a key may use: models that match a pattern of its account, and one of its own. None: every model."""

    of_account: Patterns | None = None
    of_key: Patterns | None = None

    @property
    def is_limited(self) -> bool:
        """Whether any model is out of reach."""
        return self.of_account is not None or self.of_key is not None

    def allows(self, model: Model) -> bool:
        """Whether the key may use this model."""
        return all(
            patterns is None or any(matches(pattern, model) for pattern in patterns)
            for patterns in (self.of_account, self.of_key)
        )

    def check(self, model: Model, *, runs_for: Model | None = None, field: str | None = None) -> None:
        """Raise ModelNotAllowed if the key may not use this model.

        `runs_for` is the retired model in whose place it would run, `field` the field of a request that names it.
        """
        if self.allows(model):
            return
        is_keys = not ModelAccess(of_key=self.of_key).allows(model)
        whose = "This API key" if is_keys else "This account"
        name = f"'{model.provider}/{model.id}'"
        if runs_for is not None:
            name += f", which now serves '{runs_for.provider}/{runs_for.id}'"
        where = "" if field is None else f"{field}: "
        raise ModelNotAllowed(f"{where}{whose} may not use the model {name}; GET /api/v1/models lists those it may")


ALL_MODELS = ModelAccess()


def covers(own: Patterns | None, other: Patterns | None) -> bool:
    """Whether all that `other` permits is certainly permitted by `own`."""
    if own is None:
        return True
    return other is not None and all(any(_covers(one, pattern) for one in own) for pattern in other)


def _covers(own: str, other: str) -> bool:
    # A wildcard of `other` is matched by none but a wildcard of `own`, so it stands for itself here.
    if own == "*" or ("/" in own) is ("/" in other):
        return _compiled(own).fullmatch(other) is not None
    provider, slash, model_id = other.partition("/")
    # What is before the first slash is the provider only if no wildcard can reach over it.
    return bool(slash) and "*" not in provider and _compiled(own).fullmatch(model_id) is not None


def _matches_name(pattern: str, provider: str, model_id: str) -> bool:
    name = f"{provider}/{model_id}" if "/" in pattern else model_id
    return _compiled(pattern).fullmatch(name) is not None


@lru_cache(1024)
def _compiled(pattern: str) -> re.Pattern[str]:
    # Wildcards beside each other mean one, and would make the search slow.
    parts = re.split(r"\*+", pattern)
    return re.compile(".*".join(map(re.escape, parts)), re.DOTALL)
