"""Whatever a model answers, it is read as videos or as the reason why there are none."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rushes.errors import OutputInvalid
from rushes.providers.hub.answer import MOST_VIDEOS, outputs_in, url_of

URL = "https://files.example/film.mp4"


@pytest.mark.parametrize(
    "answer",
    [
        URL,
        [URL],
        {"url": URL},
        {"video": {"url": URL, "content_type": "video/mp4"}},
        {"video": URL, "seed": 0},
        {"videos": [{"url": URL}]},
        {"output": [URL, "https://files.example/still.png"]},
        {"video": None, "output": URL},
        {"video": {"url": URL, "content_type": "application/octet-stream"}},
        {"film": {"url": URL}, "seed": 0, "still": {"url": "https://files.example/a.png"}},
        {"film": {"url": URL}, "preview": {"url": "https://files.example/a", "content_type": "image/webp"}},
    ],
)
def test_the_usual_shapes_are_read(answer: object) -> None:
    assert outputs_in(answer, None) == ({"version": 1, "url": URL},)


def test_a_named_member_comes_first_and_may_be_missing() -> None:
    answer = {"film": {"url": URL}, "video": {"url": "https://files.example/draft.mp4"}}
    assert outputs_in(answer, "film")[0]["url"] == URL
    assert outputs_in(answer, "reel")[0]["url"] == "https://files.example/draft.mp4"


def test_a_content_type_says_more_than_an_ending() -> None:
    (output,) = outputs_in({"video": {"url": "https://files.example/a.png", "content_type": "video/mp4"}}, None)
    assert output["url"] == "https://files.example/a.png"


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (None, "nothing, but no video"),
        ("", "nothing, but no video"),
        ([], "nothing, but no video"),
        ("a fine film", "text, but no video"),
        (7, "a number, but no video"),
        ([1, 2], "a list without links, but no video"),
        ({"b": 1, "a": 2}, "an object with 'a', 'b', but no video"),
        ({"a": URL, "b": URL}, "an object with 'a', 'b', but no video"),
        ({"images": [{"url": "https://x/a.png"}]}, "an object with 'images', but no video"),
        ("https://x/a.webp?sig=1", "files of kind 'image', but no video"),
        (["https://x/a.mp3", "https://x/b.png"], "files of kind 'audio', 'image', but no video"),
        ({"video": "ftp://x/a.mp4"}, "text under 'video', but no video"),
    ],
)
def test_an_answer_without_a_video_says_what_it_is(answer: object, said: str) -> None:
    (output,) = outputs_in(answer, None)
    with pytest.raises(OutputInvalid) as caught:
        url_of(output, hub="fal")
    assert f"answered {said}" in caught.value.message


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.floats(allow_nan=False)
    | st.text()
    | st.sampled_from([URL, "https://[", "http://x/a.png"]),
    lambda inner: st.lists(inner) | st.dictionaries(st.sampled_from(["video", "url", "content_type", "a"]), inner),
    max_leaves=20,
)


@given(answer=JSON, member=st.sampled_from([None, "video", "a"]))
def test_every_answer_becomes_outputs_that_fit_the_row(answer: object, member: str | None) -> None:
    outputs = outputs_in(answer, member)
    assert 1 <= len(outputs) <= MOST_VIDEOS
    assert len(outputs) == 1 or all("url" in output for output in outputs)
    json.dumps(outputs)


def test_no_list_is_endless() -> None:
    assert len(outputs_in([f"https://x/{number}.mp4" for number in range(50)], None)) == MOST_VIDEOS
