"""What the settings say of a provider, as its adapter declares it."""

from __future__ import annotations

from typing import TypeVar

from pydantic import ValidationError

from rushes.errors import StartupError
from rushes.near_names import near_names
from rushes.providers.declaration import Options
from rushes.settings import Settings

Shape = TypeVar("Shape", bound=Options)


def provider_options(settings: Settings, name: str, shape: type[Shape]) -> Shape:
    """The provider's options. Raises StartupError naming each one that is wrong, without its value."""
    try:
        return shape.model_validate(settings.provider(name).options)
    except ValidationError as exc:
        known = [*shape.model_fields, "api_key", "keys"]
        wrong = []
        for error in exc.errors(include_input=False, include_url=False, include_context=False):
            option = ".".join(str(part) for part in error["loc"])
            if error["type"] == "extra_forbidden":
                near = near_names(option, known, most=1)
                hint = f"did you mean {near[0]}?" if near else f"there are {', '.join(known)}"
                wrong.append(f"{option} is not an option of '{name}'; {hint}")
            else:
                wrong.append(f"{option} (RUSHES_PROVIDERS__{name}__{option}): {error['msg']}".replace("-", "_"))
        raise StartupError(f"[providers.{name}]: {'; '.join(wrong)}") from exc
