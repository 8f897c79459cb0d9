"""A table that leaves out or misspells something is refused at the start, by the name of the field."""

from __future__ import annotations

from typing import Any

import pytest

from rushes.catalogue.load import ProviderEntry, models_of
from rushes.providers.hub.wire import check
from tests.unit.providers.hub.test_ask import BASE, SHIPPED

PROMPT = {"prompt": "prompt"}


def fault(wire: dict[str, Any], **fields: Any) -> tuple[str, str]:
    (model,) = models_of("here", ProviderEntry(provider="fal", name="fal"), [{**BASE, "wire": wire, **fields}])
    found = check(model)
    assert found is not None
    return found.field, found.message


def test_every_entry_that_we_ship_is_in_order() -> None:
    assert [(model.id, check(model)) for model in SHIPPED if check(model) is not None] == []


@pytest.mark.parametrize(
    ("wire", "fields", "where", "said"),
    [
        ({}, {}, "wire", "a hub's model names its fields here"),
        ({"fields": {}}, {}, "wire.fields", "the entry offers prompt, but no field is named for it"),
        ({"fields": PROMPT}, {"seed": True}, "wire.fields", "the entry offers seed"),
        ({"fields": PROMPT}, {"audio": "optional"}, "wire.fields", "the entry offers generate_audio"),
        ({"fields": PROMPT}, {"durations_s": [4, 8]}, "wire.fields", "the entry offers duration"),
        ({"fields": PROMPT}, {"resolutions": ["480p", "720p"]}, "wire.fields", "the entry offers resolution"),
        ({"fields": PROMPT}, {"inputs": {"video": 1}}, "wire.fields", "the entry offers video"),
        ({"fields": {**PROMPT, "promt": "x"}}, {}, "wire.fields.promt", "Input should be 'prompt'"),
        ({"fields": {**PROMPT, "seed": {"nam": "x"}}}, {}, "wire.fields.seed.name", "Field required"),
        ({"fields": {**PROMPT, "seed": {"name": "x", "as": 1}}}, {}, "wire.fields.seed.as", "there is no such field"),
        ({"fields": {**PROMPT, "seed": ""}}, {}, "wire.fields.seed", "a field has a name"),
        (
            {"fields": {**PROMPT, "duration": {"name": "d", "text": "s"}}},
            {},
            "wire.fields.duration",
            "text has {} where the value goes",
        ),
        (
            {"fields": {**PROMPT, "resolution": {"name": "r", "choices": {"8k": "x"}}}},
            {"resolutions": ["480p", "720p"]},
            "wire.fields.resolution",
            "the entry does not offer '8k'; it offers '480p', '720p'",
        ),
        (
            {"fields": {**PROMPT, "seed": {"name": "s", "per_s": 24}}},
            {},
            "wire.fields.seed",
            "only duration has per_s",
        ),
        ({"fields": {**PROMPT, "seed": {"name": "s", "many": True}}}, {}, "wire.fields.seed", "only files have many"),
        (
            {"fields": {**PROMPT, "video": {"name": "v", "text": "{}"}}},
            {"inputs": {"video": 1}},
            "wire.fields.video",
            "a file has no choices, text or per_s",
        ),
        (
            {"fields": {**PROMPT, "reference_image": {"name": "v", "many": False}}},
            {"inputs": {"reference_image": 2}},
            "wire.fields.reference_image",
            "the entry takes 2 files, so they need a list: many = true",
        ),
        ({"fields": PROMPT, "calls": [{"too": "x"}]}, {}, "wire.calls.0.to", "Field required"),
        ({"fields": PROMPT, "call": []}, {}, "wire.call", "there is no such field"),
    ],
)
def test_what_is_wrong_is_named(wire: dict[str, Any], fields: dict[str, Any], where: str, said: str) -> None:
    field, message = fault(wire, **fields)
    assert (field, said in message) == (where, True), (field, message)
