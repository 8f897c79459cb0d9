"""A configured server and its models as catalogue entries: what the operator wrote, and our defaults for the rest."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal

from pydantic import Field
from yarl import URL

from rushes.catalogue.load import ProviderEntry
from rushes.catalogue.model import Audio, Model
from rushes.catalogue.size import ASPECT_RATIOS, SHORT_SIDES, pixels
from rushes.errors import FieldError
from rushes.providers.credentials import api_key
from rushes.providers.declaration import CredentialShape, Options
from rushes.providers.openai_shape.flavor import Flavor

# Permissive: the server judges what the operator has not written.
PERMISSIVE: Final[Mapping[str, Any]] = {
    "prompt_chars": 10_000,
    "aspect_ratios": list(ASPECT_RATIOS),
    "resolutions": list(SHORT_SIDES.values()),
    "durations_s": list(range(1, 61)),
    "max_n": 10,
    "usual_s": 120,
    "poll_interval_s": 2,
}
PREFERRED: Final = {"aspect_ratio": "16:9", "resolution": "720p", "duration_s": 4}
"""What an option becomes that neither the caller nor the entry's defaults say, if the model offers it."""

INPUT_RULES: Final[Sequence[Mapping[str, Any]]] = (
    {"role": "last_frame", "needs": ["input_image"]},
    {"role": "reference_image", "excludes": ["input_image", "last_frame", "video"]},
    {"role": "video", "excludes": ["input_image", "last_frame", "reference_image"]},
)


KIND: Final = "openai"
"""The `kind` by which the operator's settings ask for this protocol."""


class ServerOptions(Options):
    """What an operator writes for a server besides its key."""

    flavor: Literal["openai", "vllm-omni", "sglang"] = "openai"
    key_header: str = Field(default="Authorization", pattern=r"^[A-Za-z0-9-]+$")
    needs_key: bool | None = None
    """None: if `api_key` is set. True without one: only for callers who bring their own."""
    discover: bool | None = None
    """Whether to ask the server for its models. None: if none are listed."""
    models: tuple[dict[str, Any], ...] = ()


@dataclass(frozen=True, slots=True)
class Server:
    """One configured server. `base_url` is as the OpenAI SDK takes it; without a path, `/v1` is meant."""

    name: str
    flavor: Flavor
    base_url: str
    key_header: str = "Authorization"
    """Which header the key goes into: as a bearer token in this one, bare in any other."""
    needs_key: bool = False

    @property
    def credentials(self) -> tuple[CredentialShape, ...]:
        """The shapes of credential that it takes."""
        return (api_key(),) if self.needs_key else ()

    @property
    def api_url(self) -> str:
        """The URL that `/videos` is added to."""
        try:
            bare = URL(self.base_url).path in ("", "/")
        except ValueError:
            # Opening the connection gives a better message.
            return self.base_url
        return self.base_url.rstrip("/") + ("/v1" if bare else "")


def entry_of(server: Server) -> ProviderEntry:
    """What the catalogue says of the server as a whole."""
    return ProviderEntry(
        provider=server.name,
        name=server.name,
        reserved_params=server.flavor.own_names,
        takes_null=False,
    )


def table_of(server: Server, written: Mapping[str, Any]) -> dict[str, Any]:
    """The model's table as `catalogue.load` takes it: `written` wins, then the flavor, then what permits the most."""
    table = {**PERMISSIVE, **server.flavor.model_defaults, **written}
    table.setdefault("name", table.get("id"))
    _derive_from_sizes(table, written)
    chosen = table.get("defaults", {})
    if isinstance(chosen, Mapping):
        lists = {"aspect_ratio": "aspect_ratios", "resolution": "resolutions", "duration_s": "durations_s"}
        found = {name: _default(table.get(many), PREFERRED[name]) for name, many in lists.items()}
        table["defaults"] = {name: value for name, value in found.items() if value is not None} | dict(chosen)
    inputs = table["inputs"]
    if isinstance(inputs, Mapping) and inputs.get("video"):
        # The form is the same: what is done to a video is for the server's model to know.
        table.setdefault("tasks", {"extend": {}, "edit": {}})
    if "input_rules" not in written and isinstance(inputs, Mapping):
        table["input_rules"] = [rule for written_rule in INPUT_RULES for rule in _within(written_rule, inputs)]
    return table


def unsayable(server: Server, model: Model) -> FieldError | None:
    """The first thing the entry offers that this server has no words for."""
    return next(_unsayable(server.flavor, model), None)


def _unsayable(flavor: Flavor, model: Model) -> Iterator[FieldError]:
    for role in model.inputs:
        if role not in flavor.roles:
            names = ", ".join(flavor.roles)
            yield FieldError(f"inputs.{role}", f"it cannot be said to a server of flavor '{flavor.name}'; {names} can")
    if model.n_per_call > 1 and flavor.outputs_field is None:
        yield FieldError("n_per_call", f"a server of flavor '{flavor.name}' makes one video a call")
    if model.audio is Audio.OPTIONAL and flavor.sound_field is None:
        yield FieldError(
            "audio", f"sound cannot be chosen at a server of flavor '{flavor.name}'; it is always or never"
        )
    if model.can_cancel and not flavor.delete_aborts:
        yield FieldError("can_cancel", f"a server of flavor '{flavor.name}' cannot stop a running generation")
    if model.person_generation:
        yield FieldError("person_generation", f"it cannot be said to a server of flavor '{flavor.name}'")
    if bool(model.aspect_ratios) is not bool(model.resolutions):
        yield FieldError("resolutions", "aspect_ratios and resolutions make a size together; list both or neither")
    for resolution in model.resolutions:
        for ratio in model.aspect_ratios:
            if ratio not in model.sizes.get(resolution, {}) and pixels(resolution, ratio) is None:
                yield FieldError("resolutions", f"'{resolution}' at '{ratio}' is no size we know; say it in sizes")


def _derive_from_sizes(table: dict[str, Any], written: Mapping[str, Any]) -> None:
    sizes = written.get("sizes")
    if not isinstance(sizes, Mapping) or not all(isinstance(by_ratio, Mapping) for by_ratio in sizes.values()):
        return
    if "resolutions" not in written:
        table["resolutions"] = list(sizes)
    if "aspect_ratios" not in written:
        table["aspect_ratios"] = list(dict.fromkeys(ratio for by_ratio in sizes.values() for ratio in by_ratio))


def _default(offered: Any, preferred: object) -> object:
    if not isinstance(offered, list | tuple) or not offered:
        return None
    return preferred if preferred in offered else offered[0]


def _within(rule: Mapping[str, Any], inputs: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """The rule as far as it speaks of inputs that the model takes."""
    narrowed = {name: [role for role in roles if role in inputs] for name, roles in rule.items() if name != "role"}
    if rule["role"] in inputs and any(narrowed.values()):
        yield {"role": rule["role"], **narrowed}
