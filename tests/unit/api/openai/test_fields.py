"""The fields there, and what they mean in our own."""

from __future__ import annotations

import json
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rushes.api.openai.fields import FIELDS, MOST_MEDIA, Kind, hashable, meaning_of, read_form, renamed
from rushes.errors import FieldError, InvalidRequest, RefusedInput, UnknownField, UnsupportedOption
from rushes.intake.generation import GenerationBody
from rushes.media.input_store import StoredInput

FILE = StoredInput("upload_1", "inputs/1", "a" * 64, 10, "image/png", 4, 4, None, 0)
FILM = StoredInput("upload_2", "inputs/2", "b" * 64, 10, "video/mp4", 4, 4, 1.0, 0)


def test_every_meaning_is_a_field_of_ours() -> None:
    assert {field.meaning for field in FIELDS.values()} <= GenerationBody.model_fields.keys()


VALUES: dict[Kind, st.SearchStrategy[Any]] = {
    Kind.TEXT: st.text(),
    Kind.WHOLE: st.integers(-(10**12), 10**12),
    Kind.SWITCH: st.booleans(),
    Kind.MEDIA: st.text().filter(lambda text: text[:1] not in ("{", "["))
    | st.fixed_dictionaries({"image_url": st.text()}),
    Kind.SEVERAL_MEDIA: st.lists(st.text(), min_size=1, max_size=MOST_MEDIA),
    Kind.NAMES: st.lists(st.text(), min_size=1),
    Kind.PAIRS: st.dictionaries(
        st.text().filter(lambda name: "[" not in name and "]" not in name), st.text(), min_size=1
    ),
    Kind.OBJECT: st.dictionaries(st.text(), st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text()),
}
BODIES = st.fixed_dictionaries({}, optional={name: VALUES[field.kind] for name, field in FIELDS.items()})


def flattened(body: dict[str, Any]) -> list[tuple[str, str]]:
    """A body as OpenAI's client writes it into a form; objects of our own as JSON text."""
    texts: list[tuple[str, str]] = []
    for name, value in body.items():
        match value:
            case bool():
                texts.append((name, "true" if value else "false"))
            case list():
                texts += [(f"{name}[]", item) for item in value]
            case dict() if FIELDS[name].kind in (Kind.MEDIA, Kind.PAIRS):
                texts += [(f"{name}[{sub}]", item) for sub, item in value.items()]
            case dict():
                texts.append((name, json.dumps(value)))
            case _:
                texts.append((name, str(value)))
    return texts


@given(BODIES)
def test_a_form_says_what_the_same_json_says(body: dict[str, Any]) -> None:
    read = read_form(flattened(body))
    # Seconds are text there, and a number here in whichever form they come.
    if "seconds" in body:
        read["seconds"] = int(read["seconds"])
    assert read == body


@given(BODIES)
def test_whatever_is_given_is_meant_unless_two_names_say_the_same(body: dict[str, Any]) -> None:
    if ("width" in body) is not ("height" in body):
        with pytest.raises(InvalidRequest, match="go together"):
            meaning_of(body)
        return
    meanings = [FIELDS[name].meaning for name in body if name != "height"]
    if len(meanings) == len(set(meanings)):
        assert meaning_of(body).keys() == set(meanings)
        return
    with pytest.raises(UnsupportedOption, match="mean the same") as refusal:
        meaning_of(body)
    assert refusal.value.field in body


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5) | st.sampled_from(["{", "[]", "id", "image_url"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["id", "image_url", "x"]), inner),
    max_leaves=6,
)
KNOWN = st.sampled_from(sorted(FIELDS))
SPELLINGS = st.tuples(
    KNOWN | st.text(max_size=5), st.sampled_from(["", "[]", "[image_url]", "[0]", "[", "]", "[a][b]"])
)
TEXTS = st.text(max_size=5) | st.sampled_from(["{}", '{"image_url": "u"}', "[", '["a"]', "true", "7"])


@given(st.dictionaries(KNOWN, JSON))
def test_any_json_is_understood_or_refused(body: dict[str, Any]) -> None:
    with suppress(InvalidRequest, UnsupportedOption):
        content = meaning_of(body)
        assert content.keys() <= GenerationBody.model_fields.keys()


@given(st.lists(st.tuples(SPELLINGS.map("".join), TEXTS), max_size=5))
def test_any_form_is_understood_or_refused(texts: list[tuple[str, str]]) -> None:
    with suppress(InvalidRequest):
        assert read_form(texts).keys() == {name.partition("[")[0] for name, _ in texts}


@pytest.mark.parametrize(
    ("given_", "meant"),
    [
        ({"seconds": "8"}, {"duration": 8}),
        ({"seconds": 0}, {"duration": 0}),
        ({"width": 1280, "height": 720}, {"size": "1280x720"}),
        ({"input_reference": FILE}, {"input_image": "upload_1"}),
        ({"input_reference": FILM}, {"video": "upload_2"}),
        ({"input_reference": [{"file_id": "upload_1"}]}, {"input_image": "upload_1"}),
        ({"input_references": FILE}, {"reference_images": ["upload_1"]}),
        ({"reference_images": [FILE, {"image_url": "u"}, "v"]}, {"reference_images": ["upload_1", "u", "v"]}),
        ({"video_reference": {"video_url": "u"}}, {"video": "u"}),
        ({"input_reference": {"type": "image_url", "image_url": "u"}}, {"input_image": "u"}),
        ({"input_reference": {"image_url": {"url": "u", "detail": "high"}}}, {"input_image": "u"}),
        ({"input_references": [{"type": "image_url", "image_url": {"url": "u"}}]}, {"reference_images": ["u"]}),
        ({"video_reference": {"type": "video_url", "video_url": {"url": "u"}}}, {"video": "u"}),
        ({"seconds": 8.0, "width": 1280.0, "height": 720.0}, {"duration": 8, "size": "1280x720"}),
        ({"seed": 0, "generate_sound": False, "size": None}, {"seed": 0, "generate_audio": False}),
        ({"extra_params": {"a": [1, None]}}, {"additional_params": {"a": [1, None]}}),
    ],
)
def test_names_mean_what_their_servers_meant(given_: dict[str, Any], meant: dict[str, Any]) -> None:
    assert meaning_of(given_) == meant


