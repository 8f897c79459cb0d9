"""From the playground's form to bodies of generations."""

from __future__ import annotations

import pytest

from rushes.catalogue.load import load
from rushes.console.visit import Form
from rushes.console.wish import form_of, models_of, wishes_of
from rushes.errors import InvalidRequest, ModelNotFound

CATALOGUE = load()


def bodies(**fields: str | list[str]) -> list[dict[str, object]]:
    pairs = [(name, one) for name, value in fields.items() for one in (value if isinstance(value, list) else [value])]
    form = Form(pairs)
    return [dict(wish.body) for wish in wishes_of(models_of(CATALOGUE, form), form, test=False)]


def test_what_is_left_empty_is_not_sent() -> None:
    assert bodies(prompt="x", model="animatic/storyboard", seed="", duration="", also="", input_image="") == [
        {"prompt": "x", "model": "animatic/storyboard"}
    ]


def test_zero_and_off_are_sent() -> None:
    (body,) = bodies(prompt="x", model="animatic/storyboard", seed="0", generate_audio="false")
    assert body["seed"] == 0
    assert body["generate_audio"] is False


def test_references_are_a_list_and_other_media_are_single() -> None:
    (body,) = bodies(prompt="x", model="animatic/storyboard", reference_image=["a", "b"], last_frame="c")
    assert body["reference_images"] == ["a", "b"]
    assert body["last_frame"] == "c"
    with pytest.raises(InvalidRequest) as refused:
        bodies(prompt="x", model="animatic/storyboard", last_frame=["c", "d"])
    assert refused.value.fields[0].field == "last_frame"


def test_a_form_that_is_read_and_written_is_the_same() -> None:
    (body,) = bodies(
        prompt="x", model="animatic/storyboard", reference_image=["a", "b"], seed="0", generate_audio="true",
        additional_params='{"a": [1]}', metadata="a=1\nb = two", fallback_models="animatic/slow",
    )  # fmt: skip
    form = form_of(body)
    assert dict(wishes_of(models_of(CATALOGUE, form), form, test=False)[0].body) == body


def test_a_model_beside_it_gets_what_it_offers_and_the_rest_is_said() -> None:
    form = Form([("prompt", "x"), ("model", "animatic/storyboard"), ("also", "google/veo-3.1-generate-001"),
                 ("aspect_ratio", "21:9"), ("n", "9"), ("duration", "8")])  # fmt: skip
    first, second = wishes_of(models_of(CATALOGUE, form), form, test=False)
    assert first.notes == ()
    assert second.body["duration"] == 8
    assert "aspect_ratio" not in second.body
    assert second.body["n"] == second.model.max_n
    assert len(second.notes) == 2


def test_a_model_named_twice_runs_once() -> None:
    assert len(bodies(prompt="x", model="animatic/storyboard", also="animatic/storyboard")) == 1


def test_a_model_that_is_not_there_is_refused() -> None:
    with pytest.raises(ModelNotFound):
        bodies(prompt="x", model="google/veo-99")


@pytest.mark.parametrize(
    ("name", "text"), [("seed", "1.5"), ("additional_params", "[]"), ("metadata", "no equals sign")]
)
def test_what_cannot_be_read_names_its_field(name: str, text: str) -> None:
    with pytest.raises(InvalidRequest) as refused:
        bodies(prompt="x", model="animatic/storyboard", **{name: text})
    assert refused.value.fields[0].field == name
