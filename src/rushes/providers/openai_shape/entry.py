"""A configured server and its models as catalogue entries: what the operator wrote, and our defaults for the rest."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal

from yarl import URL

from rushes.catalogue.load import ProviderEntry
from rushes.catalogue.model import Audio, Model
from rushes.catalogue.size import ASPECT_RATIOS, SHORT_SIDES, pixels
from rushes.errors import FieldError
from rushes.providers.base import Provider
from rushes.providers.declaration import Parts
from rushes.providers.openai_shape.flavor import FLAVORS, Flavor
from rushes.providers.own_server import OwnServer, OwnServerOptions, choose_defaults, derive_from_sizes

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
INPUT_RULES: Final[Sequence[Mapping[str, Any]]] = (
    {"role": "last_frame", "needs": ["input_image"]},
    {"role": "reference_image", "excludes": ["input_image", "last_frame", "video"]},
    {"role": "video", "excludes": ["input_image", "last_frame", "reference_image"]},
)


class ServerOptions(OwnServerOptions):
    """What an operator writes for a server besides its key."""

    flavor: Literal["openai", "vllm-omni", "sglang"] = "openai"
    discover: bool | None = None
    """Whether to ask the server for its models. None: if none are listed."""


@dataclass(frozen=True, slots=True)
class Server(OwnServer):
    """One configured server. `base_url` is as the OpenAI SDK takes it; without a path, `/v1` is meant."""

    name: str
    flavor: Flavor
    base_url: str
    key_header: str = "Authorization"
    """Which header the key goes into: as a bearer token in this one, bare in any other."""
    needs_key: bool = False
    listed: Sequence[Mapping[str, Any]] = ()
    discovers: bool = False

    @property
    def api_url(self) -> str:
        """The URL that `/videos` is added to."""
        try:
            bare = URL(self.base_url).path in ("", "/")
        except ValueError:
            # Opening the connection gives a better message.
            return self.base_url
        return self.base_url.rstrip("/") + ("/v1" if bare else "")

    @property
    def entry(self) -> ProviderEntry:
        return ProviderEntry(
            provider=self.name, name=self.name, reserved_params=self.flavor.own_names, takes_null=False
        )

    def table_of(self, written: Mapping[str, Any]) -> dict[str, Any]:
        table = {**PERMISSIVE, **self.flavor.model_defaults, **written}
        table.setdefault("name", table.get("id"))
        derive_from_sizes(table, written)
        choose_defaults(table)
        inputs = table["inputs"]
        if isinstance(inputs, Mapping) and inputs.get("video"):
            # The form is the same: what is done to a video is for the server's model to know.
            table.setdefault("tasks", {"extend": {}, "edit": {}})
        if "input_rules" not in written and isinstance(inputs, Mapping):
            table["input_rules"] = [rule for written_rule in INPUT_RULES for rule in _within(written_rule, inputs)]
        return table

    def unsayable(self, model: Model) -> FieldError | None:
        return next(_unsayable(self.flavor, model), None)

    def open(self, parts: Parts) -> Provider:
        from rushes.providers.openai_shape.adapter import OpenaiShape

        return OpenaiShape(parts.client, self, clock=parts.clock)


def configured(name: str, options: ServerOptions, needs_key: bool, _folder: Path) -> Server:
    """The server that these options describe."""
    assert options.base_url is not None
    return Server(
        name=name,
        flavor=FLAVORS[options.flavor],
        base_url=options.base_url,
        key_header=options.key_header,
        needs_key=needs_key,
        listed=options.models,
        discovers=not options.models if options.discover is None else options.discover,
    )


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


def _within(rule: Mapping[str, Any], inputs: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """The rule as far as it speaks of inputs that the model takes."""
    narrowed = {name: [role for role in roles if role in inputs] for name, roles in rule.items() if name != "role"}
    if rule["role"] in inputs and any(narrowed.values()):
        yield {"role": rule["role"], **narrowed}