@pytest.mark.parametrize("value", [True, 4.5, "4.5", "", "four", [4], {"s": 4}, "\u0664", "4" * 30])
def test_seconds_that_are_no_whole_number_are_refused(value: Any) -> None:
    with pytest.raises(InvalidRequest, match="seconds"):
        meaning_of({"seconds": value})


@pytest.mark.parametrize("value", [7, True, {}, {"image_url": 7}, {"image_url": "a", "file_id": "b"}, {"id": "job_1"},
                                   [FILE, FILE], [], {"image_url": {"uri": "u"}}, {"type": "image_url"},
                                   {"image_url": {"url": 7}}, {"image_url": "u", "name": "n"}])  # fmt: skip
def test_media_that_are_none_are_refused(value: Any) -> None:
    with pytest.raises(InvalidRequest, match="input_reference"):
        meaning_of({"input_reference": value})


@pytest.mark.parametrize(
    ("texts", "words"),
    [
        ([("prompt", "a"), ("prompt", "b")], "prompt: is given twice"),
        ([("input_reference[url]", "a"), ("input_reference[url]", "b")], "input_reference: is given twice"),
        ([("input_reference", "a"), ("input_reference[url]", "b")], "input_reference: is given twice"),
        ([("reference_images", "a"), ("reference_images[]", "b")], "reference_images: is given twice"),
        ([("prompt[]", "a")], "prompt: cannot be given as"),
        ([("seed[0]", "1")], "seed: cannot be given as"),
        ([("input_reference[a][b][c]", "1")], "cannot be given as"),
        ([("input_reference[a][b]", "1"), ("input_reference[a][b]", "2")], "input_reference: is given twice"),
        ([("input_reference[a]", "1"), ("input_reference[a][b]", "2")], "input_reference: is given twice"),
        ([("input_reference[a", "1")], "cannot be given as"),
        ([("additional_params[a]", "1")], "must be JSON text"),
        ([("additional_params", "{")], "correct JSON"),
        ([("additional_params", '{"a": NaN}')], "correct JSON"),
    ],
)
def test_a_form_that_cannot_be_understood_is_refused(texts: list[tuple[str, str]], words: str) -> None:
    with pytest.raises(InvalidRequest, match=words):
        read_form(texts)


def test_a_value_of_the_wrong_kind_stays_text_for_the_checks_to_name() -> None:
    assert read_form([("seed", "1.5"), ("generate_audio", "yes")]) == {"seed": "1.5", "generate_audio": "yes"}


def test_an_unknown_name_is_refused_with_what_comes_near() -> None:
    with pytest.raises(UnknownField, match="did you mean 'seconds'"):
        meaning_of({"second": "4"})


def test_a_refusal_names_what_the_caller_wrote() -> None:
    body = {"seconds": "7", "size": "640x360", "image_reference": "x", "input_references": ["y"]}
    fields = [FieldError("duration", "too long"), FieldError("reference_images.0", "no picture")]
    many = renamed(InvalidRequest("duration: too long; reference_images.0: no picture", fields), body)
    assert isinstance(many, InvalidRequest)
    assert many.message == "seconds: too long; input_references.0: no picture"
    assert [field.field for field in many.fields] == ["seconds", "input_references.0"]

    size = renamed(UnsupportedOption("resolution '360p' is not offered", "resolution"), body)
    assert isinstance(size, UnsupportedOption)
    assert (size.message, size.field) == ("size: resolution '360p' is not offered", "size")

    media = renamed(RefusedInput("input_image: the URL is refused", "input_image"), body)
    assert isinstance(media, RefusedInput)
    assert (media.message, media.field) == ("image_reference: the URL is refused", "image_reference")


def test_width_speaks_for_both() -> None:
    body = {"height": 1, "width": 70_000_000}
    error = renamed(InvalidRequest("size '70000000x1' is no size", [FieldError("size", "is no size")]), body)
    assert isinstance(error, InvalidRequest)
    assert (error.message, error.fields[0].field) == ("width: size '70000000x1' is no size", "width")


@pytest.mark.parametrize(
    "body", [{"width": 1}, {"height": 1}, {"width": True, "height": 1}, {"width": "1", "height": 1}]
)
def test_width_and_height_are_two_numbers(body: dict[str, Any]) -> None:
    with pytest.raises(InvalidRequest, match="go together"):
        meaning_of(body)


def test_a_refusal_of_what_was_not_given_keeps_our_name() -> None:
    error = renamed(UnsupportedOption("resolution '4k' is not offered", "resolution"), {"prompt": "x"})
    assert isinstance(error, UnsupportedOption)
    assert (error.message, error.field) == ("resolution '4k' is not offered", "resolution")


def test_a_file_is_told_by_its_content_alone() -> None:
    other = StoredInput("upload_9", "inputs/9", FILE.sha256, 10, "image/png", 4, 4, None, 0)
    assert hashable({"a": FILE, "b": [FILE, "x"]}) == hashable({"a": other, "b": [other, "x"]})
    assert hashable({"a": FILE}) != hashable({"a": FILM})
